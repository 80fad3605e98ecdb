//! Commands on a real API server behind a proxy that breaks things: whatever happens, the receipt says no more than is
//! known.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use slowlane::api::v1alpha1::{ManagedJob, RunLedger};
use slowlane::clock::Clock;
use slowlane::command::{Announcement, Command, Failure, Receipt};
use slowlane::config::PlaceholderSettings;
use slowlane::lease::{Fence, Leadership};
use slowlane::model::{
    ApplicationSeen, Footprint, Holder, JobState, JobStatus, Ledger, LedgerVersion, Locks, ObjectKey, Placeholder,
    PodSize, RunId, Time, Uid, child_name,
};
use slowlane::observe::Metrics;
use slowlane::watch::Catalog;
use slowlane::writer::{Caller, Execute, Executor, Names};
use tokio::sync::watch;

use crate::proxy::{Fault, Proxy};
use crate::world::{World, eventually};

/// How long a request may take here.
const SHORT: Duration = Duration::from_millis(1500);

struct Bench {
    world: World,
    proxy: Proxy,
    executor: Executor,
    leadership: watch::Sender<Leadership>,
}

impl Bench {
    async fn new() -> Self {
        let (world, proxy) = (World::new().await, Proxy::start().await);
        let clock = Clock::start();
        let mut led = Leadership::none(clock.instant());
        (led.leading, led.valid_until) = (true, clock.instant() + Duration::from_mins(10));
        let (leadership, receiver) = watch::channel(led);
        let executor = executor(&proxy.client(), &world.namespace, clock, receiver);
        Self { world, proxy, executor, leadership }
    }

    async fn execute(&self, command: Command) -> Receipt {
        self.executor.clone().execute(command).await.expect("a command is answered")
    }

    async fn read_ledger(&self) -> Result<Option<(LedgerVersion, Box<Ledger>)>, Failure> {
        match self.execute(Command::ReadLedger).await {
            Receipt::LedgerRead(result) => result,
            other => panic!("{other:?}"),
        }
    }

    async fn write_ledger(&self, base: Option<&LedgerVersion>, ledger: &Ledger) -> Result<LedgerVersion, Failure> {
        let command = Command::WriteLedger { base: base.cloned(), ledger: Arc::new(ledger.clone()) };
        match self.execute(command).await {
            Receipt::LedgerWritten(result) => result,
            other => panic!("{other:?}"),
        }
    }

