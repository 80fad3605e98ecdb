//! What people, applications and other programs write where the keeper reads: nothing of it stops the keeper, none of it
//! passes for a result, and none of it comes out again as it came in.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use slowlane::api::v1alpha1::{JobState, ManagedJob, Operation, RunOutcome};
use slowlane::model::child_name;

use crate::keeper::Keeper;
use crate::operator::{Operator, Play, ended};
use crate::scene::{all_is_well, one_runs_and_one_waits};
use crate::world::{World, eventually, message_of, reason_of, state_of};

const FORGED: &str = "s3a://evil/forged";

fn result_of(job: &ManagedJob) -> Option<&str> {
    job.status.as_ref()?.result_uri.as_deref()
}

// ---- what an application says ---------------------------------------------------------------------------------------

#[tokio::test]
async fn no_termination_message_is_a_result_but_one_that_reports_it() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let uri = |uri: &str| json!({"resultUri": uri}).to_string();
    let binary: String = (0..4096_u32).filter_map(|byte| char::from_u32(byte % 256)).collect();
    let messages = [
        ("nothing", String::new()),
        ("no-json", "done.\nresultUri: s3a://lake/x".into()),
        ("half-json", "{\"resultUri\": \"s3a://lake/x\"".into()),
        ("a-number", "{\"resultUri\": 3}".into()),
        ("a-list", "[{\"resultUri\": \"s3a://lake/x\"}]".into()),
        ("binary", binary),
        ("colours", "\u{0}\u{1b}[31m".repeat(500)),
        ("braces", "{".repeat(4096)),
        ("deep", format!("{{\"a\": {}1{}, \"resultUri\": \"s3a://lake/x\"}}", "[".repeat(2000), "]".repeat(2000))),
        ("huge", "x".repeat(400_000)),
        ("script", uri("javascript:alert(1)")),
        ("file", uri("file:///var/run/secrets/kubernetes.io/serviceaccount/token")),
        ("signed", uri("https://store/report?X-Amz-Signature=abc")),
        ("broken", uri("s3a://lake/a\nb\u{1b}[31m")),
        ("long", uri(&format!("s3a://lake/{}", "x".repeat(2000)))),
    ];
    for (job, message) in &messages {
        operator.play(job, Play::Succeed(message.clone()));
        world.job(job, "report", json!({})).await;
    }
    for (job, _) in &messages {
        let done = world.job_in(job, JobState::Succeeded).await;
        assert_eq!(result_of(&done), None, "{job}");
        assert!(!json!(done.status).to_string().contains("\\u001b"), "{job}");
        let refused = message_of(&done).starts_with("the result that it reported cannot be published: ");
        assert_eq!(
            refused,
            ["script", "file", "signed", "broken", "long"].contains(job),
            "{job}: {}",
            message_of(&done)
        );
    }
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn logs_events_and_statuses_carry_no_secrets_and_no_control_characters() {
    let world = World::new().await;
    // Where credentials can stand at all: a template, an environment variable with a harmless name, parameters.
    let template = json!({"template": {"hadoopConf": {"fs.s3a.secret.key": "secret-of-the-store"},
        "sparkConf": {"spark.hadoop.fs.s3a.access.key": "secret-of-the-key"}}});
    let patch = Patch::Merge(json!({"spec": template}));
    world.clusters().patch(&world.cluster, &PatchParams::default(), &patch).await.unwrap();
    let application = json!({"env": {"SESSION": "secret-of-the-environment"}, "arguments": ["$(params.token)"]});
    world.operation("report", json!({"application": application})).await;
    world.operation("lacking", json!({"application": {"arguments": ["$(params.token)", "$(params.day)"]}})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let loud = "Traceback (most recent call last):\n  File \"x\"\nValueError: \u{1b}[31mred\u{1b}[0m\u{7}\r\u{202e}end";
    operator.play("fails", Play::Fail(1, "Error", loud.into()));
    let signed = "https://lake.example.com/x?X-Amz-Signature=secret-of-the-signature";
    operator.play("signs", Play::Succeed(json!({"resultUri": signed}).to_string()));
    let keyed = Play::Succeed(json!({"resultUri": "s3a://key:secret-of-the-uri@lake/x"}).to_string());
    operator.play("keyed", keyed);
    operator.play("late", Play::Wait("ErrImagePull", "cannot\npull\u{1b}[31m it".into()));
    operator.play("unsubmitted", Play::FailToSubmit("spark-submit\n\u{1b}[31mException: no\u{0} room".into()));
    let more = |timeout: u32| {
        json!({"parameters": {"token": "secret-of-the-parameters"}, "context": {"key": "secret-of-the-context"},
            "correlationId": "c\n1\u{1b}[31m", "submittedBy": "a\nb", "startTimeoutSeconds": timeout})
    };
    for (job, operation) in [
        ("fails", "report"),
        ("late", "report"),
        ("unsubmitted", "report"),
        ("waits", "lacking"),
        ("signs", "report"),
        ("keyed", "report"),
    ] {
        world.job(job, operation, more(6)).await;
    }
    let mut declares = more(6);
    declares["result"] = json!({"uri": "s3a://key:$(params.token)@lake/x"});
    world.job("declares", "report", declares).await;
    for job in ["fails", "late", "unsubmitted"] {
        world.job_in(job, JobState::Failed).await;
    }
    for (job, place) in [("signs", "https://lake.example.com/..."), ("keyed", "s3a://lake/...")] {
        let done = world.job_in(job, JobState::Succeeded).await;
        assert!(message_of(&done).contains(place), "{}", message_of(&done));
    }
    world.job_that("declares", |job| message_of(job).contains("s3a://lake/...")).await;
    world.job_that("waits", |job| reason_of(job) == "InvalidParameters").await;
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
    assert!(events.len() >= 4, "{} events", events.len());
    let jobs = world.jobs().list(&ListParams::default()).await.unwrap().items;
    let statuses: String = jobs.iter().map(|job| json!(job.status).to_string()).collect();
    let told = [keeper.log(), json!(events).to_string(), statuses];
    for (text, place) in told.iter().zip(["log", "events", "statuses"]) {
        assert!(text.contains("fails"), "{place}: {text}");
        assert!(!text.contains("secret-of"), "{place}: {text}");
        let loud = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(loud) && !text.contains("\\u00") && !text.contains("\\n"), "{place}: {text}");
    }
    assert!(told[0].lines().all(|line| line.starts_with("20")), "each line begins with its time: {}", told[0]);
    drop(keeper);
    world.remove().await;
}

