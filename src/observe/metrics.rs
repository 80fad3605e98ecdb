//! Metrics, in a registry of their own. Every label is from a closed list (but namespaces, of which a bounded number is named), so
//! their number never grows with the number of jobs, and none of them is a job's name.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::bill::BillMetrics;
use crate::engine::Figures;
use crate::model::{JobState, Name, Usage};

/// Every metric of the keeper.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Commands by kind and outcome.
    pub commands: IntCounterVec,
    /// Requests to the API server by verb, kind and outcome, in seconds.
    pub requests: HistogramVec,
    /// Time of one engine step in seconds.
    pub step: Histogram,
    /// Jobs by state.
    pub jobs: IntGaugeVec,
    /// Waiting jobs by reason.
    pub queued: IntGaugeVec,
    /// Applications that no job declared, by namespace.
    pub undeclared: IntGaugeVec,
    /// What runs took, and what stood warm.
    pub bill: BillMetrics,
    /// Bills that are yet to be seen in their accounts.
    pub bills_pending: IntGauge,
    /// Runs that are alive.
    pub runs: IntGauge,
    /// The ledger's epoch: grows with every leader.
    pub epoch: IntGauge,
    /// 1 while jobs may be admitted.
    pub admitting: IntGauge,
    /// Tombstones that stay.
    pub tombstones: IntGauge,
    /// Bytes of the last ledger write.
    pub ledger_bytes: IntGauge,
    /// 1 while the settings file is good.
    pub settings_valid: IntGauge,
    /// 1 while this process leads.
    pub leading: IntGauge,
    /// Times that this process came to lead.
    pub terms: IntCounter,
    /// Watches that had to start again, by kind.
    pub watch_restarts: IntCounterVec,
    /// Pools that were made larger or smaller, by cluster and reason.
    pub pool_changes: IntCounterVec,
    /// Objects that could not be understood, by kind.
    pub malformed: IntCounterVec,
    /// Events that were dropped because too many waited.
    pub events_dropped: IntCounter,
    /// Requests that the writer allows itself to have in flight.
    pub window: Gauge,
    /// Requests in flight.
    pub in_flight: IntGauge,
    /// Commands that wait in the writer, by lane.
    pub waiting: IntGaugeVec,
}

/// Namespaces that a metric tells apart; and how it calls the others, which is no namespace's name.
const MOST_NAMESPACES: usize = 50;
pub(super) const OTHER_NAMESPACES: &str = "_other";

