//! Schedule quality: how long jobs wait under each order, with the gate as it is shipped, on workloads from published models.
//!
//! `cargo bench --no-default-features --bench schedule` writes the table and the plot into docs/benchmarks/schedule.md and
//! schedule.svg; the same numbers come on every machine.

mod cluster;
mod plot;
#[path = "../../tests/simulation/rng.rs"]
#[expect(dead_code, reason = "the simulation needs the rest of it")]
mod rng;
mod workload;

use std::fmt::Write as _;
use std::path::Path;

use cluster::{Outcome, Policy, play};
use workload::{Model, jobs, real};

const JOBS: usize = 5_000;
const SEEDS: u64 = 20;
const LOADS: [f64; 3] = [0.7, 0.8, 0.9];

fn main() {
    let mut table = String::new();
    let mut curves = Vec::new();
    for model in [Model::Lublin, Model::Downey] {
        for load in LOADS {
            let mut base = Outcome::default();
            for policy in Policy::ALL {
                let found =
                    mean(&(0..SEEDS).map(|seed| play(&jobs(model, load, JOBS, seed), policy)).collect::<Vec<_>>());
                if policy == Policy::BestEffort {
                    base = found;
                }
                let row = row(model, load, policy, found, base);
                print!("{row}");
                table.push_str(&row);
                curves.push(plot::Point { model, policy, load, wait: found.mean_wait, large: found.worst_large });
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks");
    std::fs::write(folder.join("schedule.svg"), plot::draw(&curves)).expect("the plot");
    let page = folder.join("schedule.md");
    let text = std::fs::read_to_string(&page).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("the page has a place for the table");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    std::fs::write(&page, format!("{before}{BEGIN}\n\n{HEAD}{table}\n{END}{after}")).expect("the page");
}

const BEGIN: &str = "<!-- table: written by cargo bench --bench schedule -->";
const END: &str = "<!-- end of table -->";
const HEAD: &str = "| model | load | order | mean wait | against best-effort | worst wait | worst wait of the largest | utilisation |\n\
                    |---|---:|---|---:|---:|---:|---:|---:|\n";

fn row(model: Model, load: f64, policy: Policy, found: Outcome, base: Outcome) -> String {
    let mut row = String::new();
    let minutes = |seconds: f64| format!("{:.0} min", seconds / 60.0);
    // Writing to a String cannot fail.
    let _ = writeln!(
        row,
        "| {} | {load:.1} | {} | {} | {:+.0} % | {} | {} | {:.3} |",
        model.name(),
        policy.name(),
        minutes(found.mean_wait),
        (found.mean_wait / base.mean_wait - 1.0) * 100.0,
        minutes(found.worst_wait),
        minutes(found.worst_large),
        found.utilisation,
    );
    row
}

/// Means over the seeds; of the worst waits, too.
fn mean(all: &[Outcome]) -> Outcome {
    let of = |field: &dyn Fn(&Outcome) -> f64| all.iter().map(field).sum::<f64>() / real(all.len() as u64);
    Outcome {
        mean_wait: of(&|it| it.mean_wait),
        worst_wait: of(&|it| it.worst_wait),
        worst_large: of(&|it| it.worst_large),
        utilisation: of(&|it| it.utilisation),
    }
}
