//! What the keeper costs and how fast it is on a real API server. `make bench` runs it inside cluster `bench`; how and why
//! it measures as it does is decided in `docs/decisions/0009-how-it-is-measured.md`.
//!
//! The last line on standard output is one line of JSON with the figures.

mod burst;
mod create;
mod figures;
mod keeper;
mod memory;
mod process;
mod raw;
mod refill;
mod server;
mod sight;
mod stage;
mod template;

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;

use burst::Burst;
use figures::{Figures, Samples, Tally};
use keeper::Keeper;
use server::Server;
use sight::Sight;
use stage::Stage;
use template::Template;

/// What to measure, and how thoroughly.
#[derive(Debug, Parser)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    /// Folder of the running cluster, with its daemons' pid files.
    #[arg(long)]
    run: PathBuf,
    /// The definition of `SparkApplication`.
    #[arg(long)]
    spark: PathBuf,
    /// Rounds of each system.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Jobs in a burst.
    #[arg(long, default_value_t = 600)]
    burst: usize,
    /// Slots of a burst.
    #[arg(long, default_value_t = 20)]
    slots: u32,
    /// Refills and creations of a round.
    #[arg(long, default_value_t = 60)]
    samples: usize,
    /// Jobs in the queue for the second figure of memory; the first is a tenth of it.
    #[arg(long, default_value_t = 100_000)]
    queued: usize,
    /// Microseconds an event that the engine's own benchmark found: medians with 10,000 and with 100,000 jobs, then means,
    /// the 99.9th percentile with 100,000, and the median with a million.
    #[arg(long, num_args = 6)]
    engine: Vec<f64>,
    /// Where the figures go as Markdown; nowhere if it is left out.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Everything that a scenario needs.
pub(crate) struct Bench {
    options: Options,
    stage: Stage,
    sight: Sight,
    server: Server,
    started: Instant,
}

impl Bench {
    /// A line of progress.
    pub(crate) fn say(&self, words: &str) {
        let seconds = self.started.elapsed().as_secs();
        println!("  {:2}:{:02}  {words}", seconds / 60, seconds % 60);
    }
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let started = Instant::now();
    let stage = Stage::set_up(&options.spark).await;
    let sight = Sight::start(stage.clone());
    let server = Server::new(stage.clone(), &options.run);
    let bench = Bench { options, stage, sight, server, started };
    bench.say("the API server has the definitions");
    let template = template::take(&bench).await;
    bench.say("what the keeper writes for a job is known");
    let mut tally = Tally::default();
    for round in 0..bench.options.rounds {
        let keeper_first = round % 2 == 0;
        for keepers_turn in [keeper_first, !keeper_first] {
            if keepers_turn {
                keeper_round(&bench, &mut tally).await;
            } else {
                raw_round(&bench, &template, &mut tally).await;
            }
        }
    }
    memory::measure(&bench, &mut tally).await;
    let figures = Figures::of(&tally, &bench.options);
    figures.print();
    if let Some(page) = &bench.options.page {
        figures.write(page);
    }
    println!("{}", figures.json());
}

async fn keeper_round(bench: &Bench, tally: &mut Tally) {
    let mut keeper = Keeper::start(bench, keeper::Change::None).await;
    let created = create::measure(bench).await;
    let refilled = refill::by_keeper(bench).await;
    bench.say(&format!("keeper: create {created}, refill {refilled}"));
    let burst = burst::by_keeper(bench, &keeper).await;
    bench.say(&format!("keeper: burst {burst}"));
    keeper.stop().await;
    let tombstones = burst::tombstones(bench).await;
    bench.stage.clear().await;
    tally.created.extend(created);
    tally.refilled.extend(refilled);
    tally.tombstones.push(tombstones);
    tally.keeper.push(burst);
}

async fn raw_round(bench: &Bench, template: &Template, tally: &mut Tally) {
    let refilled = raw::refills(bench, template).await;
    bench.say(&format!("raw:    refill {refilled}"));
    let burst: Burst = raw::burst(bench, template).await;
    bench.say(&format!("raw:    burst {burst}"));
    bench.stage.clear().await;
    tally.raw_refilled.extend(refilled);
    tally.raw.push(burst);
}

/// Milliseconds between two moments.
pub(crate) fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

impl Samples {
    /// From pairs of moments.
    pub(crate) fn between(pairs: impl IntoIterator<Item = (Instant, Instant)>) -> Self {
        pairs.into_iter().map(|(from, to)| milliseconds(from, to)).collect()
    }
}