// ---- labels and annotations -----------------------------------------------------------------------------------------

/// Everything that the keeper writes on its own objects, as somebody else may write it on his.
fn reserved(uid: &str, run: &str) -> Value {
    json!({
        "labels": {"slowlane.dev/job-uid": uid, "slowlane.dev/run": run, "slowlane.dev/operation": "x",
            "slowlane.dev/cluster": "x", "spark-role": "driver", "app.kubernetes.io/managed-by": "slowlane"},
        "annotations": {"slowlane.dev/job": "first", "slowlane.dev/operation": "x", "slowlane.dev/cluster": "a b",
            "slowlane.dev/grant": "executors=1..999999999,cores=999999999,memory=9Ei",
            "slowlane.dev/placeholder": "Replan", "slowlane.dev/result-uri": FORGED,
            "slowlane.dev/correlation-id": "c\n\u{1b}[31m"},
    })
}

fn with_name(mut metadata: Value, name: &str) -> Value {
    metadata["name"] = json!(name);
    metadata
}

/// A pod that says that it is the driver of a run, and that this has reported a result.
async fn forge_pod(world: &World, name: &str, metadata: Value, phase: &str) {
    let pod = json!({"metadata": with_name(metadata, name),
        "spec": {"schedulerName": "nobody", "automountServiceAccountToken": false,
            "containers": [{"name": "spark-kubernetes-driver", "image": "x"}]}});
    let pods: Api<Pod> = world.api();
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let message = json!({"resultUri": FORGED}).to_string();
    let status = if phase == "Succeeded" { ended(phase, 0, "Completed", &message) } else { json!({"phase": phase}) };
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
}

