//! What the engine expects, and what it tells of that.

use slowlane::model::{Accept, ExecutorBounds, JobState, Operation, PoolRules, Priority, Span, Strategy};

use crate::story::{Story, key, operation};

#[test]
fn a_first_run_is_expected_to_take_four_times_what_others_do_under_the_next_keeper_too() {
    let mut story = Story::new(["known", "new", "newer"].map(|name| operation(name, None, &[])).into());
    story.comes("unknown", "new");
    assert_eq!(story.expected("unknown"), None, "nothing is known of any");
    story.comes("known", "known");
    story.seconds_pass(100);
    story.ends("known");
    story.comes("first", "new");
    assert_eq!(story.expected("first"), Some(Span::seconds(512)), "112 are expected of the other's next");
    story.seconds_pass(5);
    story.is_down();
    story.lead(false);
    story.comes("second", "newer");
    assert_eq!(story.expected("second"), Some(Span::seconds(512)));
    assert_eq!(story.expected("unknown"), None, "what was granted is as it was");
    story.world.remove_operation(&key("known"));
    story.comes("third", "newer");
    assert_eq!(story.expected("third"), None, "with an operation goes what was known of it");
}

/// A full cluster, whose runs are expected to take ten minutes, and one job that waits.
fn first_has_a_reservation() -> Story {
    let expected = Some(Span::seconds(600));
    let operations = ["long", "waits"].map(|name| Operation { expected, ..operation(name, None, &[]) });
    let mut story = Story::new(operations.into());
    story.edits(|cluster| cluster.strategy = Strategy::Backfill);
    (0..10).for_each(|number| story.comes(&format!("runs-{number}"), "long"));
    story.comes("first", "waits");
    story
}

#[test]
fn a_job_is_told_anew_when_its_reservation_moves() {
    let mut story = first_has_a_reservation();
    story.seconds_pass(10);
    let before = story.message("first");
    assert!(before.contains("; expected at "), "{before}");
    // It is late: its run is expected to take twice as long now. Nothing else happens.
    story.seconds_pass(680);
    let after = story.message("first");
    assert!(after.contains("(first said: "), "before: {before}, after: {after}");
}

#[test]
fn a_run_that_an_edit_ends_no_more_says_so() {
    let mut story = Story::new(vec![operation("export", None, &[])]);
    // Nobody knows yet whether its driver is up: until then its application is left alone.
    story.world.operator_up = false;
    story.comes("runs", "export");
    story.edits(|cluster| {
        cluster.accept = vec![Accept { priorities: [Priority::Critical].into(), ..Accept::default() }];
        cluster.cancels_at_window_end = true;
    });
    story.seconds_pass(3);
    let before = story.message("runs");
    assert!(before.contains("accepts it no more"), "{before}");
    story.edits(|cluster| cluster.cancels_at_window_end = false);
    story.seconds_pass(3);
    let after = story.message("runs");
    assert!(!after.contains("accepts it no more"), "{after}");
}

#[test]
fn a_refusal_is_announced_when_it_stands() {
    for (denies_refusals, answers_first) in [(false, false), (false, true), (true, false)] {
        let refusing = Operation { refuses_at_limit: true, ..operation("export", Some(1), &[]) };
        let mut story = Story::new(vec![refusing]);
        story.comes("runs", "export");
        (story.denies_refusals, story.answers_first) = (denies_refusals, answers_first);
        story.comes("comes", "export");
        story.seconds_pass(5);
        let (state, _) = story.told("comes");
        let heard: Vec<JobState> =
            story.keeper.announced.iter().filter(|it| *it.job.name == *"comes").map(|it| it.state).collect();
        assert_eq!(heard, [state], "people hear what stands");
        assert_eq!(state, if denies_refusals { JobState::Queued } else { JobState::Refused });
    }
}

#[test]
fn jobs_that_come_together_share_what_is_free() {
    let mut story = Story::new(vec![operation("export", None, &[])]);
    let many = ExecutorBounds { min: 1, max: 10 };
    story.comes_for("first", "export", many);
    story.comes_for("second", "export", many);
    // Who could take little is not kept waiting, nor is he by the others.
    story.comes("small", "export");
    assert_eq!(["first", "second", "small"].map(|job| story.granted(job)), [None, None, Some(1)]);
    story.seconds_pass(1);
    assert_eq!(["first", "second"].map(|job| story.granted(job)), [Some(5), Some(4)], "of nine that are left");
    ["first", "second", "small"].into_iter().for_each(|job| story.ends(job));
    story.comes_for("alone", "export", many);
    story.seconds_pass(1);
    assert_eq!(story.granted("alone"), Some(10), "nobody else is there");
}

#[test]
fn a_clusters_status_says_of_a_generation_what_its_pool_makes_of_that() {
    let pool = |max| {
        let (stabilization, idle) = (Span::seconds(300), Span::seconds(600));
        Some(PoolRules { min: 2, max, warm: 3, grow_above: 80, shrink_below: 40, stabilization, idle })
    };
    let mut story = Story::new(vec![operation("export", None, &[])]);
    story.edits(|cluster| cluster.pool = pool(10));
    story.comes("first", "export");
    story.seconds_pass(3);
    story.comes("second", "export");
    // Its status is due in the very moment in which the edit is seen; the auditor looks.
    story.world.now = story.world.now + Span::seconds(2);
    story.edits(|cluster| cluster.pool = pool(3));
    story.seconds_pass(3);
    assert_eq!(story.cluster().executors_desired, Some(3));
}

