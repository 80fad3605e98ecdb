//! The whole product on a real Kubernetes, with the real spark-operator and real Spark (cluster `full`, `e2e/up`).
//!
//! Jobs go in as a user would put them in, with an own Operation a test; what they run, and how many at once, is judged
//! by an observer that watches Spark's objects and knows nothing of the keeper. A real run costs about a minute of both
//! cores: twelve of them here, no more.

mod keeper;
mod observer;
mod pods;
mod release;
mod world;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{RoundMode, Timestamp, ToSpan, Unit, ZonedRound};
use observer::Observer;
use serde_json::json;
use world::World;

/// A run takes a minute alone; several at once on two cores take longer.
const PATIENCE: Duration = Duration::from_mins(15);

const REPORT: &str = "s3a://lake/apps/daily_report.py";

#[tokio::test(flavor = "multi_thread")]
async fn three_jobs_of_one_operation_take_turns_and_each_answers_with_its_uri() {
    let world = World::connect().await;
    let observer = Observer::start(&world, &["take-turns"]).await;
    world.operation("take-turns", Some(1), report(&["--rows", "1000"])).await;
    let jobs = ["turn-a", "turn-b", "turn-c"];
    for job in jobs {
        world.job(job, json!({"operation": "take-turns"})).await;
    }

    world.wait_for("turn-a", PATIENCE, "runs", |job| job["status"]["state"] == "Running").await;
    for waiting in ["turn-b", "turn-c"] {
        let job = world
            .wait_for(waiting, PATIENCE, "says why it waits", |job| job["status"]["reason"] == "OperationLimitReached")
            .await;
        assert_eq!(job["status"]["state"], "Queued");
        let message = job["status"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("turn-a"), "it says behind whom: {message}");
        assert_eq!(condition(&job, "Admitted"), "False");
    }

    for job in jobs {
        let ended = world.end_of(job, PATIENCE).await;
        let uri = format!("s3a://lake/reports/{job}");
        assert_eq!(ended["status"]["state"], "Succeeded", "{ended:#}");
        assert_eq!(ended["status"]["resultUri"], uri);
        assert_eq!(ended["status"]["result"]["reportedBy"], "TerminationMessage");
        assert_eq!(ended["status"]["message"], uri, "the column shows the URI");
        assert_eq!(condition(&ended, "Succeeded"), "True");
        assert!(world.lake(&format!("reports/{job}/")).contains(".parquet"), "its files lie in the lake");
    }
    assert_eq!(observer.peak("take-turns"), 1, "never two at once: {}", observer.history());
    assert_eq!(observer.started(), 3, "each ran once: {}", observer.history());
}