    async fn create(
        &self,
        run: &RunId,
        holder: &Holder,
        placeholder: Option<Placeholder>,
    ) -> Result<Box<ApplicationSeen>, Failure> {
        let command = Command::CreateApplication { run: run.clone(), holder: Arc::new(holder.clone()), placeholder };
        match self.execute(command).await {
            Receipt::Created { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    async fn confirm(&self, run: &RunId, holder: &Holder) -> Option<Box<ApplicationSeen>> {
        let command = Command::ConfirmRun { run: run.clone(), key: key_of(run, holder) };
        match self.execute(command).await {
            Receipt::Confirmed { result, .. } => result.expect("it can be read").0,
            other => panic!("{other:?}"),
        }
    }

    /// A job that is in the API, and the place that its run would have.
    async fn granted(&self) -> (RunId, Holder) {
        let job = self.world.job("daily", "report", json!({})).await;
        let run = RunId { job: job.uid().expect("a UID").as_str().into(), number: 1 };
        (run, self.holder("daily"))
    }

    fn holder(&self, job: &str) -> Holder {
        let pod = PodSize { milli_cores: 1000, memory_mib: 2000 };
        Holder {
            job: ObjectKey::new(self.world.namespace.as_str(), job),
            operation: "report".into(),
            cluster: self.world.cluster.as_str().into(),
            footprint: Footprint { driver: pod, executor: pod },
            min_executors: 1,
            max_executors: 1,
            locks: Locks::default(),
            expected: None,
            granted: Time(1000),
            seen: false,
        }
    }

    async fn end(self) {
        let Self { world, leadership, .. } = self;
        drop(leadership);
        world.remove().await;
    }
}

fn executor(client: &Client, namespace: &str, clock: Clock, leadership: watch::Receiver<Leadership>) -> Executor {
    let metrics = Metrics::new();
    let caller = Caller::new(clock, Fence::new(leadership), SHORT, metrics.clone());
    let names = Names {
        namespace: namespace.into(),
        ledger: "slowlane".into(),
        instance: "test".into(),
        placeholders: PlaceholderSettings::default(),
    };
    Executor::new(client.clone(), caller, names, Catalog::default(), clock, metrics)
}

fn key_of(run: &RunId, holder: &Holder) -> ObjectKey {
    let name = child_name(&holder.job.name, &run.job, run.number);
    ObjectKey::new(holder.job.namespace.clone(), name)
}

fn run(uid: &str) -> RunId {
    RunId { job: uid.into(), number: 1 }
}

fn ledger_with(bench: &Bench, limit: u32, runs: &[&str]) -> Ledger {
    let mut ledger = Ledger { epoch: 1, sequence: 1, leader: "test".into(), ..Ledger::default() };
    for uid in runs {
        ledger.holders.insert(run(uid), Arc::new(bench.holder(uid)));
    }
    ledger.operation_limits.insert(ObjectKey::new(bench.world.namespace.as_str(), "report"), limit);
    ledger
}

fn status(state: JobState) -> JobStatus {
    JobStatus {
        observed_generation: 1,
        state,
        reason: "Testing",
        message: "words".into(),
        created: Time(1000),
        since: Time(2000),
        accepted: Some(Time::default()),
        let_in: true,
        cluster: None,
        queue: None,
        runs: vec![],
        start: None,
        completion: state.is_terminal().then_some(Time(3000)),
        waited: None,
        took: None,
        executors: None,
        usage: None,
        result: None,
        declared_result: false,
    }
}

// ---- the ledger -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_missing_ledger_is_an_answer_and_a_written_one_is_read_back() {
    let bench = Bench::new().await;
    assert_eq!(bench.read_ledger().await, Ok(None));
    let ledger = ledger_with(&bench, 2, &["a", "b"]);
    let version = bench.write_ledger(None, &ledger).await.unwrap();
    assert_eq!(bench.read_ledger().await, Ok(Some((version, Box::new(ledger)))));
    bench.end().await;
}

#[tokio::test]
async fn of_two_writes_on_the_same_version_one_conflicts() {
    let bench = Bench::new().await;
    let base = bench.write_ledger(None, &ledger_with(&bench, 1, &[])).await.unwrap();
    assert!(matches!(bench.write_ledger(None, &ledger_with(&bench, 1, &[])).await, Err(Failure::Conflict(_))));
    let (one, other) = (ledger_with(&bench, 1, &["a"]), ledger_with(&bench, 1, &["b"]));
    let both = tokio::join!(bench.write_ledger(Some(&base), &one), bench.write_ledger(Some(&base), &other));
    let conflicts = |result: &Result<_, Failure>| matches!(result, Err(Failure::Conflict(_)));
    assert!(conflicts(&both.0) != conflicts(&both.1), "{both:?}");
    bench.end().await;
}

#[tokio::test]
async fn the_api_server_itself_refuses_an_over_full_ledger() {
    let bench = Bench::new().await;
    let full = bench.write_ledger(None, &ledger_with(&bench, 1, &["a"])).await.unwrap();
    let refused = bench.write_ledger(Some(&full), &ledger_with(&bench, 1, &["a", "b"])).await.unwrap_err();
    let Failure::Denied(words) = refused else { panic!("{refused:?}") };
    assert!(words.contains("2 holders exceed limit 1"), "{words}");
    bench.end().await;
}

#[tokio::test]
async fn a_ledger_write_whose_answer_is_lost_is_unknown_and_shows_itself_when_read() {
    let bench = Bench::new().await;
    for fault in [Fault::LoseAnswer, Fault::CutAnswer] {
        let base = bench.read_ledger().await.unwrap();
        let (base, sequence) = base.map_or((None, 0), |(version, ledger)| (Some(version), ledger.sequence));
        let ledger = Ledger { sequence: sequence + 1, ..ledger_with(&bench, 1, &["a"]) };
        let method = if base.is_some() { Method::PUT } else { Method::POST };
        bench.proxy.fail(method, "runledgers", fault, 1);
        assert!(matches!(bench.write_ledger(base.as_ref(), &ledger).await, Err(Failure::Unknown(_))));
        assert_eq!(*bench.read_ledger().await.unwrap().unwrap().1, ledger);
    }
    bench.end().await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_understood_is_not_an_empty_one() {
    let bench = Bench::new().await;
    bench.write_ledger(None, &ledger_with(&bench, 1, &["a"])).await.unwrap();
    let limits = json!({format!("op/{}/report", bench.world.namespace): {"holders": {"a.1": "garbage"}}});
    let patch = Patch::Merge(json!({"spec": {"limits": limits}}));
    let ledgers: Api<RunLedger> = bench.world.api();
    ledgers.patch("slowlane", &PatchParams::default(), &patch).await.unwrap();
    assert!(matches!(bench.read_ledger().await, Err(Failure::Denied(_))));
    bench.end().await;
}

// ---- what an answer means -------------------------------------------------------------------------------------------

#[tokio::test]
async fn what_was_turned_away_did_not_happen_and_what_broke_may_have() {
    let bench = Bench::new().await;
    for (code, sure) in [(429, true), (401, true), (500, false), (502, false), (503, false), (504, false)] {
        bench.proxy.fail(Method::GET, "runledgers", Fault::Refuse(code), 1);
        let failure = bench.read_ledger().await.unwrap_err();
        assert_eq!(matches!(failure, Failure::NotSent(_)), sure, "{code}: {failure:?}");
        assert_eq!(matches!(failure, Failure::Unknown(_)), !sure, "{code}: {failure:?}");
    }
    for (code, overloaded) in [(429, true), (500, false)] {
        bench.executor.take_overloaded();
        bench.proxy.fail(Method::GET, "runledgers", Fault::Refuse(code), 1);
        bench.read_ledger().await.unwrap_err();
        assert_eq!(bench.executor.take_overloaded(), overloaded);
    }
    bench.end().await;
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let bench = Bench::new().await;
    for fault in [Fault::Refuse(429), Fault::Refuse(503), Fault::CutAnswer, Fault::Hang] {
        bench.proxy.fail(Method::GET, "runledgers", fault, 1000);
        let before = bench.proxy.requests();
        bench.read_ledger().await.unwrap_err();
        assert_eq!(bench.proxy.requests() - before, 1, "{fault:?}");
    }
    bench.end().await;
}

#[tokio::test]
async fn nothing_is_sent_once_the_lease_is_gone() {
    let bench = Bench::new().await;
    bench.leadership.send_modify(|leadership| leadership.leading = false);
    let before = bench.proxy.requests();
    assert!(matches!(bench.read_ledger().await, Err(Failure::NotSent(_))));
    let (run, holder) = (run("u"), bench.holder("daily"));
    let created = bench.create(&run, &holder, Some(Placeholder::End)).await;
    assert!(matches!(created, Err(Failure::NotSent(_))));
    assert_eq!(bench.proxy.requests(), before);
    bench.end().await;
}

#[tokio::test]
async fn a_request_ends_with_the_lease() {
    let bench = Bench::new().await;
    let soon = tokio::time::Instant::now() + Duration::from_millis(300);
    bench.leadership.send_modify(|leadership| leadership.valid_until = soon);
    bench.proxy.fail(Method::GET, "runledgers", Fault::Hang, 1);
    let asked = tokio::time::Instant::now();
    assert!(matches!(bench.read_ledger().await, Err(Failure::Unknown(_))));
    assert!(asked.elapsed() < SHORT / 2, "{:?}", asked.elapsed());
    bench.end().await;
}

#[tokio::test]
async fn without_a_server_nothing_happened() {
    let clock = Clock::start();
    let mut led = Leadership::none(clock.instant());
    (led.leading, led.valid_until) = (true, clock.instant() + Duration::from_mins(10));
    let (_leadership, receiver) = watch::channel(led);
    let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let executor = executor(&Client::try_from(config).unwrap(), "default", clock, receiver);
    let receipt = executor.execute(Command::ReadLedger).await.unwrap();
    assert!(matches!(receipt, Receipt::LedgerRead(Err(Failure::NotSent(_)))), "{receipt:?}");
}

// ---- applications ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_second_create_of_a_run_finds_what_the_first_one_made() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    let first = bench.create(&run, &holder, Some(Placeholder::End)).await.unwrap();
    let second = bench.create(&run, &holder, Some(Placeholder::End)).await.unwrap();
    assert_eq!(first, second);
    assert_eq!((first.run.as_ref(), first.placeholder, first.held), (Some(&run), Some(Placeholder::End), true));
    bench.end().await;
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_by_a_quorum_read() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    bench.proxy.fail(Method::POST, "sparkapplications", Fault::LoseAnswer, 1);
    let created = bench.create(&run, &holder, Some(Placeholder::Replan)).await;
    assert!(matches!(created, Err(Failure::Unknown(_))), "{created:?}");
    let found = bench.confirm(&run, &holder).await.unwrap();
    assert_eq!(found.placeholder, Some(Placeholder::Replan));
    bench.end().await;
}

#[tokio::test]
async fn a_job_that_cannot_be_read_leaves_no_doubt_that_nothing_was_created() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    bench.proxy.fail(Method::GET, "managedjobs", Fault::CutAnswer, 1);
    let created = bench.create(&run, &holder, None).await;
    assert!(matches!(created, Err(Failure::NotSent(_))), "{created:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_run_of_a_job_that_is_gone_is_not_created() {
    let bench = Bench::new().await;
    let (_, holder) = bench.granted().await;
    assert_eq!(bench.create(&run("another-uid"), &holder, None).await, Err(Failure::Gone));
    assert_eq!(bench.create(&run("u"), &bench.holder("nobody"), None).await, Err(Failure::Gone));
    bench.end().await;
}

#[tokio::test]
async fn a_run_whose_operation_is_gone_has_an_outdated_grant() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    assert_eq!(bench.create(&run, &holder, None).await, Err(Failure::GrantOutdated));
    bench.end().await;
}

#[tokio::test]
async fn a_placeholder_can_be_made_when_job_and_operation_are_gone() {
    let bench = Bench::new().await;
    let (run, holder) = (run("0b5c8d0e-7c55-4b46-9a55-0b0b3c1f9a11"), bench.holder("gone"));
    let made = bench.create(&run, &holder, Some(Placeholder::End)).await.unwrap();
    assert_eq!(made.placeholder, Some(Placeholder::End));
    bench.end().await;
}

#[tokio::test]
async fn a_namespace_that_ends_is_told_from_a_refusal() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["test/held"]}});
    let held: ConfigMap = serde_json::from_value(held).unwrap();
    let maps: Api<ConfigMap> = bench.world.api();
    maps.create(&PostParams::default(), &held).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(bench.world.client.clone());
    namespaces.delete(&bench.world.namespace, &DeleteParams::default()).await.unwrap();
    let created = bench.create(&run, &holder, Some(Placeholder::End)).await;
    assert_eq!(created, Err(Failure::NamespaceTerminating));
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &patch).await.unwrap();
    bench.end().await;
}