const REQUEST_BUCKETS: &[f64] = &[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const STEP_BUCKETS: &[f64] = &[1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 5e-2, 0.5];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let room = Room(Registry::new());
        let info = room.gauges("slowlane_build_info", "The version that runs.", &["version"]);
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            commands: room.counters(
                "slowlane_commands_total",
                "Commands by kind and outcome.",
                &["command", "outcome"],
            ),
            requests: room.histograms(
                "slowlane_api_request_seconds",
                "Requests to the API server.",
                &["verb", "kind", "outcome"],
            ),
            step: room.step(),
            jobs: room.gauges("slowlane_jobs", "Jobs by state.", &["state"]),
            queued: room.gauges("slowlane_jobs_waiting", "Waiting jobs by their first reason.", &["reason"]),
            undeclared: room.gauges(
                "slowlane_undeclared_applications",
                "SparkApplications that no job declared, by namespace; those of more than fifty namespaces together.",
                &["namespace"],
            ),
            bill: room.bill(),
            bills_pending: room.gauge(
                "slowlane_bills_pending",
                "Bills in the ledger that are yet to be seen in the statuses of operations and clusters; of more than 1,000 the \
                 oldest are given up.",
            ),
            runs: room.gauge("slowlane_runs_alive", "Runs that are granted and not closed: the holders in the ledger."),
            epoch: room.gauge("slowlane_ledger_epoch", "Epoch of the ledger; grows with every leader."),
            admitting: room.gauge("slowlane_admitting", "1 while jobs may be admitted."),
            tombstones: room.gauge("slowlane_tombstones", "Applications of closed runs that stay."),
            ledger_bytes: room.gauge("slowlane_ledger_bytes", "Size of the last ledger write."),
            settings_valid: room.gauge(
                "slowlane_settings_valid",
                "1 while the settings file is good; 0: it was changed and refused, and the last good one is in force.",
            ),
            leading: room.gauge("slowlane_leading", "1 while this process leads."),
            terms: room.counter("slowlane_terms_total", "Times that this process came to lead."),
            pool_changes: room.counters(
                "slowlane_pool_changes_total",
                "Pools that were made larger or smaller.",
                &["cluster", "reason"],
            ),
            watch_restarts: room.counters(
                "slowlane_watch_restarts_total",
                "Watches that failed and started again.",
                &["kind"],
            ),
            malformed: room.counters(
                "slowlane_malformed_objects_total",
                "Objects that were not understood.",
                &["kind"],
            ),
            events_dropped: room.counter("slowlane_events_dropped_total", "Events dropped because too many waited."),
            window: room.register(Gauge::new("slowlane_writer_window", "Requests that may be in flight.")),
            in_flight: room.gauge("slowlane_writer_in_flight", "Requests in flight."),
            waiting: room.gauges("slowlane_writer_waiting", "Commands that wait in the writer.", &["lane"]),
            registry: room.0,
        };
        metrics.settings_valid.set(1);
        metrics
    }

    /// Takes over what the engine counts.
    pub fn take_figures(&self, figures: &Figures) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for state in JobState::ALL {
            let number = figures.jobs.get(&state).copied().unwrap_or(0);
            self.jobs.with_label_values(&[state.as_str()]).set(whole(number));
        }
        self.queued.reset();
        for (reason, number) in &figures.waiting {
            self.queued.with_label_values(&[reason.as_str()]).set(whole(*number));
        }
        self.take_undeclared(figures);
        self.runs.set(whole(figures.live_runs));
        self.bills_pending.set(whole(figures.bills));
        figures.warm.iter().for_each(|(cluster, amount)| self.bill.take_warm(cluster, *amount));
        self.tombstones.set(whole(figures.tombstones));
        self.epoch.set(figures.epoch);
        self.admitting.set(figures.admitting.into());
    }

    /// What closed runs of a namespace took on a cluster.
    pub fn count_usage(&self, cluster: &Name, namespace: &Name, usage: Usage) {
        self.bill.count(cluster, namespace, usage);
    }

    /// The namespaces that have the most; all others together.
    fn take_undeclared(&self, figures: &Figures) {
        let mut namespaces: Vec<_> = figures.undeclared.iter().map(|(name, number)| (*number, &**name)).collect();
        namespaces.sort_by(|one, other| other.cmp(one));
        self.undeclared.reset();
        for (place, (number, name)) in namespaces.into_iter().enumerate() {
            let label = if place < MOST_NAMESPACES { name } else { OTHER_NAMESPACES };
            self.undeclared.with_label_values(&[label]).add(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Registers what it makes. All names and labels are constants, so nothing here can fail at run time.
struct Room(Registry);

const CONSTANT: &str = "the name and labels are valid and unique constants";

impl Room {
    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let made = made.expect(CONSTANT);
        self.0.register(Box::new(made.clone())).expect(CONSTANT);
        made
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        self.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(REQUEST_BUCKETS.into()), labels))
    }

    fn bill(&self) -> BillMetrics {
        let labels = &["cluster", "namespace", "kind"];
        BillMetrics {
            core_seconds: self.counters(
                "slowlane_usage_core_seconds_total",
                "Core-seconds of runs that were closed since this process leads, by kind: granted is what was reserved for them, \
                 used what their pods requested while they ran. Beyond 200 pairs of a cluster and a namespace: _other.",
                labels,
            ),
            gib_seconds: self.counters(
                "slowlane_usage_memory_gib_seconds_total",
                "The same in GiB of memory times seconds.",
                labels,
            ),
            warm_core_seconds: self.counters(
                "slowlane_warm_core_seconds_total",
                "Core-seconds that placeholders which ran held for nobody, since this process leads.",
                &["cluster"],
            ),
            warm_gib_seconds: self.counters(
                "slowlane_warm_memory_gib_seconds_total",
                "The same in GiB of memory times seconds.",
                &["cluster"],
            ),
            told_apart: Arc::default(),
        }
    }

    fn step(&self) -> Histogram {
        let options = HistogramOpts::new("slowlane_engine_step_seconds", "Time of one step of the engine.");
        self.register(Histogram::with_opts(options.buckets(STEP_BUCKETS.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Amount;

    #[test]
    fn only_so_many_namespaces_are_told_apart() {
        let metrics = Metrics::new();
        let undeclared = (1..=60_u64).map(|number| (format!("n{number:02}").into(), number)).collect();
        metrics.take_figures(&Figures { undeclared, ..Figures::default() });
        let shown = metrics.render();
        assert!(shown.contains("slowlane_undeclared_applications{namespace=\"n60\"} 60"), "{shown}");
        assert!(shown.contains("slowlane_undeclared_applications{namespace=\"_other\"} 55"), "{shown}");
        metrics.take_figures(&Figures::default());
        assert!(!metrics.render().contains("slowlane_undeclared_applications{"));
    }

    #[test]
    fn the_bill_is_counted_and_only_so_many_namespaces_are_told_apart_in_it() {
        let metrics = Metrics::new();
        let amount = |core_seconds| Amount { core_seconds, gib_seconds: 2 * core_seconds };
        let usage = Usage { granted: amount(5), used: amount(3) };
        for number in [0, 0].into_iter().chain(1..203) {
            metrics.count_usage(&"business".into(), &format!("n{number}").into(), usage);
        }
        let shown = metrics.render();
        let has = |line: &str| assert!(shown.lines().any(|it| it == line), "{line}: {shown}");
        has("slowlane_usage_core_seconds_total{cluster=\"business\",kind=\"granted\",namespace=\"n0\"} 10");
        has("slowlane_usage_memory_gib_seconds_total{cluster=\"business\",kind=\"used\",namespace=\"n0\"} 12");
        has("slowlane_usage_core_seconds_total{cluster=\"business\",kind=\"granted\",namespace=\"_other\"} 15");
    }

    #[test]
    fn what_stands_warm_is_counted_as_it_grows() {
        let metrics = Metrics::new();
        for core_seconds in [4, 9, 9] {
            let warm = [("business".into(), Amount { core_seconds, gib_seconds: 0 })].into();
            metrics.take_figures(&Figures { warm, ..Figures::default() });
        }
        let shown = metrics.render();
        assert!(shown.contains("slowlane_warm_core_seconds_total{cluster=\"business\"} 9"), "{shown}");
    }

    #[test]
    fn everything_is_registered_and_shown() {
        let metrics = Metrics::new();
        metrics.commands.with_label_values(&["WriteLedger", "ok"]).inc();
        metrics.leading.set(1);
        let shown = metrics.render();
        assert!(shown.contains("slowlane_commands_total{command=\"WriteLedger\",outcome=\"ok\"} 1"), "{shown}");
        assert!(shown.contains("slowlane_leading 1") && shown.contains("slowlane_build_info"), "{shown}");
    }
}
