//! A fake spark-operator: it takes `SparkApplication`s through their states and plays their drivers and executors with
//! pods that no node runs. Its switches are the real one's flaws.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::world::World;

/// What a job's application does.
#[derive(Debug, Clone)]
pub(crate) enum Play {
    /// Runs for a moment and succeeds with this termination message.
    Succeed(String),
    /// Succeeds, and says its result by an annotation of its pod.
    Annotate(String),
    /// Runs for a moment and fails: exit code, Kubernetes' reason, termination message.
    Fail(i32, &'static str, String),
    /// Runs until it is told otherwise.
    Run,
    /// Is never touched: the operator is away.
    Ignore,
    /// Is reported FAILED while its driver runs on.
    Lie,
    /// Its driver waits for ever: Kubernetes' reason and message.
    Wait(&'static str, String),
    /// The scheduler finds no node for its driver: its words.
    Unschedulable(String),
    /// Its submission fails; there is no driver.
    FailToSubmit(String),
    /// Succeeds with this termination message, and an executor stays behind.
    Linger(String),
    /// The operator dies when it has created the driver, and has said nothing; back again, it submits once more, meets
    /// the driver and reports FAILED. The driver succeeds with this termination message.
    DieSubmitting(String),
}

type Plays = Arc<Mutex<BTreeMap<String, Play>>>;

/// The operator of one namespace. Ends when it is dropped.
pub(crate) struct Operator {
    plays: Plays,
    peak: Arc<Mutex<Peak>>,
    away: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Peak {
    alive: usize,
    /// By operation: of the applications that were submitted.
    of: BTreeMap<String, usize>,
    seen: BTreeMap<String, usize>,
}

const STEP: Duration = Duration::from_millis(40);
/// Steps that a driver runs.
const MOMENT: u32 = 4;
/// Steps until an application that was edited is submitted again.
const LONGER: u32 = 25;

impl Operator {
    /// Every job of the namespace succeeds and reports `s3a://lake/JOB`, unless [`Self::play`] says otherwise.
    pub(crate) fn start(world: &World) -> Self {
        let (plays, peak, away) = (Plays::default(), Arc::default(), Arc::<AtomicBool>::default());
        let stage = Stage {
            applications: world.applications(),
            pods: world.api(),
            plays: plays.clone(),
            peak: Arc::clone(&peak),
            away: Arc::clone(&away),
            runs: BTreeMap::new(),
            submitted: BTreeMap::new(),
            standing: BTreeSet::new(),
        };
        Self { plays, peak, away, task: tokio::spawn(stage.run()) }
    }

    /// It is killed: what goes on are the pods that are there.
    pub(crate) fn leave(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// It is started again.
    pub(crate) fn come_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    /// Whether it is away.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    /// Says what a job's application does, or does from now on.
    pub(crate) fn play(&self, job: &str, play: Play) {
        lock(&self.plays).insert(job.to_owned(), play);
    }

    /// The most applications that were alive at once: not ended, or with a pod that was not.
    pub(crate) fn peak(&self) -> usize {
        lock(&self.peak).alive
    }

    /// The most submitted applications of an operation that were alive at once.
    pub(crate) fn peak_of(&self, operation: &str) -> usize {
        lock(&self.peak).of.get(operation).copied().unwrap_or(0)
    }

    /// How many applications of a job were ever submitted.
    pub(crate) fn submissions(&self, job: &str) -> usize {
        lock(&self.peak).seen.get(job).copied().unwrap_or(0)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Stage {
    applications: Api<DynamicObject>,
    pods: Api<Pod>,
    plays: Plays,
    peak: Arc<Mutex<Peak>>,
    away: Arc<AtomicBool>,
    /// Steps since each application's driver runs, or is to run again.
    runs: BTreeMap<String, u32>,
    /// The generation that was submitted.
    submitted: BTreeMap<String, i64>,
    /// Pods that there were when the applications had been listed.
    standing: BTreeSet<String>,
}

impl Stage {
    async fn run(mut self) {
        let mut before = BTreeSet::new();
        loop {
            if let Ok(list) = self.applications.list(&ListParams::default()).await {
                let after = self.live_pods().await;
                self.count(&list.items, &before, &after);
                before = after;
                if !self.away.load(Ordering::SeqCst) {
                    for application in list.items {
                        self.step(&application).await;
                    }
                }
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// A pod that lived before and after a list of the applications lived at its time, too.
    fn count(&self, applications: &[DynamicObject], before: &BTreeSet<String>, after: &BTreeSet<String>) {
        let lived: Vec<&String> = before.intersection(after).collect();
        let has_pod = |name: &str| {
            lived.iter().any(|pod| pod.strip_suffix("-driver").or(pod.strip_suffix("-executor")) == Some(name))
        };
        let alive = applications.iter().filter(|application| is_alive(application) || has_pod(&application.name_any()));
        let alive: Vec<&DynamicObject> = alive.collect();
        let mut of = BTreeMap::<&str, usize>::new();
        for one in alive.iter().filter(|one| self.submitted.contains_key(&one.name_any())) {
            *of.entry(one.labels().get("slowlane.dev/operation").map_or("", String::as_str)).or_default() += 1;
        }
        let mut peak = lock(&self.peak);
        peak.alive = peak.alive.max(alive.len());
        for (operation, now) in of {
            let most = peak.of.entry(operation.to_owned()).or_default();
            *most = now.max(*most);
        }
    }

    async fn live_pods(&mut self) -> BTreeSet<String> {
        let Ok(pods) = self.pods.list(&ListParams::default()).await else { return BTreeSet::new() };
        self.standing = pods.iter().map(ResourceExt::name_any).collect();
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let live = pods.iter().filter(|pod| !matches!(phase(pod).as_str(), "Succeeded" | "Failed"));
        live.map(ResourceExt::name_any).collect()
    }

    async fn step(&mut self, application: &DynamicObject) {
        let annotations = application.annotations();
        let Some(job) = annotations.get("slowlane.dev/job").cloned() else { return };
        if application.data["spec"]["suspend"] == json!(true) || application.metadata.deletion_timestamp.is_some() {
            return;
        }
        let play = lock(&self.plays).get(&job).cloned();
        let play = play.unwrap_or_else(|| Play::Succeed(format!(r#"{{"resultUri": "s3a://lake/{job}"}}"#)));
        let name = application.name_any();
        if self.submitted.get(&name).is_some_and(|submitted| Some(*submitted) != application.metadata.generation) {
            return self.invalidate(application).await;
        }
        match state(application) {
            "" => self.submit(application, &job, &play).await,
            "SUBMITTED" => self.begin(application, &play).await,
            "RUNNING" => self.go_on(application, &play).await,
            "INVALIDATING" => self.submit_again(application, &job, &play).await,
            "FAILED" if matches!(play, Play::Fail(..)) => self.end_pods(application, &play).await,
            "FAILED" if matches!(play, Play::DieSubmitting(_)) => self.outlive(application, &play).await,
            _ => {}
        }
    }

    /// Its spec was edited: what runs is ended, and it is submitted once more.
    async fn invalidate(&mut self, application: &DynamicObject) {
        let name = application.name_any();
        self.submitted.insert(name.clone(), application.metadata.generation.unwrap_or_default());
        self.runs.insert(name, 0);
        let _ = self.pods.delete(&driver(application), &DeleteParams::default()).await;
        self.say(application, "INVALIDATING", json!({})).await;
    }

    async fn submit_again(&mut self, application: &DynamicObject, job: &str, play: &Play) {
        let steps = self.runs.entry(application.name_any()).or_default();
        *steps += 1;
        if *steps >= LONGER {
            self.submit(application, job, play).await;
        }
    }

    async fn submit(&mut self, application: &DynamicObject, job: &str, play: &Play) {
        match play {
            Play::Ignore => return,
            Play::FailToSubmit(words) => {
                *lock(&self.peak).seen.entry(job.to_owned()).or_default() += 1;
                self.say(application, "FAILED", json!({"errorMessage": words})).await;
                return;
            }
            _ => {}
        }
        let owner = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "name": application.name_any(), "uid": application.uid(), "controller": true, "blockOwnerDeletion": true});
        let is_new = self.create_pod(application, "driver", owner).await;
        *lock(&self.peak).seen.entry(job.to_owned()).or_default() += usize::from(is_new);
        self.submitted.insert(application.name_any(), application.metadata.generation.unwrap_or_default());
        match play {
            Play::DieSubmitting(_) if is_new => {
                self.away.store(true, Ordering::SeqCst);
                return self.pod_status(&driver(application), json!({"phase": "Running"})).await;
            }
            Play::DieSubmitting(_) => {
                let words = "failed to run spark-submit: driver pod already exist";
                return self.say(application, "FAILED", json!({"errorMessage": words})).await;
            }
            _ => {}
        }
        self.say(application, "SUBMITTED", json!({})).await;
    }

    async fn begin(&mut self, application: &DynamicObject, play: &Play) {
        if let Play::Wait(reason, message) = play {
            let container = json!({"name": "spark-kubernetes-driver", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}});
            let status = json!({"phase": "Pending", "containerStatuses": [container]});
            return self.pod_status(&driver(application), status).await;
        }
        if let Play::Unschedulable(message) = play {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": message});
            return self.pod_status(&driver(application), json!({"phase": "Pending", "conditions": [condition]})).await;
        }
        self.pod_status(&driver(application), running("driver")).await;
        if let Ok(driver) = self.pods.get(&driver(application)).await {
            let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": driver.name_any(), "uid": driver.uid(),
                "controller": true, "blockOwnerDeletion": true});
            self.create_pod(application, "executor", owner).await;
            self.pod_status(&executor(application), running("executor")).await;
        }
        let state = if matches!(play, Play::Lie) { "FAILED" } else { "RUNNING" };
        self.say(application, state, json!({})).await;
        self.runs.insert(application.name_any(), 0);
    }

    /// The driver of an application that is called failed.
    async fn outlive(&mut self, application: &DynamicObject, play: &Play) {
        let steps = self.runs.entry(application.name_any()).or_default();
        *steps += 1;
        if *steps == MOMENT {
            self.end_pods(application, play).await;
        }
    }

    async fn go_on(&mut self, application: &DynamicObject, play: &Play) {
        let steps = self.runs.entry(application.name_any()).or_default();
        *steps += 1;
        if !self.standing.contains(&driver(application)) {
            return self.say(application, "FAILED", json!({"errorMessage": "driver pod not found"})).await;
        }
        if *steps < MOMENT || matches!(play, Play::Run | Play::Lie) {
            return;
        }
        self.end_pods(application, play).await;
        let state = if matches!(play, Play::Fail(..)) { "FAILED" } else { "COMPLETED" };
        self.say(application, state, json!({"errorMessage": "driver container failed"})).await;
    }

    async fn end_pods(&self, application: &DynamicObject, play: &Play) {
        if let Play::Annotate(uri) = play {
            let patch = Patch::Merge(json!({"metadata": {"annotations": {"slowlane.dev/result-uri": uri}}}));
            let _ = self.pods.patch(&driver(application), &PatchParams::default(), &patch).await;
        }
        let (phase, exit_code, reason, message) = match play {
            Play::Fail(code, reason, message) => ("Failed", *code, *reason, message.as_str()),
            Play::Succeed(message) | Play::Linger(message) | Play::DieSubmitting(message) => {
                ("Succeeded", 0, "Completed", message.as_str())
            }
            _ => ("Succeeded", 0, "Completed", ""),
        };
        self.pod_status(&driver(application), ended(phase, exit_code, reason, message)).await;
        if !matches!(play, Play::Linger(_)) {
            let _ = self.pods.delete(&executor(application), &DeleteParams::default()).await;
        }
    }

    /// Tells whether it was created: a pod of its name may stand already.
    async fn create_pod(&self, application: &DynamicObject, role: &str, owner: Value) -> bool {
        let mut labels = application.labels().clone();
        labels.insert("spark-role".into(), role.into());
        let pod = json!({
            "metadata": {"name": format!("{}-{role}", application.name_any()), "labels": labels,
                "ownerReferences": [owner]},
            "spec": {"schedulerName": "nobody", "automountServiceAccountToken": false, "serviceAccountName": "default",
                "containers": [{"name": format!("spark-kubernetes-{role}"), "image": "x",
                    "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}}}]},
        });
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        // The namespace's account may be a moment late.
        for _ in 0..500 {
            match self.pods.create(&PostParams::default(), &pod).await {
                Err(kube::Error::Api(status)) if status.code == 403 => tokio::time::sleep(STEP).await,
                created => return created.is_ok(),
            }
        }
        false
    }

    async fn pod_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        let _ = self.pods.patch_status(name, &PatchParams::default(), &patch).await;
    }

    async fn say(&self, application: &DynamicObject, state: &str, more: Value) {
        say(&self.applications, application, state, more).await;
    }
}

/// Writes an application's state as the operator does.
pub(crate) async fn say(applications: &Api<DynamicObject>, application: &DynamicObject, state: &str, more: Value) {
    let mut said = json!({"state": state});
    if state == "FAILED" {
        said["errorMessage"] = more["errorMessage"].clone();
    }
    // The definition requires it.
    let mut status = json!({"applicationState": said, "driverInfo": {}});
    if state == "SUBMITTED" {
        status["driverInfo"] = json!({"podName": driver(application)});
        status["sparkApplicationId"] = json!(format!("spark-{}", application.name_any()));
    }
    if matches!(state, "COMPLETED" | "FAILED") {
        status["terminationTime"] = json!(moment(0));
    }
    let patch = Patch::Merge(json!({"status": status}));
    let _ = applications.patch_status(&application.name_any(), &PatchParams::default(), &patch).await;
}

/// The status of a pod whose container has started now.
fn running(role: &str) -> Value {
    let container = json!({"name": format!("spark-kubernetes-{role}"), "image": "", "imageID": "", "ready": true,
        "restartCount": 0, "state": {"running": {"startedAt": moment(0)}}});
    json!({"phase": "Running", "containerStatuses": [container]})
}

/// So many seconds ago, as the kubelet writes it.
fn moment(ago: i64) -> String {
    let time = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(ago);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The status of a driver's pod that has ended, after a second.
pub(crate) fn ended(phase: &str, exit_code: i32, reason: &str, message: &str) -> Value {
    let ended = json!({"exitCode": exit_code, "reason": reason, "message": message, "startedAt": moment(1),
        "finishedAt": moment(0)});
    let container = json!({"name": "spark-kubernetes-driver", "image": "", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"terminated": ended}});
    json!({"phase": phase, "containerStatuses": [container]})
}

pub(crate) fn driver(application: &DynamicObject) -> String {
    format!("{}-driver", application.name_any())
}

fn executor(application: &DynamicObject) -> String {
    format!("{}-executor", application.name_any())
}

/// The operator's word for where an application is.
pub(crate) fn state(application: &DynamicObject) -> &str {
    application.data["status"]["applicationState"]["state"].as_str().unwrap_or_default()
}

/// Whether an application may have pods.
pub(crate) fn is_alive(application: &DynamicObject) -> bool {
    let over = matches!(state(application), "COMPLETED" | "FAILED");
    let suspended = application.data["spec"]["suspend"] == json!(true);
    !over && !suspended && application.metadata.deletion_timestamp.is_none()
}
