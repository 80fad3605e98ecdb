//! What a run takes, and how many executors it has, as it is told.

use slowlane::model::{Amount, ExecutorShare, PodPhase, PodRole, Usage};

use crate::objects::Pod;
use crate::story::{Story, key, operation};

/// Another executor of a job comes.
fn executor_comes(story: &mut Story, job: &str) -> Pod {
    let driver = story.world.pods.values().find(|pod| pod.key.name.starts_with(job)).cloned().expect("a driver");
    let uid = story.world.new_uid("executor");
    let executor = Pod {
        key: key(&uid.to_string()),
        uid,
        role: PodRole::Executor,
        phase: PodPhase::Running,
        started: None,
        driver: Some(driver.uid.clone()),
        ..driver
    };
    story.world.put_pod(executor.clone());
    executor
}

fn amount(core_seconds: u64, gib_seconds: u64) -> Amount {
    Amount { core_seconds, gib_seconds }
}

#[test]
fn what_is_used_is_counted_from_the_start_of_each_pod_to_its_end_by_whoever_leads() {
    let mut story = Story::new(vec![operation("export", None, &[])]);
    story.comes("runs", "export");
    // One executor of 20 s, which goes without a word; pods here are of a core and 1.375 GiB.
    let executor = executor_comes(&mut story, "runs");
    story.seconds_pass(20);
    story.world.remove_pod(&executor.key);
    story.seconds_pass(10);
    story.ends("runs");
    let usage = story.usage("runs").expect("its run was closed");
    assert_eq!(usage.used, amount(51, 71), "30 s of a driver, 20 of an executor, and one until that was missed");
    // A driver and an executor of a core and 896 MiB each were granted.
    assert_eq!(usage.granted, amount(60, 53));
    story.seconds_pass(3);
    assert_eq!(story.accounts("export"), [usage, usage]);

    // A take-over: what went before it is missing, and what stands is counted from its start.
    story.comes("next", "export");
    let executor = executor_comes(&mut story, "next");
    story.seconds_pass(5);
    story.world.remove_pod(&executor.key);
    let stays = executor_comes(&mut story, "next");
    story.seconds_pass(5);
    story.is_down();
    story.lead(false);
    story.seconds_pass(5);
    story.world.remove_pod(&stays.key);
    story.ends("next");
    let next = story.usage("next").expect("its run was closed");
    assert_eq!(next.used, amount(25, 35), "15 s of a driver, 10 of an executor, and 5 that nobody knows of");
    story.seconds_pass(3);
    assert_eq!(story.accounts("export"), [usage.plus(next); 2]);
}

#[test]
fn executors_that_come_and_go_are_told_with_the_details_and_the_most_outlives_a_take_over() {
    let mut story = Story::new(vec![operation("export", None, &[])]);
    story.comes("runs", "export");
    story.seconds_pass(5);
    let before = story.writes[&key("runs")];
    let mut pods: Vec<Pod> = (0..3).map(|_| executor_comes(&mut story, "runs")).collect();
    for _ in 0..12 {
        story.seconds_pass(10);
        story.world.remove_pod(&pods.remove(0).key);
        pods.push(executor_comes(&mut story, "runs"));
    }
    let writes = story.writes[&key("runs")] - before;
    assert!((1..=4).contains(&writes), "{writes} writes in two minutes");
    story.seconds_pass(31);
    let told = |story: &Story| story.executors("runs").expect("it runs");
    assert_eq!(told(&story), ExecutorShare { granted: 1, ready: 3, peak: 3 });
    let quiet = story.writes[&key("runs")];
    story.seconds_pass(120);
    assert_eq!(story.writes[&key("runs")], quiet, "nothing has changed");
    story.is_down();
    story.lead(false);
    pods.iter().for_each(|pod| story.world.remove_pod(&pod.key));
    story.ends("runs");
    assert_eq!(told(&story), ExecutorShare { granted: 1, ready: 0, peak: 3 });
}

#[test]
fn a_keeper_that_dies_between_the_end_and_the_ledger_bills_what_the_end_says() {
    let mut story = Story::new(vec![operation("export", None, &[])]);
    story.comes("runs", "export");
    story.seconds_pass(30);
    story.loses_ledger_writes = true;
    story.ends("runs");
    let usage = story.usage("runs").expect("its run was closed");
    assert_eq!(story.accounts("export"), [Usage::default(); 2], "the ledger does not let go of it");
    story.is_down();
    story.loses_ledger_writes = false;
    story.world.now = slowlane::model::Time(story.world.now.0 + 60_000);
    story.lead(false);
    story.seconds_pass(5);
    assert_eq!(story.usage("runs"), Some(usage));
    assert_eq!(story.accounts("export"), [usage; 2], "whatever time it is when the next keeper comes");
}
