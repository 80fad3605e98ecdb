//! The bare loop: sends what the protocol writes, in its order and with as much at once, and does nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, oneshot};

use crate::Bench;
use crate::burst::{BURST, Before, Burst, hand_in};
use crate::figures::Samples;
use crate::process::Process;
use crate::refill::{self, REFILL};
use crate::stage::{HandedIn, KEEPERS, Stage, applications_url, ledgers_url};
use crate::template::{Template, run_key};

/// A job that waits longer is told so.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// Such words that are on their way at once.
const WORDS: usize = 16;

/// One refill after the other.
pub(crate) async fn refills(bench: &Bench, template: &Template) -> Samples {
    refill::begin(bench).await;
    let jobs = hand_in(bench, REFILL, bench.options.samples + 1);
    work_off(bench, template, jobs, 1).await;
    refill::samples(bench)
}

/// The same burst as the keeper's.
pub(crate) async fn burst(bench: &Bench, template: &Template) -> Burst {
    bench.sight.forget();
    bench.stage.operation(BURST, Some(bench.options.slots)).await;
    let own = Process(std::process::id());
    let before = Before::look(bench, own.cpu_ms()).await;
    let jobs = hand_in(bench, BURST, bench.options.burst);
    work_off(bench, template, jobs, bench.options.slots).await;
    before.burst(bench, own.cpu_ms()).await
}

/// What all slots share.
struct Loop<'a> {
    bench: &'a Bench,
    template: &'a Template,
    jobs: AsyncMutex<UnboundedReceiver<HandedIn>>,
    ledger: UnboundedSender<Change>,
    started: Mutex<HashSet<String>>,
}

async fn work_off(bench: &Bench, template: &Template, mut handed_in: UnboundedReceiver<HandedIn>, slots: u32) {
    let (ledger, changes) = unbounded_channel();
    let (pass_on, jobs) = unbounded_channel();
    let shared = Loop { bench, template, jobs: AsyncMutex::new(jobs), ledger, started: Mutex::new(HashSet::new()) };
    let words = Arc::new(Semaphore::new(WORDS));
    let telling = async {
        let mut all = Vec::new();
        while let Some(job) = handed_in.recv().await {
            let _ = pass_on.send(job.clone());
            all.push((Instant::now(), job));
        }
        drop(pass_on);
        join_all(all.into_iter().map(|(since, job)| shared.tell(since, job, Arc::clone(&words)))).await;
    };
    let working = async {
        join_all((0..slots).map(|_| shared.slot())).await;
        shared.ledger.send(Change::End).expect("the ledger is written to the end");
    };
    tokio::join!(telling, working, keep_ledger(&bench.stage, template, changes, slots));
}

impl Loop<'_> {
    /// One slot: takes a job, runs it, says its end, and gives the slot to the next one with one write.
    async fn slot(&self) {
        let mut done: Option<HandedIn> = None;
        loop {
            let next = self.jobs.lock().await.recv().await;
            self.exchange(done.take(), next.as_ref()).await;
            let Some(job) = next else { return };
            self.started.lock().unwrap_or_else(PoisonError::into_inner).insert(job.name.clone());
            self.bench.stage.post(&applications_url(), &self.template.application(&job)).await;
            self.bench.sight.until_job_ended(&job.name).await;
            self.bench.stage.job_status(&job, &self.template.ended(&job)).await;
            done = Some(job);
        }
    }

    async fn exchange(&self, released: Option<HandedIn>, granted: Option<&HandedIn>) {
        let (written, acknowledged) = oneshot::channel();
        let (released, granted) = (released.as_ref().map(run_key), granted.map(run_key));
        self.ledger.send(Change::Exchange { released, granted, written }).expect("the ledger is written");
        acknowledged.await.expect("the ledger is written");
    }

    /// Says of a job that it waits, if it still does after a while.
    async fn tell(&self, since: Instant, job: HandedIn, words: Arc<Semaphore>) {
        tokio::time::sleep_until((since + TOLD_AFTER).into()).await;
        let _turn = words.acquire().await;
        let has_started = self.started.lock().unwrap_or_else(PoisonError::into_inner).contains(&job.name);
        if !has_started {
            self.bench.stage.job_status(&job, &self.template.waiting(&job)).await;
        }
    }
}

/// What is to change in the ledger.
enum Change {
    Exchange { released: Option<String>, granted: Option<String>, written: oneshot::Sender<()> },
    End,
}

/// Writes the ledger by compare-and-swap; what comes while a write is on its way goes with the next one.
async fn keep_ledger(stage: &Stage, template: &Template, mut changes: UnboundedReceiver<Change>, slots: u32) {
    let url = format!("{}/raw", ledgers_url());
    let mut holders = BTreeSet::new();
    let mut version = create_ledger(stage, template, slots).await;
    let mut sequence = 1;
    loop {
        let mut together = Vec::new();
        changes.recv_many(&mut together, usize::MAX).await;
        let mut answers = Vec::new();
        for change in together {
            let Change::Exchange { released, granted, written } = change else { return };
            released.iter().for_each(|run| _ = holders.remove(run));
            holders.extend(granted);
            answers.push(written);
        }
        sequence += 1;
        let ledger = ledger(template, &holders, slots, sequence, version.as_deref());
        version = stage.put(&url, &ledger).await.resource_version;
        answers.into_iter().for_each(|written| _ = written.send(()));
    }
}

async fn create_ledger(stage: &Stage, template: &Template, slots: u32) -> Option<String> {
    let url = format!("{}/raw", ledgers_url());
    if let Ok(standing) = stage.text(&url).await {
        let standing: BTreeMap<String, Value> = serde_json::from_str(&standing).expect("it is JSON");
        return standing["metadata"]["resourceVersion"].as_str().map(ToOwned::to_owned);
    }
    stage.post(&ledgers_url(), &ledger(template, &BTreeSet::new(), slots, 0, None)).await.resource_version
}

fn ledger(template: &Template, holders: &BTreeSet<String>, slots: u32, sequence: u64, version: Option<&str>) -> Value {
    let mut spec = template.ledger(holders, slots);
    spec["sequence"] = sequence.into();
    json!({"apiVersion": "slowlane.dev/v1alpha1", "kind": "RunLedger", "spec": spec,
        "metadata": {"name": "raw", "namespace": KEEPERS, "resourceVersion": version}})
}
