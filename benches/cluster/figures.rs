//! From what was seen to figures: percentiles, medians, a table with targets, one line of JSON.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::Options;
use crate::burst::Burst;

/// Times in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

impl Samples {
    /// Takes others in.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The smallest that so many in a hundred do not exceed; 0 where there are none.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(0.0)
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} / {:.1} ms", self.percentile(50), self.percentile(99))
    }
}

/// What a keeper holds and does while many jobs wait.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    pub(crate) jobs: usize,
    pub(crate) resident_mib: f64,
    pub(crate) peak_mib: f64,
    /// Beyond those that the API server makes of itself.
    pub(crate) idle_requests: f64,
    pub(crate) idle_cpu_percent: f64,
    pub(crate) ready_ms: f64,
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs, resident_mib, peak_mib, idle_requests, idle_cpu_percent, ready_ms } = self;
        write!(
            f,
            "{jobs} jobs wait: {resident_mib:.1} MiB (once {peak_mib:.1}), idle: {idle_requests} requests a minute, "
        )?;
        write!(f, "{idle_cpu_percent:.2} % CPU; ready {ready_ms:.0} ms after its start")
    }
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) created: Samples,
    pub(crate) refilled: Samples,
    pub(crate) raw_refilled: Samples,
    pub(crate) keeper: Vec<Burst>,
    pub(crate) raw: Vec<Burst>,
    /// Writes a job, a round.
    pub(crate) tombstones: Vec<f64>,
    pub(crate) crowds: Vec<Crowd>,
    pub(crate) restarted: Option<Crowd>,
    /// From creation to application, behind the last crowd.
    pub(crate) behind: Samples,
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let sorted = of.collect::<Samples>();
    sorted.percentile(50)
}

#[derive(Debug, Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
    None,
}

/// One figure.
#[derive(Debug)]
struct Row {
    /// Its key in the line of JSON; empty where it is not in it.
    key: &'static str,
    what: String,
    value: f64,
    target: Target,
}

/// All figures.
#[derive(Debug)]
pub(crate) struct Figures {
    rows: Vec<Row>,
    writes: Vec<(String, f64, f64)>,
    conditions: String,
}

impl Figures {
    /// From what was seen.
    pub(crate) fn of(tally: &Tally, options: &Options) -> Self {
        let mut figures = Self { rows: Vec::new(), writes: writes(tally), conditions: conditions(options) };
        figures.throughput(tally, options);
        figures.latencies(tally);
        figures.costs(tally);
        figures.memory(tally);
        figures.engine(options);
        figures
    }

    fn add(&mut self, key: &'static str, what: impl Into<String>, value: f64, target: Target) {
        self.rows.push(Row { key, what: what.into(), value, target });
    }

    fn throughput(&mut self, tally: &Tally, options: &Options) {
        let rate = median(tally.keeper.iter().map(|burst| burst.starts_per_s));
        let raw = median(tally.raw.iter().map(|burst| burst.starts_per_s));
        let what = format!("burst of {} jobs in {} slots, 100 ms each: starts a second", options.burst, options.slots);
        self.add("starts_per_s", what, rate, Target::None);
        self.add("", "the same writes by a bare loop: starts a second", raw, Target::None);
        self.add("raw_ratio", "ratio of the two", rate / raw, Target::AtLeast(0.85));
    }

    fn latencies(&mut self, tally: &Tally) {
        let (refilled, created, raw) = (&tally.refilled, &tally.created, &tally.raw_refilled);
        self.add("refill_p50_ms", "refill of a freed slot, p50, ms", refilled.percentile(50), Target::AtMost(15.0));
        self.add("refill_p99_ms", "refill of a freed slot, p99, ms", refilled.percentile(99), Target::AtMost(60.0));
        self.add("", "the same by the bare loop, p50, ms", raw.percentile(50), Target::None);
        self.add("", "the same by the bare loop, p99, ms", raw.percentile(99), Target::None);
        let of_bursts = |bursts: &[Burst], percent| median(bursts.iter().map(|it| it.refilled.percentile(percent)));
        self.add("", "refill amid the burst, p50, ms", of_bursts(&tally.keeper, 50), Target::None);
        self.add("", "refill amid the burst, p99, ms", of_bursts(&tally.keeper, 99), Target::None);
        self.add("", "the same by the bare loop, p50, ms", of_bursts(&tally.raw, 50), Target::None);
        let create = "from a job's creation to its SparkApplication";
        self.add("create_p50_ms", format!("{create}, p50, ms"), created.percentile(50), Target::AtMost(20.0));
        self.add("create_p99_ms", format!("{create}, p99, ms"), created.percentile(99), Target::AtMost(60.0));
    }

    fn costs(&mut self, tally: &Tally) {
        let mean = |bursts: &[Burst], cost: fn(&Burst) -> f64| median(bursts.iter().map(cost));
        let all: f64 =
            self.writes.iter().filter(|(kind, ..)| !kind.starts_with("events")).map(|(_, count, _)| count).sum();
        let tombstones = median(tally.tombstones.iter().copied());
        self.add("writes_per_job", "writes in a job's whole life, events apart", all + tombstones, Target::AtMost(6.0));
        self.add("", "of these, its tombstone", tombstones, Target::None);
        let keeper = mean(&tally.keeper, |burst| burst.system_cpu);
        self.add("keeper_cpu_ms_per_job", "keeper's CPU a job, ms", keeper, Target::AtMost(1.0));
        let (server, raw) = (mean(&tally.keeper, |it| it.server_cpu), mean(&tally.raw, |it| it.server_cpu));
        self.add("", "API server's CPU a job, whoever plays Spark included, ms", server, Target::None);
        self.add("", "the same under the bare loop, ms", raw, Target::None);
        self.add("", "ratio of the two", server / raw, Target::AtMost(1.3));
        self.add("", "etcd's CPU a job, ms", mean(&tally.keeper, |it| it.etcd_cpu), Target::None);
    }