#[test]
fn everybody_in_a_long_queue_is_told_of_another_reason_though_it_changes_meanwhile() {
    let mut story = Story::new(vec![operation("export", None, &[])]);
    let names: Vec<String> = (0..260).map(|number| format!("job-{number:03}")).collect();
    names.iter().for_each(|name| story.comes(name, "export"));
    let waiting = &names[10..];
    let told = |story: &Story, reason: &str| waiting.iter().filter(|name| story.told(name).1 == reason).count();
    story.seconds_pass(5);
    assert_eq!(told(&story, "ClusterOccupied"), 250);
    story.edits(|cluster| cluster.held = true);
    story.seconds_pass(2);
    let first = told(&story, "ClusterHeld");
    assert!((1..=100).contains(&first), "{first} were told in one step");
    story.edits(|cluster| cluster.held = false);
    story.seconds_pass(10);
    assert_eq!(told(&story, "ClusterOccupied"), 250);
}

fn fixed(executors: u64) -> ExecutorBounds {
    ExecutorBounds { min: executors, max: executors }
}

#[test]
fn nobody_below_starts_while_a_job_gathers_that_goes_first() {
    let mut story = Story::new(["urgent", "slow"].map(|name| operation(name, None, &[])).into());
    story.comes_as("critical", "urgent", ExecutorBounds { min: 4, max: 10 }, Some(Priority::Critical));
    story.comes_as("low", "slow", fixed(8), Some(Priority::Low));
    assert!(!story.runs("critical") && !story.runs("low"), "one gathers, the other lets it go first");
    story.seconds_pass(1);
    assert!(!story.runs("low"), "there is no room for it");
    assert_eq!(story.granted("critical"), Some(10));
}

#[test]
fn who_is_refused_keeps_nobody_from_starting_with_the_others() {
    let refuses = Operation { max_queued: Some(0), ..operation("refuses", None, &[]) };
    let mut story = Story::new(vec![operation("export", None, &[]), refuses]);
    story.edits(|cluster| cluster.strategy = Strategy::StrictFifo);
    story.comes_for("first", "export", ExecutorBounds { min: 1, max: 10 });
    story.comes_for("refused", "refuses", fixed(10));
    story.comes_for("behind", "export", fixed(5));
    story.seconds_pass(1);
    assert_eq!(story.told("refused").0, JobState::Refused);
    assert_eq!([story.granted("first"), story.granted("behind")], [Some(5), Some(5)]);
}

#[test]
fn only_the_first_says_when_it_is_expected_to_start() {
    let mut story = first_has_a_reservation();
    story.comes("second", "waits");
    story.seconds_pass(3);
    assert!(story.message("first").contains("; expected at "), "{}", story.message("first"));
    assert!(!story.message("second").contains("expected"), "{}", story.message("second"));
    // Somebody goes before it: it does not go on to say when.
    story.comes_as("urgent", "long", fixed(1), Some(Priority::Critical));
    story.seconds_pass(40);
    assert!(story.message("urgent").contains("; expected at "), "{}", story.message("urgent"));
    assert!(!story.message("first").contains("expected"), "{}", story.message("first"));
}

#[test]
fn who_is_pushed_back_does_not_go_on_to_tell_its_place() {
    let mut story = Story::new(vec![operation("export", Some(1), &[])]);
    story.comes("runs", "export");
    (0..20).for_each(|number| story.comes(&format!("waits-{number}"), "export"));
    story.seconds_pass(5);
    assert_eq!(story.position("waits-0"), Some(1));
    let urgent = |number: usize| format!("urgent-{number}");
    (0..20).for_each(|number| story.comes_as(&urgent(number), "export", fixed(1), Some(Priority::High)));
    story.seconds_pass(40);
    let places: Vec<_> = (0..20).map(|number| story.position(&urgent(number))).collect();
    assert_eq!(places, (1..=20).map(Some).collect::<Vec<_>>());
    let left: Vec<_> = (0..20).filter_map(|number| story.position(&format!("waits-{number}"))).collect();
    assert_eq!(left, [0; 0]);
}

#[test]
fn who_holds_a_limit_is_told_anew_when_others_do() {
    let mut story = Story::new(vec![operation("export", Some(5), &[])]);
    (0..5).for_each(|number| story.comes(&format!("runs-{number}"), "export"));
    story.comes("waits", "export");
    story.comes("later", "export");
    story.seconds_pass(5);
    let before = story.message("later");
    story.ends("runs-4");
    story.seconds_pass(40);
    assert_eq!(story.message("later"), before, "its words are the same");
    assert!(story.holders("later").contains(&"waits".into()), "{:?}", story.holders("later"));
}

#[test]
fn the_next_keeper_does_not_say_again_what_stands_there() {
    let mut story = Story::new(vec![operation("export", Some(2), &[])]);
    (0..30).for_each(|number| story.comes(&format!("job-{number:02}"), "export"));
    story.seconds_pass(40);
    let before = story.writes.clone();
    story.is_down();
    story.lead(false);
    story.seconds_pass(100);
    let again: Vec<_> = story.writes.iter().filter(|(job, writes)| before.get(*job) != Some(*writes)).collect();
    assert!(again.iter().all(|(job, _)| ["job-00", "job-01"].contains(&&*job.name)), "{again:?}");
}
