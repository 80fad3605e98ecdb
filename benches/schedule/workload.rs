//! Workload models: kinds of jobs and the jobs of each, from published distributions.

use crate::rng::Rng;

/// Executors of the cluster.
pub(crate) const EXECUTORS: u64 = 128;
/// Kinds of jobs: operations.
const KINDS: usize = 100;
/// How far the runs of a kind lie apart: the deviation of the logarithm of their time.
const SPREAD: f64 = 0.4;
/// Longer runs are drawn again: 45 hours, as in Lublin's program.
const LONGEST: f64 = 12.0;

/// A job to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Milliseconds.
    pub(crate) comes: i64,
    pub(crate) kind: usize,
    pub(crate) executors: u64,
    /// Milliseconds.
    pub(crate) takes: i64,
    /// What its kind takes as a rule, in milliseconds.
    pub(crate) usual: i64,
}

/// Where sizes and run times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// U. Lublin and D. G. Feitelson, "The workload on parallel supercomputers: modeling the characteristics of rigid jobs", J. of
    /// Parallel and Distributed Computing 63(11), 2003; the parameters for all jobs together, a machine of 128.
    Lublin,
    /// A. B. Downey, "A parallel workload model and its implications for processor allocation", HPDC 1997: size and total work are
    /// uniform in their logarithms.
    Downey,
}

impl Model {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lublin => "Lublin-Feitelson 2003",
            Self::Downey => "Downey 1997",
        }
    }

    /// Executors and seconds of one kind of job.
    fn kind(self, rng: &mut Rng) -> (u64, f64) {
        match self {
            Self::Lublin => {
                let size = lublin_size(rng);
                (size, lublin_time(rng, size))
            }
            Self::Downey => {
                let size = whole(between(rng, 0.0, 7.0).exp2()).clamp(1, EXECUTORS);
                let work = between(rng, 60.0_f64.ln(), 1e6_f64.ln()).exp();
                (size, (work / real(size)).max(1.0))
            }
        }
    }
}

/// So many jobs that offer the cluster this load: work that comes, by work that it can do.
pub(crate) fn jobs(model: Model, load: f64, number: usize, seed: u64) -> Vec<Job> {
    let mut rng = Rng::new(seed);
    let kinds: Vec<(u64, f64)> = (0..KINDS).map(|_| model.kind(&mut rng)).collect();
    let drawn: Vec<(usize, f64)> = (0..number)
        .map(|_| {
            let kind = rng.below(KINDS);
            (kind, kinds[kind].1 * (SPREAD * normal(&mut rng)).exp())
        })
        .collect();
    let work: f64 = drawn.iter().map(|(kind, takes)| real(kinds[*kind].0) * takes).sum();
    let gap = work / (real(EXECUTORS) * load) / count(number);
    let mut now = 0.0;
    let job = |(kind, takes): (usize, f64)| {
        now += -gap * uniform(&mut rng).ln();
        Job {
            comes: millis(now),
            kind,
            executors: kinds[kind].0,
            takes: millis(takes).max(1000),
            usual: millis(kinds[kind].1).max(1000),
        }
    };
    drawn.into_iter().map(job).collect()
}

fn lublin_size(rng: &mut Rng) -> u64 {
    const SERIAL: f64 = 0.244;
    const POWER_OF_TWO: f64 = 0.576;
    let (low, middle, high, first) = (0.8, 4.5, 7.0, 0.86);
    let which = uniform(rng);
    if which <= SERIAL {
        return 1;
    }
    let size = if uniform(rng) <= first { between(rng, low, middle) } else { between(rng, middle, high) };
    let size = if which <= SERIAL + POWER_OF_TWO { (size + 0.5).floor() } else { size };
    whole((size.exp2() + 0.5).floor()).clamp(1, EXECUTORS)
}

fn lublin_time(rng: &mut Rng, size: u64) -> f64 {
    let short = (-0.0054_f64).mul_add(real(size), 0.78).clamp(0.0, 1.0);
    loop {
        let drawn = if uniform(rng) <= short { gamma(rng, 4.2, 0.94) } else { gamma(rng, 312.0, 0.03) };
        if drawn <= LONGEST {
            return drawn.exp();
        }
    }
}

/// Above 0, at most 1.
fn uniform(rng: &mut Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are a number as it is")]
    let bits = (rng.next() >> 11) as f64;
    (bits + 1.0) / 9_007_199_254_740_992.0
}

fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    uniform(rng).mul_add(high - low, low)
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// By Marsaglia and Tsang; the shape is above 1.
fn gamma(rng: &mut Rng, shape: f64, scale: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = c.mul_add(x, 1.0).powi(3);
        if v > 0.0 && uniform(rng).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v * scale;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(crate) fn real(number: u64) -> f64 {
    number as f64
}

fn count(number: usize) -> f64 {
    real(number as u64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size, which is small and not below zero"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[expect(clippy::cast_possible_truncation, reason = "times of some years")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