/// Two operations write into one store. Its lock has two permits: a load takes one of them, an export both.
#[tokio::test(flavor = "multi_thread")]
async fn three_jobs_at_limit_two_run_two_at_once_and_one_of_another_operation_waits_for_their_lock() {
    let world = World::connect().await;
    let observer = Observer::start(&world, &["loads", "exports"]).await;
    let cluster = "store";
    let accept = json!([{"operations": ["jobs/loads", "jobs/exports"]}]);
    world.cluster(cluster, json!({"limits": {"locks": {"orders": 2}}, "accept": accept})).await;
    let operation = |permits: u32| {
        json!({"application": report(&["--rows", "1000"]), "defaults": {"clusterName": cluster},
            "locks": [{"name": "orders", "permits": permits}]})
    };
    let mut loads = operation(1);
    loads["maxConcurrentRuns"] = 2.into();
    world.declare("loads", loads).await;
    world.declare("exports", operation(2)).await;
    let jobs = ["load-1", "load-2", "load-3"];
    for job in jobs {
        world.job(job, json!({"operation": "loads"})).await;
    }
    for job in ["load-1", "load-2"] {
        world.wait_for(job, PATIENCE, "has a slot", |job| condition(job, "Admitted") == "True").await;
    }
    world.wait_for("load-3", PATIENCE, "waits", |job| job["status"]["reason"] == "OperationLimitReached").await;
    world.job("export-1", json!({"operation": "exports"})).await;
    let waits = world
        .wait_for("export-1", PATIENCE, "says who has the lock", |job| {
            let first = &job["status"]["queue"]["blockers"][0];
            first["reason"] == "LockTaken" && first["holders"].as_array().is_some_and(|holders| holders.len() == 2)
        })
        .await;
    assert_eq!(waits["status"]["reason"], "LockTaken", "{waits:#}");
    let message = waits["status"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("lock orders: 2 of 2 permits taken, needs 2: load-"), "{message}");

    for job in jobs.into_iter().chain(["export-1"]) {
        let ended = world.end_of(job, PATIENCE).await;
        assert_eq!(ended["status"]["state"], "Succeeded", "{ended:#}");
    }
    assert_eq!(observer.peak("loads"), 2, "two at once, never three: {}", observer.history());
    assert_eq!(observer.together(), 1, "an export never beside a load: {}", observer.history());
    assert_eq!(observer.started(), 4, "each ran once: {}", observer.history());
    world.clusters().delete(cluster, &kube::api::DeleteParams::default()).await.expect("it goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_on_the_jvm_runs_and_its_parameters_reach_it() {
    let world = World::connect().await;
    let application = json!({
        "type": "Java", "mainClass": "RegionTotals", "mainApplicationFile": "s3a://lake/apps/region-totals.jar",
        "arguments": ["$(result.uri)", "$(params.rows)"],
        "driver": {"cores": 1, "memory": "512m"}, "executor": {"cores": 1, "memory": "512m"},
    });
    world.operation("region-totals", None, application).await;
    let spec = json!({
        "operation": "region-totals", "parameters": {"rows": 5000}, "priority": "High",
        "result": {"uri": "s3a://lake/totals/$(job.name)"}, "correlationId": "full-7", "context": {"tenant": "t1"},
    });
    world.job("totals", spec).await;
    let ended = world.end_of("totals", PATIENCE).await;
    assert_eq!(ended["status"]["state"], "Succeeded", "{ended:#}");
    assert_eq!(ended["status"]["resultUri"], "s3a://lake/totals/totals");
    assert!(world.lake("totals/totals/").contains(".parquet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_spark_said() {
    let world = World::connect().await;
    world.operation("fails", Some(1), report(&["--fail", "--region", "atlantis"])).await;
    world.job("fails-1", json!({"operation": "fails"})).await;
    let ended = world.end_of("fails-1", PATIENCE).await;
    assert_eq!(ended["status"]["state"], "Failed", "{ended:#}");
    let message = ended["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("ValueError: no sales of region atlantis"), "{message}");
    assert!(ended["status"].get("resultUri").is_none(), "no URI without a success");
    assert_eq!(condition(&ended, "Succeeded"), "False");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keeper_is_killed_upgraded_removed_and_installed_in_mid_run_and_the_result_arrives_all_the_same() {
    let world = World::connect().await;
    let observer = Observer::start(&world, &["survives"]).await;
    let application = json!({
        "type": "Java", "mainClass": "RegionTotals", "mainApplicationFile": "s3a://lake/apps/region-totals.jar",
        "arguments": ["s3a://lake/totals/$(job.name)", "1000", "150"],
        "driver": {"cores": 1, "memory": "512m"}, "executor": {"cores": 1, "memory": "512m"},
    });
    world.operation("survives", Some(1), application).await;
    world.job("survivor", json!({"operation": "survives"})).await;
    world.wait_for("survivor", PATIENCE, "runs", |job| job["status"]["state"] == "Running").await;

    let before = keeper::leader(&world).await;
    keeper::kill_nine(&world, &before).await;
    let after = keeper::next_leader(&world, &before, Duration::from_mins(1)).await;
    assert_ne!(before, after, "somebody else leads");

    release::upgrade();
    keeper::next_leader(&world, &after, Duration::from_mins(1)).await;
    release::remove();
    let (finalizers, state) = world.application_of("survivor").await;
    assert_eq!((finalizers, state.as_str()), (Vec::new(), "RUNNING"), "it goes on, and nothing would hold it up");
    release::install();

    let ended = world.end_of("survivor", PATIENCE).await;
    assert_eq!(ended["status"]["state"], "Succeeded", "{ended:#}");
    assert_eq!(ended["status"]["resultUri"], "s3a://lake/totals/survivor");
    assert_eq!(ended["status"]["runs"].as_array().map(Vec::len), Some(1), "one run, not two");
    assert_eq!(observer.started(), 1, "Spark ran once: {}", observer.history());
}

/// The active cluster takes jobs until its window closes, the passive one from then on. What runs goes on: after that, and
/// after the pool was scaled to less than it takes.
#[tokio::test(flavor = "multi_thread")]
async fn the_active_cluster_hands_over_when_its_window_closes_and_what_runs_outlives_that_and_a_smaller_pool() {
    let world = World::connect().await;
    let application = json!({
        "type": "Java", "mainClass": "RegionTotals", "mainApplicationFile": "s3a://lake/apps/region-totals.jar",
        "arguments": ["s3a://lake/totals/$(job.name)", "1000", "$(params.seconds)"],
        "driver": {"cores": 1, "memory": "512m"}, "executor": {"cores": 1, "memory": "512m"},
    });
    world.operation("hand-over", None, application).await;
    let began = Timestamp::now().to_zoned(TimeZone::UTC);
    let opened = began.round(ZonedRound::new().smallest(Unit::Minute).mode(RoundMode::Trunc)).expect("a minute");
    // From 80 to 140 seconds, to the minute.
    let open_for: i64 = if began.second() <= 40 { 2 } else { 3 };
    let closes = opened.checked_add(open_for.minutes()).expect("minutes later").timestamp();
    let schedule = opened.strftime("%M %H * * *").to_string();
    let hours = json!([{"name": "hours", "schedule": schedule, "duration": format!("{open_for}m")}]);
    let only = |when: &str| json!([{when: ["hours"], "operations": ["jobs/hand-over"]}]);
    let (active, passive) = ("hand-over-active", "hand-over-passive");
    let one = json!({"maxConcurrentJobs": 1});
    world.cluster(active, json!({"limits": one, "windows": hours, "accept": only("during")})).await;
    world.cluster(passive, json!({"limits": one, "windows": hours, "accept": only("outside")})).await;
    let selector = json!({"matchLabels": {"of": "acceptance"}});
    let job = |seconds: u32| json!({"operation": "hand-over", "clusterSelector": selector, "parameters": {"seconds": seconds}});
    // Longer than the window is open.
    let mut day_job = job(145);
    day_job["executors"] = json!({"min": 2});
    world.job("day-job", day_job).await;
    world.wait_for("day-job", PATIENCE, "starts", |job| job["status"]["clusterName"] == active).await;
    world.job("night-job", job(0)).await;
    let waits = world
        .wait_for("night-job", PATIENCE, "says why it waits", |job| job["status"]["reason"] == "ClusterLimitReached")
        .await;
    let blockers = waits["status"]["queue"]["blockers"].to_string();
    assert!(blockers.contains("OutsideWindow") && blockers.contains("hand-over-passive accepts it from"), "{blockers}");

    let before = pods::running(&world, "day-job", 3).await;
    world.scale(active, 1);
    world
        .wait_for_cluster(active, "has a pool of one", |cluster| {
            let conditions = cluster["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let words = conditions.iter().find(|it| it["type"] == "Scaled").and_then(|it| it["message"].as_str());
            let said = words.is_some_and(|words| words.ends_with("to 1 executors: it holds 0 to 1"));
            let executors = &cluster["status"]["executors"];
            said && executors["desired"] == 1 && executors["inUse"] == 2
        })
        .await;
    world.wait_for("night-job", PATIENCE, "starts", |job| job["status"]["clusterName"] == passive).await;
    assert_eq!(pods::all(&world, "day-job").await, before, "driver and executors are the same, and none began anew");

    let night = world.end_of("night-job", PATIENCE).await;
    assert_eq!((&night["status"]["state"], &night["status"]["clusterName"]), (&json!("Succeeded"), &json!(passive)));
    let start: Timestamp = night["status"]["startTime"].as_str().and_then(|text| text.parse().ok()).expect("a time");
    assert!(start >= closes && start < closes + 15.seconds(), "it started at {start}; the window closed at {closes}");
    let day = world.end_of("day-job", PATIENCE).await;
    assert_eq!((&day["status"]["state"], &day["status"]["clusterName"]), (&json!("Succeeded"), &json!(active)));
    assert_eq!(day["status"]["runs"].as_array().map(Vec::len), Some(1), "it went on over the edge");
    assert_eq!(day["status"]["resultUri"], "s3a://lake/totals/day-job");
    for cluster in [active, passive] {
        world.clusters().delete(cluster, &kube::api::DeleteParams::default()).await.expect("it goes");
    }
}

fn report(arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["s3a://lake/reports/$(job.name)"];
    all.extend(arguments);
    json!({
        "type": "Python", "mainApplicationFile": REPORT, "arguments": all,
        "driver": {"cores": 1, "memory": "512m"}, "executor": {"cores": 1, "memory": "512m"},
    })
}

fn condition<'a>(job: &'a serde_json::Value, kind: &str) -> &'a str {
    let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or("(missing)")
}