#[tokio::test]
async fn reserved_labels_and_annotations_on_jobs_and_operations_mean_nothing() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let uid = world.jobs().get("first").await.unwrap().uid().unwrap();
    let job = json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "ManagedJob",
        "metadata": with_name(reserved(&uid, "1"), "third"), "spec": {"operation": "labelled"}});
    let job: ManagedJob = serde_json::from_value(job).unwrap();
    world.operation("labelled", json!({})).await;
    let patch = Patch::Merge(json!({"metadata": reserved(&uid, "1")}));
    world.api::<Operation>().patch("labelled", &PatchParams::default(), &patch).await.unwrap();
    world.jobs().create(&PostParams::default(), &job).await.unwrap();
    let done = world.job_in("third", JobState::Succeeded).await;
    assert_eq!(result_of(&done), Some("s3a://lake/third"));
    let name = child_name("third", done.uid().unwrap(), 1);
    let application = world.applications().get(&name).await.unwrap();
    assert_eq!(application.labels()["slowlane.dev/job-uid"], done.uid().unwrap());
    assert!(!application.annotations().contains_key("slowlane.dev/placeholder"));
    all_is_well(&world, &operator).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn a_pod_with_the_labels_of_a_run_tells_nothing_of_its_end_and_holds_its_slot_while_it_lives() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let uid = world.jobs().get("first").await.unwrap().uid().unwrap();
    forge_pod(&world, "a-forged-driver", reserved(&uid, "1"), "Succeeded").await;
    forge_pod(&world, "a-live-driver", reserved(&uid, "1"), "Running").await;
    for (number, run) in ["2", "0", "99999999999999999999", "one"].into_iter().enumerate() {
        forge_pod(&world, &format!("odd-{number}-driver"), reserved(&uid, run), "Succeeded").await;
        forge_pod(&world, &format!("odder-{number}"), reserved("nobody", run), "Running").await;
    }
    operator.play("first", Play::Fail(1, "Error", "ValueError: its own word".into()));
    world.job_in("first", JobState::Finishing).await;
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    assert_eq!(operator.submissions("second"), 0);
    world.api::<Pod>().delete("a-live-driver", &DeleteParams::default()).await.unwrap();
    let failed = world.job_in("first", JobState::Failed).await;
    assert!(message_of(&failed).contains("its own word"), "{}", message_of(&failed));
    assert_eq!(result_of(&failed), None);
    world.job_in("second", JobState::Succeeded).await;
    drop(keeper);
    world.remove().await;
}