    fn memory(&mut self, tally: &Tally) {
        let keys = [("rss_mib_10k", 25.0), ("rss_mib_100k", 80.0)];
        for (crowd, (key, most)) in tally.crowds.iter().zip(keys) {
            let what = format!("keeper's memory, {} jobs wait, MiB", crowd.jobs);
            self.add(key, what, crowd.resident_mib, Target::AtMost(most));
        }
        if let Some(last) = tally.crowds.last() {
            self.add("", "its peak while they came, MiB", last.peak_mib, Target::None);
            let what = "idle: requests a minute but leases";
            self.add("idle_requests_per_min", what, last.idle_requests, Target::AtMost(0.0));
            self.add("", "idle: CPU, %", last.idle_cpu_percent, Target::AtMost(0.1));
        }
        if let Some(last) = tally.crowds.last() {
            let what =
                format!("from a job's creation to its SparkApplication behind {} that are held, p50, ms", last.jobs);
            self.add("behind_100k_ms", what, tally.behind.percentile(50), Target::AtMost(20.0));
        }
        if let Some(crowd) = &tally.restarted {
            self.add("", "a new keeper finds them: memory, MiB", crowd.resident_mib, Target::None);
            self.add("", "a new keeper finds them: peak, MiB", crowd.peak_mib, Target::None);
            self.add("", "a new keeper finds them: ready after, ms", crowd.ready_ms, Target::None);
        }
    }

    fn engine(&mut self, options: &Options) {
        let rows = [
            ("engine_us_10k", "median event, 10,000", Target::AtMost(1.0)),
            ("engine_us_100k", "median event, 100,000", Target::AtMost(1.0)),
            ("", "mean event, 10,000", Target::None),
            ("", "mean event, 100,000", Target::None),
            ("engine_p999_us", "99.9th percentile event, 100,000", Target::AtMost(50.0)),
            ("engine_us_1m", "median event, 1,000,000", Target::AtMost(2.0)),
        ];
        for ((key, what, target), micros) in rows.into_iter().zip(&options.engine) {
            self.add(key, format!("engine: {what} jobs wait, µs"), *micros, target);
        }
    }

    /// The tables, as Markdown, which reads well as it is.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![self.conditions.clone(), String::new()];
        lines.push("| figure | measured | target | |".into());
        lines.push("|---|---:|---:|---|".into());
        lines.extend(self.rows.iter().map(Row::line));
        lines.extend([String::new(), "| writes a job | keeper | bare loop |".into(), "|---|---:|---:|".into()]);
        lines.extend(self.writes.iter().map(|(kind, keeper, raw)| format!("| {kind} | {keeper:.2} | {raw:.2} |")));
        lines.join("\n")
    }

    /// Shows them.
    pub(crate) fn print(&self) {
        println!("\n{}\n", self.table());
    }

    /// Puts the tables into a page, between its two marks.
    pub(crate) fn write(&self, page: &Path) {
        let (begin, end) = ("<!-- figures: written by make bench -->", "<!-- end of figures -->");
        let text = std::fs::read_to_string(page).expect("the page is there");
        let (before, rest) = text.split_once(begin).expect("the page has a place for figures");
        let (_, after) = rest.split_once(end).expect("the place for figures ends");
        let text = format!("{before}{begin}\n\n{}\n\n{end}{after}", self.table());
        std::fs::write(page, text).expect("the page can be written");
    }

    /// One line.
    pub(crate) fn json(&self) -> String {
        let keyed = self.rows.iter().filter(|row| !row.key.is_empty());
        let pairs: Vec<String> = keyed.map(|row| format!("\"{}\": {:.3}", row.key, row.value)).collect();
        format!("{{{}}}", pairs.join(", "))
    }
}

impl Row {
    fn line(&self) -> String {
        let value = self.value;
        let (target, word) = match self.target {
            Target::AtMost(most) => (format!("≤ {most}"), if value <= most { "met" } else { "**missed**" }),
            Target::AtLeast(least) => (format!("≥ {least}"), if value >= least { "met" } else { "**missed**" }),
            Target::None => (String::new(), ""),
        };
        format!("| {} | {value:.2} | {target} | {word} |", self.what)
    }
}

/// By kind and verb: the median over the rounds.
fn writes(tally: &Tally) -> Vec<(String, f64, f64)> {
    let both = tally.keeper.iter().chain(&tally.raw);
    let keys: BTreeSet<&(String, String)> = both.flat_map(|burst| burst.writes.keys()).collect();
    let of = |bursts: &[Burst], key: &(String, String)| {
        median(bursts.iter().map(|burst| burst.writes.get(key).copied().unwrap_or(0.0)))
    };
    let row = |key: &(String, String)| (format!("{} {}", key.0, key.1), of(&tally.keeper, key), of(&tally.raw, key));
    keys.into_iter().map(row).collect()
}

fn conditions(options: &Options) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, it)| it);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    // What follows a dash names somebody's build of it.
    let kernel = kernel.split('-').next().unwrap_or_default();
    format!(
        "Measured {} with {} rounds of each system and {} refills and creations a round; {cores} cores ({model}), Linux {}, \
         keeper {}, Kubernetes and etcd as in `e2e/local/go`. Load of the machine over the last minute: {}.",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        options.rounds,
        options.samples,
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    )
}