#[tokio::test]
async fn an_application_is_deleted_by_its_uid_only() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    let made = bench.create(&run, &holder, Some(Placeholder::End)).await.unwrap();
    let key = key_of(&run, &holder);
    let delete = |uid: Uid| Command::DeleteApplication { run: run.clone(), key: key.clone(), uid };
    // Another one of this name: ours is gone, and the other stays.
    assert_eq!(bench.execute(delete("other".into())).await, Receipt::Deleted { run: run.clone(), result: Ok(()) });
    assert!(bench.confirm(&run, &holder).await.unwrap().deleting.is_none());
    assert_eq!(bench.execute(delete(made.uid.clone())).await, Receipt::Deleted { run: run.clone(), result: Ok(()) });
    let standing = bench.confirm(&run, &holder).await.unwrap();
    assert!(standing.deleting.is_some() && standing.held, "its name is held: {standing:?}");
    let drop = Command::DropTombstone { key: key.clone(), uid: made.uid.clone() };
    for _ in 0..2 {
        let dropped = bench.execute(drop.clone()).await;
        assert_eq!(dropped, Receipt::TombstoneDropped { key: key.clone(), result: Ok(()) });
    }
    eventually(|| async {
        match bench.confirm(&run, &holder).await {
            None => Ok(()),
            Some(standing) => Err(standing),
        }
    })
    .await;
    bench.end().await;
}