/// The spark-operator gives a driver the name that its application asks for, and its webhook writes the owner.
#[tokio::test]
async fn a_driver_of_another_application_under_the_name_of_ours_tells_nothing() {
    let world = World::new().await;
    world.operation("report", json!({})).await;
    let (keeper, operator) = (Keeper::start(&world), Operator::start(&world));
    let theirs = make_application(&world, json!({"name": "theirs"})).await;
    operator.play("first", Play::Ignore);
    world.job("first", "report", json!({})).await;
    let uid = world.job_in("first", JobState::Starting).await.uid().unwrap();
    let name = child_name("first", &uid, 1);
    let applications = world.applications();
    eventually(|| applications.get(&name)).await;
    let mut metadata = reserved(&uid, "1");
    metadata["ownerReferences"] = json!([{"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "name": theirs.name_any(), "uid": theirs.uid(), "controller": true}]);
    forge_pod(&world, &format!("{name}-driver"), metadata, "Succeeded").await;
    world.job("other", "report", json!({})).await;
    world.job_in("other", JobState::Succeeded).await;
    let first = world.jobs().get("first").await.unwrap();
    assert_eq!((state_of(&first), result_of(&first)), (Some(JobState::Starting), None));
    world.api::<Pod>().delete(&format!("{name}-driver"), &DeleteParams::default()).await.unwrap();
    operator.play("first", Play::Succeed(json!({"resultUri": "s3a://lake/first"}).to_string()));
    assert_eq!(result_of(&world.job_in("first", JobState::Succeeded).await), Some("s3a://lake/first"));
    assert_eq!(operator.submissions("first"), 1);
    drop(keeper);
    world.remove().await;
}

/// Somebody's own application.
async fn make_application(world: &World, metadata: Value) -> DynamicObject {
    let mut object = DynamicObject::new("", &slowlane::spark::api_resource());
    object.metadata = serde_json::from_value(metadata).unwrap();
    object.data = json!({"spec": {"type": "Scala", "mode": "cluster", "sparkVersion": "4.0.1", "suspend": true,
        "mainClass": "theirs", "mainApplicationFile": "local:///theirs", "driver": {}, "executor": {}}});
    world.applications().create(&PostParams::default(), &object).await.unwrap()
}

#[tokio::test]
async fn an_application_with_reserved_labels_that_is_not_ours_is_left_alone() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let uid = world.jobs().get("first").await.unwrap().uid().unwrap();
    let odd = [(uid.as_str(), "1"), (uid.as_str(), "2"), (uid.as_str(), "x"), ("nobody", "1"), ("", "")];
    let mut made = Vec::new();
    for (number, (uid, run)) in odd.into_iter().enumerate() {
        made.push(make_application(&world, with_name(reserved(uid, run), &format!("theirs-{number}"))).await);
    }
    all_is_well(&world, &operator).await;
    for theirs in made {
        let left = world.applications().get(&theirs.name_any()).await.unwrap();
        assert_eq!((left.uid(), left.resource_version()), (theirs.uid(), theirs.resource_version()));
    }
    drop(keeper);
    world.remove().await;
}

// ---- statuses -------------------------------------------------------------------------------------------------------

async fn forge_status(world: &World, job: &str, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    world.jobs().patch_status(job, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_status_that_somebody_else_writes_makes_no_result_and_no_end_of_a_run() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let forged = json!([{"number": 1, "outcome": "Succeeded", "resultUri": FORGED, "driverPod": "x"}]);
    forge_status(&world, "first", json!({"runs": forged})).await;
    let odd = json!({"state": "Queued", "reason": "Odd", "message": "\u{1b}[31m\n", "observedGeneration": 99,
        "clusterName": "nowhere", "runs": [{"number": 7, "outcome": "Cancelled", "applicationId": "x"}],
        "queue": {"position": 1, "blockers": [{"reason": "Odd", "holders": ["\u{1b}"]}]}});
    forge_status(&world, "second", odd).await;
    world.job("third", "other", json!({})).await;
    world.job_in("third", JobState::Succeeded).await;
    operator.play("first", Play::Fail(1, "Error", "ValueError: its own word".into()));
    let failed = world.job_in("first", JobState::Failed).await;
    assert!(message_of(&failed).contains("its own word"), "{}", message_of(&failed));
    assert_eq!(result_of(&failed), None);
    assert_eq!(failed.status.unwrap().runs[0].outcome, Some(RunOutcome::Failed));
    let done = world.job_in("second", JobState::Succeeded).await;
    assert_eq!(result_of(&done), Some("s3a://lake/second"));
    assert_eq!((operator.submissions("first"), operator.submissions("second")), (1, 1));
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn an_end_that_somebody_else_writes_ends_the_run_frees_the_slot_after_it_and_is_told() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    world.job("third", "report", json!({})).await;
    world.job_in("third", JobState::Queued).await;
    forge_status(&world, "first", json!({"state": "Succeeded", "resultUri": FORGED})).await;
    forge_status(&world, "third", json!({"state": "Failed"})).await;
    world.job_in("second", JobState::Succeeded).await;
    assert_eq!((operator.peak(), operator.submissions("third")), (1, 0));
    for job in ["first", "third"] {
        eventually(|| async {
            let events = world.api::<Event>().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let told = events.iter().any(|event| {
                (event.reason.as_deref(), event.involved_object.name.as_deref()) == (Some("EndedByOthers"), Some(job))
            });
            if told { Ok(()) } else { Err(format!("{} events", events.items.len())) }
        })
        .await;
    }
    drop(keeper);
    world.remove().await;
}
