//! The one watch of the bench. It notes when each application comes and ends, and plays the spark-operator and the kubelet
//! for it: driver pod, states, end, in the order in which they really come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::watcher::{Config, Event, watcher};
use serde_json::{Value, json};
use slowlane::spark::marks::JOB_ANNOTATION;
use slowlane::spark::{ApplicationState, SparkApplication};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::stage::{JOBS, Stage, applications_url, pods_url};

/// How long a driver runs, unless somebody says otherwise.
const RUN: Duration = Duration::from_millis(100);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(5);

/// When an application came and when it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) created: Instant,
    pub(crate) ended: Option<Instant>,
}

#[derive(Default)]
struct Seen {
    /// By job.
    runs: HashMap<String, Times>,
    /// How long the first run takes, where it is to take longer than the others.
    first: Option<Duration>,
}

type Shared = Arc<Mutex<Seen>>;

/// What was seen so far.
pub(crate) struct Sight {
    seen: Shared,
    news: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Sight {
    /// Starts to watch and to play.
    pub(crate) fn start(stage: Stage) -> Self {
        let seen = Shared::default();
        let (tell, news) = watch::channel(());
        let task = tokio::spawn(follow(stage, Arc::clone(&seen), tell));
        Self { seen, news, task }
    }

    /// Forgets what was, for another scenario.
    pub(crate) fn forget(&self) {
        *lock(&self.seen) = Seen::default();
    }

    /// The run that starts first will take so long.
    pub(crate) fn lengthen_first(&self, length: Duration) {
        lock(&self.seen).first = Some(length);
    }

    /// When the application of a job came, and when it ended.
    pub(crate) fn times(&self, job: &str) -> Option<Times> {
        lock(&self.seen).runs.get(job).copied()
    }

    /// All times at which applications came, and all at which one ended, in order.
    pub(crate) fn all(&self) -> (Vec<Instant>, Vec<Instant>) {
        let seen = lock(&self.seen);
        let mut created: Vec<Instant> = seen.runs.values().map(|times| times.created).collect();
        let mut ended: Vec<Instant> = seen.runs.values().filter_map(|times| times.ended).collect();
        created.sort();
        ended.sort();
        (created, ended)
    }

    /// Waits until so many applications have ended.
    pub(crate) async fn until_ended(&self, number: usize) {
        self.until(&format!("{number} ends"), |seen| {
            seen.runs.values().filter(|times| times.ended.is_some()).count() >= number
        })
        .await;
    }

    /// Waits until the application of a job has ended.
    pub(crate) async fn until_job_ended(&self, job: &str) {
        self.until(job, |seen| seen.runs.get(job).is_some_and(|times| times.ended.is_some())).await;
    }

    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let mut news = self.news.clone();
        let waiting = async {
            while !holds(&lock(&self.seen)) {
                news.changed().await.expect("the watch goes on");
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}: not in time");
    }
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Shared) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(stage: Stage, seen: Shared, tell: watch::Sender<()>) {
    let api: Api<SparkApplication> = Api::namespaced(stage.client(), JOBS);
    let mut events = watcher(api, Config::default()).boxed();
    let mut plays = JoinSet::new();
    loop {
        tokio::select! {
            Some(event) = events.next() => match event.expect("the watch holds") {
                Event::Apply(application) | Event::InitApply(application) => {
                    if let Some(length) = note(&seen, &application) {
                        plays.spawn(play(stage.clone(), application, length));
                    }
                    tell.send_replace(());
                }
                Event::Delete(_) | Event::Init | Event::InitDone => {}
            },
            Some(played) = plays.join_next() => played.expect("a play goes to its end"),
        }
    }
}

/// Takes a time down; for an application that is new, how long its driver is to run.
fn note(seen: &Shared, application: &SparkApplication) -> Option<Duration> {
    let now = Instant::now();
    let job = application.annotations().get(JOB_ANNOTATION)?;
    let mut seen = lock(seen);
    match application.status.application_state.state {
        ApplicationState::New => {
            let is_new = !seen.runs.contains_key(job);
            seen.runs.entry(job.clone()).or_insert(Times { created: now, ended: None });
            is_new.then(|| seen.first.take().unwrap_or(RUN))
        }
        ApplicationState::Completed => {
            if let Some(times) = seen.runs.get_mut(job) {
                times.ended.get_or_insert(now);
            }
            None
        }
        _ => None,
    }
}

async fn play(stage: Stage, application: SparkApplication, length: Duration) {
    let name = application.name_any();
    let pod = format!("{}/{name}-driver/status", pods_url());
    let status = format!("{}/{name}/status", applications_url());
    stage.post(&pods_url(), &driver(&application)).await;
    stage.merge(&status, &in_state("SUBMITTED", &name)).await;
    stage.merge(&pod, &json!({"status": {"phase": "Running"}})).await;
    stage.merge(&status, &in_state("RUNNING", &name)).await;
    tokio::time::sleep(length).await;
    stage.merge(&pod, &succeeded(&name)).await;
    stage.merge(&status, &in_state("COMPLETED", &name)).await;
}

fn driver(application: &SparkApplication) -> Value {
    let name = application.name_any();
    let mut labels = application.labels().clone();
    labels.insert("spark-role".into(), "driver".into());
    let owner = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "name": name,
        "uid": application.uid(), "controller": true});
    json!({"metadata": {"name": format!("{name}-driver"), "labels": labels, "ownerReferences": [owner]},
        "spec": {"schedulerName": "nobody", "automountServiceAccountToken": false, "serviceAccountName": "spark",
            "restartPolicy": "Never",
            "containers": [{"name": "spark-kubernetes-driver", "image": "spark:4.0.5", "args": ["driver"]}]}})
}

fn succeeded(name: &str) -> Value {
    let message = json!({"resultUri": format!("s3a://lake/reports/{name}")}).to_string();
    let ended = json!({"exitCode": 0, "reason": "Completed", "message": message});
    let container = json!({"name": "spark-kubernetes-driver", "image": "spark:4.0.5", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"terminated": ended}});
    json!({"status": {"phase": "Succeeded", "containerStatuses": [container]}})
}

fn in_state(state: &str, name: &str) -> Value {
    let mut status = json!({"applicationState": {"state": state}, "driverInfo": {"podName": format!("{name}-driver")},
        "sparkApplicationId": format!("spark-{name}"), "submissionAttempts": 1, "executionAttempts": 1});
    if state == "COMPLETED" {
        status["terminationTime"] = json!(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    json!({"status": status})
}
