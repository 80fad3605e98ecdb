//! Judges every limit at every change, by the applications that stand on the API server and by what was declared. It shares
//! nothing with the keeper: no type, no ledger, and none of the marks that the keeper puts on what it creates.
//!
//! The keeper may create what it granted together in any order. What hangs on an order (a job's own limit, how full a cluster
//! was) is judged by whether there is one in which all that is alive may have started.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;

use crate::observer::{Judging, Sight};

/// What was declared, as it was sent to the API server.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// Whole objects by their names. The image of a cluster's template is its name: applications show where they run.
    pub(crate) clusters: BTreeMap<String, Value>,
    /// Specs by `NAMESPACE/NAME`.
    pub(crate) operations: BTreeMap<String, Value>,
    /// Specs by `NAMESPACE/NAME`.
    pub(crate) jobs: BTreeMap<String, Value>,
    /// Permits of locks by the keeper's settings.
    pub(crate) locks: BTreeMap<String, i64>,
}

/// What has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What<'a> {
    LiveApplications { job: &'a str },
    Runs { operation: &'a str },
    RunsByOwnLimit { operation: &'a str },
    Jobs { cluster: &'a str },
    JobsOfNamespace { cluster: &'a str, namespace: &'a str },
    ExecutorsOfNamespace { cluster: &'a str, namespace: &'a str },
    Permits { lock: &'a str },
    PermitsInCluster { lock: &'a str, cluster: &'a str },
    Executors { cluster: &'a str },
    MilliCores { cluster: &'a str },
    Mebibytes { cluster: &'a str },
    PercentBeforeTheLast { cluster: &'a str },
    NotTakenUp { cluster: &'a str },
}

/// What is granted to a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    executors: i64,
    milli_cores: i64,
    mebibytes: i64,
}

impl Size {
    /// Driver and as many executors as it may have.
    pub(crate) fn of(spec: &Value) -> Self {
        let dynamic = &spec["dynamicAllocation"];
        let most = if dynamic["enabled"] == true { &dynamic["maxExecutors"] } else { &spec["executor"]["instances"] };
        let executors = most.as_i64().expect("it says how many executors it has");
        let number = |pod: &str, field: &str| -> i64 {
            let text = spec[pod][field].as_str().and_then(|text| text.strip_suffix('m'));
            text.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{pod}.{field} of {spec}"))
        };
        let total = |field: &str| number("driver", field) + executors * number("executor", field);
        let mebibytes = total("memory") + total("memoryOverhead");
        Self { executors, milli_cores: total("coreRequest"), mebibytes }
    }

    /// What a cluster holds; nothing where it says nothing.
    fn capacity(cluster: &Value) -> [Option<i64>; 3] {
        let (spec, unit) = (&cluster["spec"], &cluster["spec"]["executor"]);
        let executors = spec["executors"]["max"].as_i64();
        let unit =
            |field: &str, suffix: &str| -> Option<i64> { unit[field].as_str()?.strip_suffix(suffix)?.parse().ok() };
        let times = |unit: Option<i64>, factor: i64| Some(executors? * unit? * factor);
        [executors, times(unit("cores", "m"), 1), times(unit("memory", "Mi"), 1)]
    }

    /// Executors, millicores, mebibytes.
    pub(crate) fn parts(self) -> [i64; 3] {
        [self.executors, self.milli_cores, self.mebibytes]
    }
}

/// An application that has not ended.
#[derive(Debug)]
struct Run {
    job: String,
    operation: String,
    namespace: String,
    cluster: String,
    own_limit: Option<i64>,
    size: Size,
    locks: Vec<(String, i64)>,
    taken_up: bool,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    declared: Declared,
    namespaces: BTreeSet<String>,
    /// By UID.
    alive: BTreeMap<String, Run>,
    /// Every application that there ever was, by its UID: whose it is, and how it ended.
    all: BTreeMap<String, (String, Option<String>)>,
    /// How jobs ended.
    ends: BTreeMap<String, String>,
    /// The most of everything that has a limit, and the limit.
    peaks: BTreeMap<String, (i64, i64)>,
    most_alive: usize,
    /// Statuses of waiting jobs that were written.
    told: usize,
    changes: usize,
    violations: Vec<String>,
}

impl Judge {
    pub(crate) fn new(declared: Declared) -> Self {
        let namespaces = declared.jobs.keys().filter_map(|job| Some(job.split_once('/')?.0.to_owned())).collect();
        Self { declared, namespaces, ..Self::default() }
    }

    /// How many jobs have ended.
    pub(crate) fn ended(&self) -> usize {
        self.ends.len()
    }

    /// How often waiting jobs were told something.
    pub(crate) fn told(&self) -> usize {
        self.told
    }

    // ---- what happens -------------------------------------------------------------------------------------------------

    /// An application is there, or has changed.
    pub(crate) fn application(&mut self, object: &DynamicObject) {
        let (uid, namespace) = (object.uid().unwrap_or_default(), object.namespace().unwrap_or_default());
        if !self.namespaces.contains(&namespace) {
            return;
        }
        let state = object.data["status"]["applicationState"]["state"].as_str().unwrap_or_default();
        if !self.all.contains_key(&uid) {
            self.created(object, &uid, &namespace);
        } else if let Some(run) = self.alive.get_mut(&uid).filter(|run| !run.taken_up && !state.is_empty()) {
            run.taken_up = true;
        } else if !matches!(state, "COMPLETED" | "FAILED") || !self.alive.contains_key(&uid) {
            return;
        }
        if matches!(state, "COMPLETED" | "FAILED") {
            self.alive.remove(&uid);
            if let Some((_, end)) = self.all.get_mut(&uid) {
                *end = Some(state.to_owned());
            }
        }
        self.judge(&format!("{} {state:?}", object.name_any()));
    }

    /// An application is gone.
    pub(crate) fn application_gone(&mut self, object: &DynamicObject) {
        if let Some(run) = self.alive.remove(&object.uid().unwrap_or_default()) {
            self.violation(format!("{}: its application went before it had ended", run.job));
        }
    }

    fn created(&mut self, object: &DynamicObject, uid: &str, namespace: &str) {
        let owner = object.owner_references().iter().find(|owner| owner.kind == "ManagedJob");
        let job = format!("{namespace}/{}", owner.map_or("", |owner| &owner.name));
        let Some(spec) = self.declared.jobs.get(&job) else {
            return self.violation(format!("{namespace}/{}: it is nobody's application", object.name_any()));
        };
        let operation = format!("{namespace}/{}", text(&spec["operation"]));
        let locks = self.declared.operations[&operation]["locks"].as_array().cloned().unwrap_or_default();
        let run = Run {
            namespace: namespace.to_owned(),
            cluster: text(&object.data["spec"]["image"]).to_owned(),
            own_limit: spec["maxConcurrentRuns"].as_i64(),
            size: Size::of(&object.data["spec"]),
            locks: locks.iter().map(|it| (text(&it["name"]).to_owned(), it["permits"].as_i64().unwrap_or(1))).collect(),
            taken_up: object.data["status"]["applicationState"]["state"].is_string(),
            job: job.clone(),
            operation,
        };
        let created = object.creation_timestamp().expect("every object has one").0;
        if let Err(why) = self.may_be_there(&run, spec, created) {
            self.violation(format!("{job}: runs in {}, which {why}", run.cluster));
        }
        if self.all.values().any(|(of, _)| *of == job) {
            self.violation(format!("{job}: a second application was created for it"));
        }
        self.alive.insert(uid.to_owned(), run);
        self.all.insert(uid.to_owned(), (job, None));
    }

    /// A job is there, or has changed.
    pub(crate) fn job(&mut self, object: &DynamicObject) {
        let job = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        let status = &object.data["status"];
        let state = text(&status["state"]);
        let has_ended = matches!(state, "Succeeded" | "Failed" | "Cancelled" | "Refused");
        if !self.declared.jobs.contains_key(&job) {
            return;
        }
        if !status["queue"].is_null() {
            self.told += 1;
            let first = &status["queue"]["blockers"][0];
            if (&first["reason"], &first["message"]) != (&status["reason"], &status["message"]) {
                self.violation(format!("{job}: it waits because of {}, and is told {first}", status["reason"]));
            }
        }
        match self.ends.get(&job) {
            Some(before) if before != state => self.violation(format!("{job}: it was {before}, and is {state:?} now")),
            None if has_ended => {
                let runs = status["runs"].as_array().map_or(0, Vec::len);
                if runs != 1 {
                    self.violation(format!("{job}: it has ended with {runs} runs"));
                }
                self.ends.insert(job, state.to_owned());
            }
            _ => {}
        }
    }

    // ---- where and when -----------------------------------------------------------------------------------------------

    fn may_be_there(&self, run: &Run, job: &Value, created: Timestamp) -> Result<(), String> {
        let cluster = self.declared.clusters.get(&run.cluster).ok_or("nobody declared")?;
        let (metadata, spec) = (&cluster["metadata"], &cluster["spec"]);
        let admitted = &spec["namespaceSelector"]["matchExpressions"][0];
        assert_eq!(admitted["key"], "kubernetes.io/metadata.name", "the only key that is understood here");
        if !has(&admitted["values"], &run.namespace) {
            return Err(format!("does not admit {}", run.namespace));
        }
        if job["clusterName"].as_str().is_some_and(|name| name != run.cluster) {
            return Err("it does not name".to_owned());
        }
        let mut labels = job["clusterSelector"]["matchLabels"].as_object().into_iter().flatten();
        if labels.any(|(label, value)| metadata["labels"][label] != *value) {
            return Err("it does not select".to_owned());
        }
        let mut entries = spec["accept"].as_array().into_iter().flatten();
        if spec["accept"].is_array() && !entries.any(|entry| accepts(entry, &spec["windows"], run, job, created)) {
            return Err(format!("accepts no such job at {created}"));
        }
        let declared = |lock: &str| self.declared.locks.contains_key(lock) || spec["limits"]["locks"][lock].is_i64();
        if let Some((lock, _)) = run.locks.iter().find(|(lock, _)| !declared(lock)) {
            return Err(format!("has no lock {lock}"));
        }
        Ok(())
    }

    // ---- how many -----------------------------------------------------------------------------------------------------

    fn judge(&mut self, because: &str) {
        self.changes += 1;
        self.most_alive = self.most_alive.max(self.alive.len());
        let mut found = Vec::new();
        for (what, count) in self.counts() {
            let Some(limit) = self.limit(what) else { continue };
            found.push((format!("{what:?}"), count, limit));
        }
        found.extend(self.own_limits());
        found.extend(self.percentages());
        for (what, count, limit) in found {
            let peak = self.peaks.entry(what.clone()).or_insert((0, limit));
            if count <= peak.0 {
                continue;
            }
            *peak = (count, limit);
            if count > limit {
                self.violations.push(format!("{what}: {count} where {limit} are allowed, after {because}"));
            }
        }
    }

    fn counts(&self) -> BTreeMap<What<'_>, i64> {
        let mut counts = BTreeMap::new();
        for run in self.alive.values() {
            let Run { job, operation, namespace, cluster, size, .. } = run;
            let mut add = |what, amount| *counts.entry(what).or_default() += amount;
            add(What::LiveApplications { job }, 1);
            add(What::Runs { operation }, 1);
            add(What::Jobs { cluster }, 1);
            add(What::JobsOfNamespace { cluster, namespace }, 1);
            add(What::ExecutorsOfNamespace { cluster, namespace }, size.executors);
            add(What::Executors { cluster }, size.executors);
            add(What::MilliCores { cluster }, size.milli_cores);
            add(What::Mebibytes { cluster }, size.mebibytes);
            add(What::NotTakenUp { cluster }, i64::from(!run.taken_up));
            for (lock, permits) in &run.locks {
                add(What::Permits { lock }, *permits);
                add(What::PermitsInCluster { lock, cluster }, *permits);
            }
        }
        counts
    }

    fn limit(&self, what: What<'_>) -> Option<i64> {
        let spec = |cluster: &str| self.declared.clusters.get(cluster).map_or(&Value::Null, |it| &it["spec"]);
        let limits = |cluster: &str| &spec(cluster)["limits"];
        let capacity = |cluster: &str, part: usize| Size::capacity(self.declared.clusters.get(cluster)?)[part];
        match what {
            What::LiveApplications { .. } => Some(1),
            What::Runs { operation } => self.declared.operations[operation]["maxConcurrentRuns"].as_i64(),
            What::Jobs { cluster } => limits(cluster)["maxConcurrentJobs"].as_i64(),
            What::JobsOfNamespace { cluster, .. } => limits(cluster)["perNamespace"]["maxConcurrentJobs"].as_i64(),
            What::ExecutorsOfNamespace { cluster, .. } => limits(cluster)["perNamespace"]["maxExecutors"].as_i64(),
            What::Permits { lock } => self.declared.locks.get(lock).copied(),
            What::PermitsInCluster { lock, cluster } => limits(cluster)["locks"][lock].as_i64(),
            What::Executors { cluster } => capacity(cluster, 0),
            What::MilliCores { cluster } => capacity(cluster, 1),
            What::Mebibytes { cluster } => capacity(cluster, 2),
            // What is granted in other clusters meanwhile stands in the same line, and is not held up by this one's number.
            What::NotTakenUp { cluster } => spec(cluster)["submission"]["maxPending"].as_i64(),
            What::RunsByOwnLimit { .. } | What::PercentBeforeTheLast { .. } => None,
        }
    }

    /// A job with an own limit of 2 may start as the first or the second of its operation: of all that are alive, sorted by
    /// their limits, none may stand behind its own.
    fn own_limits(&self) -> Vec<(String, i64, i64)> {
        let mut owns = BTreeMap::<&str, Vec<i64>>::new();
        for run in self.alive.values() {
            owns.entry(&run.operation).or_default().extend(run.own_limit);
        }
        let tightest = |(operation, mut owns): (&str, Vec<i64>)| {
            owns.sort_unstable();
            let (place, own) = (1..).zip(owns).max_by_key(|(place, own)| place - own)?;
            Some((format!("{:?}", What::RunsByOwnLimit { operation }), place, own))
        };
        owns.into_iter().filter_map(tightest).collect()
    }

    /// A cluster that takes nothing above a percentage was below it before the last of its runs, whichever that was.
    fn percentages(&self) -> Vec<(String, i64, i64)> {
        let percentage = |(name, cluster): (&String, &Value)| {
            let below = cluster["spec"]["occupancy"]["admitBelowPercent"].as_i64()?;
            let runs: Vec<[i64; 3]> =
                self.alive.values().filter(|it| it.cluster == *name).map(|it| it.size.parts()).collect();
            let before = |last: &[i64; 3]| {
                let used = [0, 1, 2].map(|part| runs.iter().map(|run| run[part]).sum::<i64>() - last[part]);
                let of = used.into_iter().zip(Size::capacity(cluster));
                of.filter_map(|(used, all)| Some(used * 100 / all?)).max().unwrap_or_default()
            };
            let percent = runs.iter().map(before).min()?;
            Some((format!("{:?}", What::PercentBeforeTheLast { cluster: name }), percent, below - 1))
        };
        self.declared.clusters.iter().filter_map(percentage).collect()
    }

    // ---- at the end ---------------------------------------------------------------------------------------------------

    /// Every job ended once, as its only application did.
    pub(crate) fn all_have_ended_once(&mut self) {
        let of: BTreeMap<&str, Option<&str>> = self.all.values().map(|(job, end)| (&**job, end.as_deref())).collect();
        let mut wrong = Vec::new();
        for job in self.declared.jobs.keys() {
            let ends = (of.get(&**job).copied().flatten(), self.ends.get(job).map(String::as_str));
            if !matches!(ends, (Some("COMPLETED"), Some("Succeeded")) | (Some("FAILED"), Some("Failed"))) {
                wrong.push(format!("{job}: its application ended as {:?}, the job as {:?}", ends.0, ends.1));
            }
        }
        self.violations.extend(wrong);
    }

    /// The kinds of limits: how many there are, how many were reached, and how near the nearest came, in percent.
    pub(crate) fn kinds(&self) -> BTreeMap<&str, (usize, usize, i64)> {
        let mut kinds = BTreeMap::<&str, (usize, usize, i64)>::new();
        for (what, (most, limit)) in &self.peaks {
            let kind = kinds.entry(what.split(' ').next().unwrap_or_default()).or_default();
            *kind = (kind.0 + 1, kind.1 + usize::from(most >= limit), kind.2.max(most * 100 / limit));
        }
        kinds
    }
}

impl Judging for Judge {
    fn sights() -> Vec<Sight<Self>> {
        vec![
            (["sparkoperator.k8s.io", "v1beta2", "SparkApplication"], |judge, event| match event {
                Event::Apply(object) | Event::InitApply(object) => judge.application(object),
                Event::Delete(object) => judge.application_gone(object),
                Event::Init | Event::InitDone => {}
            }),
            (["slowlane.dev", "v1alpha1", "ManagedJob"], |judge, event| {
                if let Event::Apply(object) | Event::InitApply(object) = event {
                    judge.job(object);
                }
            }),
        ]
    }

    fn violation(&mut self, words: String) {
        self.violations.push(words);
    }

    fn has_found_nothing(&self) {
        assert!(self.violations.is_empty(), "{}\n{}", self.violations.join("\n"), self.summary());
    }

    fn summary(&self) -> String {
        let failed = self.ends.values().filter(|end| *end == "Failed").count();
        let mut words = format!(
            "{} jobs ended, {failed} of them failed; {} statuses while they waited; {} applications, {} alive at once at most; {} changes judged",
            self.ends.len(),
            self.told,
            self.all.len(),
            self.most_alive,
            self.changes
        );
        for (kind, (number, reached, percent)) in self.kinds() {
            let _ = write!(words, "\n  {kind}: {number} limits, {reached} of them reached, the nearest to {percent} %");
        }
        words
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn has(values: &Value, wanted: &str) -> bool {
    values.as_array().into_iter().flatten().any(|value| value == wanted)
}

/// Whether an entry of `accept` applies to a run; what it leaves out applies to all.
fn accepts(entry: &Value, windows: &Value, run: &Run, job: &Value, at: Timestamp) -> bool {
    let priority = job["priority"].as_str().unwrap_or("Normal");
    let name = text(&job["operation"]);
    let all = |field: &str, holds: bool| entry[field].is_null() || holds;
    let some_open = |names: &Value| {
        let mut windows = windows.as_array().into_iter().flatten();
        windows.any(|window| has(names, text(&window["name"])) && is_open(window, at))
    };
    all("priorities", has(&entry["priorities"], priority))
        && all("operations", has(&entry["operations"], name) || has(&entry["operations"], &run.operation))
        && all("during", some_open(&entry["during"]))
        && all("outside", !some_open(&entry["outside"]))
}

/// `from` and `to` are times of a day in UTC, the same day or the next.
fn is_open(window: &Value, at: Timestamp) -> bool {
    let minute = |text: &str| -> Option<i16> {
        let (hours, minutes) = text.split_once(':')?;
        Some(hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?)
    };
    let edge = |field: &str| minute(text(&window[field])).expect("a time of the day");
    let (from, to, at) = (edge("from"), edge("to"), at.to_zoned(TimeZone::UTC));
    let now = i16::from(at.hour()) * 60 + i16::from(at.minute());
    if from < to { (from..to).contains(&now) } else { now >= from || now < to }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One cluster, one operation and four jobs that are alike.
    struct Scene {
        cluster: Value,
        operation: Value,
        job: Value,
    }

    impl Scene {
        fn new(cluster: Value, operation: Value, job: Value) -> Self {
            let (mut cluster, mut job) = (cluster, job);
            job["operation"] = json!("report");
            cluster["namespaceSelector"] = json!({"matchExpressions":
                [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["jobs"]}]});
            Self { cluster: json!({"metadata": {"labels": {"tier": "day"}}, "spec": cluster}), operation, job }
        }

        fn judge(&self) -> Judge {
            let operations = ["jobs", "others"].map(|space| (format!("{space}/report"), self.operation.clone()));
            let jobs = ["jobs/1", "jobs/2", "jobs/3", "jobs/4", "others/1"];
            Judge::new(Declared {
                clusters: BTreeMap::from([("business".into(), self.cluster.clone())]),
                operations: BTreeMap::from(operations),
                jobs: jobs.into_iter().map(|job| (job.into(), self.job.clone())).collect(),
                locks: BTreeMap::from([("lake".into(), 4)]),
            })
        }

        /// What is found when so many of the jobs run at once.
        fn with_runs(&self, runs: usize) -> Vec<String> {
            let mut judge = self.judge();
            (1..=runs).for_each(|number| judge.application(&application("jobs", number, "")));
            judge.violations
        }
    }

    /// A driver and two executors, a core and a GiB each.
    fn application(namespace: &str, job: usize, state: &str) -> DynamicObject {
        let pod = json!({"coreRequest": "1000m", "memory": "640m", "memoryOverhead": "384m", "instances": 2});
        let status = if state.is_empty() { json!({}) } else { json!({"applicationState": {"state": state}}) };
        serde_json::from_value(json!({
            "metadata": {"name": format!("{job}-1"), "namespace": namespace, "uid": format!("{namespace}-{job}"),
                "creationTimestamp": "2026-03-04T12:00:00Z", "ownerReferences": [{"apiVersion": "slowlane.dev/v1alpha1",
                    "kind": "ManagedJob", "name": job.to_string(), "uid": "u"}]},
            "spec": {"image": "business", "driver": pod, "executor": pod}, "status": status,
        }))
        .unwrap()
    }

    fn job(state: &str) -> DynamicObject {
        let metadata = json!({"name": "1", "namespace": "jobs"});
        serde_json::from_value(json!({"metadata": metadata, "status": {"state": state, "runs": [{}]}})).unwrap()
    }

    #[test]
    fn of_every_limit_as_many_as_it_says_are_right_and_one_more_is_not() {
        let own = json!({"maxConcurrentRuns": 2});
        let pool = |unit: Value| json!({"executors": {"max": 6}, "executor": unit});
        let lock = |name: &str| json!({"locks": [{"name": name, "permits": 2}]});
        let limits = |limits: Value| json!({"limits": limits});
        for (what, cluster, operation, job) in [
            ("Runs {", json!({}), own.clone(), json!({})),
            ("RunsByOwnLimit {", json!({}), json!({}), own),
            ("Jobs {", limits(json!({"maxConcurrentJobs": 2})), json!({}), json!({})),
            ("JobsOfNamespace {", limits(json!({"perNamespace": {"maxConcurrentJobs": 2}})), json!({}), json!({})),
            ("ExecutorsOfNamespace {", limits(json!({"perNamespace": {"maxExecutors": 5}})), json!({}), json!({})),
            ("Permits {", json!({}), lock("lake"), json!({})),
            ("PermitsInCluster {", limits(json!({"locks": {"disk": 5}})), lock("disk"), json!({})),
            ("Executors {", json!({"executors": {"max": 5}}), json!({}), json!({})),
            ("MilliCores {", pool(json!({"cores": "1000m", "memory": "2048Mi"})), json!({}), json!({})),
            ("Mebibytes {", pool(json!({"cores": "2000m", "memory": "1024Mi"})), json!({}), json!({})),
            (
                "PercentBeforeTheLast {",
                json!({"executors": {"max": 10}, "occupancy": {"admitBelowPercent": 40}}),
                json!({}),
                json!({}),
            ),
            ("NotTakenUp {", json!({"submission": {"maxPending": 2}}), json!({}), json!({})),
        ] {
            let scene = Scene::new(cluster, operation, job);
            assert_eq!(scene.with_runs(2), Vec::<String>::new(), "{what}");
            let found = scene.with_runs(3);
            assert!(found.len() == 1 && found[0].starts_with(what), "{what}: {found:?}");
        }
    }

    #[test]
    fn an_application_that_has_ended_counts_no_more_and_one_that_is_taken_up_waits_no_more() {
        let limits = json!({"limits": {"maxConcurrentJobs": 1}, "submission": {"maxPending": 1}});
        let mut judge = Scene::new(limits, json!({}), json!({})).judge();
        for (number, state) in [(1, ""), (1, "SUBMITTED"), (1, "RUNNING"), (1, "COMPLETED"), (2, ""), (1, "COMPLETED")]
        {
            judge.application(&application("jobs", number, state));
        }
        judge.has_found_nothing();
        assert_eq!((judge.changes, judge.most_alive), (4, 1));
        judge.application(&application("jobs", 3, "RUNNING"));
        assert!(judge.violations[0].starts_with("Jobs {"), "{:?}", judge.violations);
    }

    #[test]
    fn no_job_runs_where_or_when_it_may_not() {
        let windows = |from: &str, to: &str, entry: Value| json!({"windows": [{"name": "day", "from": from, "to": to}], "accept": [entry]});
        let (during, outside) = (json!({"during": ["day"]}), json!({"outside": ["day"]}));
        for (cluster, job, right) in [
            (json!({}), json!({"clusterName": "business"}), true),
            (json!({}), json!({"clusterName": "research"}), false),
            (json!({}), json!({"clusterSelector": {"matchLabels": {"tier": "day"}}}), true),
            (json!({}), json!({"clusterSelector": {"matchLabels": {"tier": "night"}}}), false),
            (json!({"accept": [{"priorities": ["Low"]}, {"priorities": ["High"]}]}), json!({"priority": "High"}), true),
            (json!({"accept": [{"priorities": ["Low"]}, {"priorities": ["High"]}]}), json!({}), false),
            (json!({"accept": [{"operations": ["report"]}]}), json!({}), true),
            (json!({"accept": [{"operations": ["jobs/report"]}]}), json!({}), true),
            (json!({"accept": [{"operations": ["others/report"]}]}), json!({}), false),
            (windows("12:00", "12:01", during.clone()), json!({}), true),
            (windows("23:00", "12:01", during.clone()), json!({}), true),
            (windows("12:01", "12:00", during.clone()), json!({}), false),
            (windows("11:00", "12:00", during), json!({}), false),
            (windows("12:00", "12:01", outside.clone()), json!({}), false),
            (windows("11:00", "12:00", outside), json!({}), true),
        ] {
            let scene = Scene::new(cluster, json!({}), job);
            assert_eq!(
                scene.with_runs(1).is_empty(),
                right,
                "{} {}: {:?}",
                scene.cluster,
                scene.job,
                scene.with_runs(1)
            );
        }
        assert_eq!(Scene::new(json!({}), json!({"locks": [{"name": "mail"}]}), json!({})).with_runs(1).len(), 1);
        let mut judge = Scene::new(json!({}), json!({}), json!({})).judge();
        judge.application(&application("others", 1, ""));
        assert_eq!(judge.violations, ["others/1: runs in business, which does not admit others"]);
    }

    #[test]
    fn every_job_ends_once_as_its_only_application_does() {
        let judge = || Scene::new(json!({}), json!({}), json!({})).judge();
        let found = |judge: &mut Judge| {
            judge.declared.jobs.retain(|job, _| job == "jobs/1");
            judge.all_have_ended_once();
            judge.violations.join("\n")
        };
        for (application_ended, job_ended, right) in [
            ("COMPLETED", "Succeeded", true),
            ("FAILED", "Failed", true),
            ("COMPLETED", "Failed", false),
            ("FAILED", "Succeeded", false),
            ("RUNNING", "Succeeded", false),
            ("COMPLETED", "Running", false),
            ("", "Cancelled", false),
        ] {
            let mut judge = judge();
            judge.application(&application("jobs", 1, application_ended));
            judge.job(&job(job_ended));
            assert_eq!(found(&mut judge).is_empty(), right, "{application_ended}, {job_ended}");
        }
        let mut again = judge();
        ["Succeeded", "Running"].into_iter().for_each(|state| again.job(&job(state)));
        assert!(found(&mut again).starts_with("jobs/1: it was Succeeded, and is \"Running\" now"));
        let mut gone = judge();
        gone.application(&application("jobs", 1, "RUNNING"));
        gone.application_gone(&application("jobs", 1, "RUNNING"));
        assert!(found(&mut gone).starts_with("jobs/1: its application went before it had ended"));
        let (mut second, mut twin) = (judge(), application("jobs", 1, "RUNNING"));
        second.application(&twin);
        twin.metadata.uid = Some("another".into());
        second.application(&twin);
        assert!(second.violations[0].starts_with("jobs/1: a second application"), "{:?}", second.violations);
        assert!(second.violations[1].starts_with("LiveApplications {"), "{:?}", second.violations);
    }
}