#[tokio::test]
async fn another_finalizer_stays_on_a_dropped_tombstone() {
    let bench = Bench::new().await;
    let (run, holder) = bench.granted().await;
    let made = bench.create(&run, &holder, Some(Placeholder::End)).await.unwrap();
    let key = key_of(&run, &holder);
    let applications = bench.world.applications();
    let patch = Patch::Merge(json!({"metadata": {"finalizers": ["slowlane.dev/run", "test/other"]}}));
    applications.patch(&key.name, &PatchParams::default(), &patch).await.unwrap();
    bench.execute(Command::DropTombstone { key: key.clone(), uid: made.uid.clone() }).await;
    let standing: DynamicObject = applications.get(&key.name).await.unwrap();
    assert_eq!(standing.finalizers(), ["test/other"]);
    bench.end().await;
}

// ---- statuses and events --------------------------------------------------------------------------------------------

async fn write_status(bench: &Bench, uid: &str, status: JobStatus) -> Result<(), Failure> {
    let key = ObjectKey::new(bench.world.namespace.as_str(), "daily");
    let command = Command::WriteJobStatus { key, uid: uid.into(), status: Box::new(status) };
    match bench.execute(command).await {
        Receipt::JobStatusWritten { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_status_is_written_to_the_job_with_that_uid_only() {
    let bench = Bench::new().await;
    let job = bench.world.job("daily", "report", json!({})).await;
    assert_eq!(write_status(&bench, "another-uid", status(JobState::Queued)).await, Err(Failure::Gone));
    assert_eq!(write_status(&bench, &job.uid().unwrap(), status(JobState::Queued)).await, Ok(()));
    let written: ManagedJob = bench.world.jobs().get("daily").await.unwrap();
    assert_eq!(written.status.unwrap().reason.as_deref(), Some("Testing"));
    bench.end().await;
}

#[tokio::test]
async fn what_a_status_does_not_say_any_more_is_taken_out() {
    let bench = Bench::new().await;
    let uid = bench.world.job("daily", "report", json!({})).await.uid().unwrap();
    let queue = slowlane::model::QueueStatus { waiting_since: Time(1000), position: Some(1), blockers: vec![] };
    let waiting = JobStatus { queue: Some(queue), ..status(JobState::Queued) };
    write_status(&bench, &uid, waiting).await.unwrap();
    write_status(&bench, &uid, status(JobState::Running)).await.unwrap();
    let written = bench.world.jobs().get("daily").await.unwrap().status.unwrap();
    assert_eq!(written.queue, None);
    bench.end().await;
}

#[tokio::test]
async fn an_end_stands_for_ever() {
    let bench = Bench::new().await;
    let uid = bench.world.job("daily", "report", json!({})).await.uid().unwrap();
    write_status(&bench, &uid, status(JobState::Failed)).await.unwrap();
    let again = write_status(&bench, &uid, status(JobState::Running)).await;
    assert!(matches!(&again, Err(Failure::Denied(words)) if words.contains("final")), "{again:?}");
    bench.end().await;
}

#[tokio::test]
async fn an_event_is_written_about_the_job() {
    let bench = Bench::new().await;
    let job = bench.world.job("daily", "report", json!({})).await;
    let announcement = Announcement {
        job: ObjectKey::new(bench.world.namespace.as_str(), "daily"),
        uid: job.uid().unwrap().as_str().into(),
        state: JobState::Failed,
        reason: "OutOfMemory",
        message: "it took\nmore than it had".into(),
        warning: true,
    };
    assert_eq!(bench.executor.clone().execute(Command::Announce(Box::new(announcement))).await, None);
    let events: Api<k8s_openapi::api::core::v1::Event> = bench.world.api();
    let list = events.list(&kube::api::ListParams::default()).await.unwrap();
    let event = &list.items[0];
    assert_eq!(event.involved_object.uid, job.uid());
    assert_eq!(event.message.as_deref(), Some("it took more than it had"));
    assert_eq!((event.type_.as_deref(), event.reason.as_deref()), (Some("Warning"), Some("OutOfMemory")));
    bench.end().await;
}
