//! What went wrong elsewhere when a keeper was restarted, or wrote too much, as stories here: each by the repository and the
//! number under which it was told.

use slowlane::model::{JobState, Operation};

use crate::story::{Story, key, operation};

/// After a restart the first holder of each semaphore was forgotten: the next workflow ran beside it.
/// And a lock that was taken before the restart was never released by its holder's end (8684).
#[test]
fn peer_argo_workflows_10286() {
    let mut story = Story::new(vec![operation("report", None, &[("orders", 1)])]);
    story.comes("holds", "report");
    story.comes("waits", "report");
    story.is_down();
    story.lead(false);
    story.seconds_pass(120);
    assert!(story.runs("holds") && !story.runs("waits"), "a lock outlives the keeper that gave it");
    assert_eq!(story.told("waits"), (JobState::Queued, "LockTaken"));
    story.ends("holds");
    assert!(story.runs("waits"), "whoever gave it, its holder's end frees it");
}

/// After a restart the list showed those that waited before those that ran: as many again were started.
#[test]
fn peer_argo_workflows_6599() {
    let mut story = Story::new(vec![operation("export", Some(2), &[])]);
    for job in ["y-runs", "z-runs", "a-waits", "b-waits"] {
        story.comes(job, "export");
    }
    story.is_down();
    story.lead(false);
    story.seconds_pass(120);
    let running: Vec<_> =
        ["a-waits", "b-waits", "y-runs", "z-runs"].into_iter().filter(|job| story.runs(job)).collect();
    assert_eq!(running, ["y-runs", "z-runs"]);
    assert_eq!(story.told("a-waits"), (JobState::Queued, "OperationLimitReached"));
}

/// Finished workflows that were still there counted against the limit: 2,000 of them, none ran, and none was started.
#[test]
fn peer_argo_workflows_12541() {
    let mut story = Story::new(vec![operation("export", Some(2), &[])]);
    for number in 0..6 {
        let job = format!("done-{number}");
        story.comes(&job, "export");
        story.ends(&job);
    }
    story.seconds_pass(5);
    assert_eq!(story.world.apps.len(), 6, "their applications are kept for an hour");
    story.comes("next", "export");
    assert!(story.runs("next"));
    story.is_down();
    story.lead(false);
    story.comes("after", "export");
    assert!(story.runs("after"), "nor does the next keeper count them");
}

/// A limit was lowered, then the scheduler was restarted: what ran above the limit was to be left out of what it counted.
#[test]
fn peer_yunikorn_core_1068() {
    let mut story = Story::new(vec![operation("export", Some(3), &[])]);
    ["a", "b", "c", "next"].into_iter().for_each(|job| story.comes(job, "export"));
    story.is_down();
    let lower = Operation { generation: 2, ..operation("export", Some(2), &[]) };
    story.world.put_operation(lower);
    story.lead(false);
    story.seconds_pass(120);
    assert!(["a", "b", "c"].into_iter().all(|job| story.runs(job)), "a lower limit ends nothing");
    for (ended, starts) in [("a", false), ("b", true)] {
        story.ends(ended);
        assert_eq!(story.runs("next"), starts, "all that run count, until there are fewer than the limit");
    }
}

/// Jobs that came while the part that starts them was away stayed pending when it was back.
#[test]
fn peer_pipelines_as_code_1790() {
    let mut story = Story::new(vec![operation("export", Some(1), &[])]);
    story.is_down();
    story.world.events.clear();
    ["first", "second"].into_iter().for_each(|job| story.comes(job, "export"));
    assert!(!story.runs("first"));
    story.lead(false);
    story.seconds_pass(120);
    assert!(story.runs("first") && !story.runs("second"));
    story.ends("first");
    assert!(story.runs("second"));
}

/// Each workload that waited was written to at every cycle, though only the numbers in its message were others.
#[test]
fn peer_kueue_8139() {
    let mut story = Story::new(vec![operation("export", Some(1), &[])]);
    let jobs: Vec<String> = (0..100).map(|number| format!("job-{number:03}")).collect();
    jobs.iter().for_each(|job| story.comes(job, "export"));
    story.seconds_pass(5);
    let before = story.writes.clone();
    for job in &jobs[..20] {
        story.ends(job);
        story.seconds_pass(5);
    }
    let again = |job: &&String| story.writes[&key(job)] != before[&key(job)];
    let behind: Vec<_> = jobs[60..].iter().filter(again).collect();
    assert!(behind.is_empty(), "far from the head nothing is written anew: {behind:?}");
    // Twenty near the head say who is before them, every half a minute at most.
    let near: u32 = jobs[20..60].iter().map(|job| story.writes[&key(job)] - before[&key(job)]).sum();
    assert!(near <= 4 * 20, "{near} writes");
}
