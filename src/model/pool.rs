//! What a cluster says of its executor pool. All sizes are in executors of its unit.

use std::fmt;

use super::{Name, PodSize, Resources, Span};

/// What a cluster says of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolRules {
    /// It holds so many always.
    pub min: u64,
    /// And so many at most.
    pub max: u64,
    /// So many are held beside those that are taken, while the pool is not idle.
    pub warm: u64,
    /// It grows when more than this percentage of it is taken.
    pub grow_above: u32,
    /// It shrinks when less than this percentage of it has been taken for [`stabilization`](Self::stabilization).
    pub shrink_below: u32,
    /// How long it has to have been too large before it shrinks.
    pub stabilization: Span,
    /// How long no run has to have been alive before it holds the minimum only.
    pub idle: Span,
}

/// What is asked of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Load {
    /// Units that are taken: by runs, drivers charged, and by what nobody declared.
    pub taken: u64,
    /// Some run is alive in it.
    pub has_runs: bool,
    /// Nothing can start in it at this time: nothing is held warm for nobody.
    pub is_shut: bool,
}

impl PoolRules {
    /// The size that suits a load: room for as many warm ones as are to be held, and no fuller than it may be.
    #[must_use]
    pub fn wanted(&self, load: Load) -> u64 {
        let filled = u128::from(load.taken) * 100;
        let roomy = u64::try_from(filled.div_ceil(u128::from(self.grow_above.max(1)))).unwrap_or(u64::MAX);
        self.bounded(roomy.max(load.taken.saturating_add(self.warm_for(load))))
    }

    /// How many are to be warm.
    #[must_use]
    pub fn warm_for(&self, load: Load) -> u64 {
        if load.is_shut { 0 } else { self.warm }
    }

    /// The nearest size within the bounds.
    #[must_use]
    pub fn bounded(&self, size: u64) -> u64 {
        size.max(self.min).min(self.max)
    }

    /// Whether a pool of this size is fuller than it may be.
    #[must_use]
    pub fn is_too_full(&self, size: u64, load: u64) -> bool {
        u128::from(load) * 100 > u128::from(self.grow_above) * u128::from(size)
    }

    /// Whether a pool of this size is emptier than it need be.
    #[must_use]
    pub fn is_too_large(&self, size: u64, load: u64) -> bool {
        u128::from(load) * 100 < u128::from(self.shrink_below) * u128::from(size)
    }
}

/// Why a pool has another size than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// More of it is taken than it may be.
    Full,
    /// Fewer are left beside those that are taken than are to be warm.
    WarmTaken,
    /// Its bounds are others.
    Bounds,
    /// Too little of it was taken for long enough.
    Oversized,
    /// Nothing was taken for long enough.
    Idle,
}

impl Cause {
    /// The word in conditions, events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "PoolFull",
            Self::WarmTaken => "WarmTaken",
            Self::Bounds => "BoundsChanged",
            Self::Oversized => "PoolOversized",
            Self::Idle => "PoolIdle",
        }
    }
}

/// A pool has another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resized {
    /// Before.
    pub from: u64,
    /// From now on.
    pub to: u64,
    /// Why.
    pub cause: Cause,
    /// How many were taken when it was decided.
    pub load: u64,
    /// By these rules.
    pub rules: PoolRules,
}

/// `from 4 to 6 executors: 4 taken are more than 80 % of 4`.
impl fmt::Display for Resized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, load, rules, .. } = self;
        write!(f, "from {from} to {to} executors: ")?;
        match self.cause {
            Cause::Full => write!(f, "{load} taken are more than {} % of {from}", rules.grow_above),
            Cause::WarmTaken => write!(f, "{load} taken and {} warm are more than {from}", rules.warm),
            Cause::Bounds => write!(f, "it holds {} to {}", rules.min, rules.max),
            Cause::Oversized => {
                let (percent, seconds) = (rules.shrink_below, rules.stabilization.0 / 1000);
                write!(f, "less than {percent} % of {from} taken for {seconds} s")
            }
            Cause::Idle => write!(f, "no run for {} s", rules.idle.0 / 1000),
        }
    }
}

/// What holds a cluster's warm executors, as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlaceholdersSeen {
    /// The cluster.
    pub cluster: Name,
    /// How many there are to be.
    pub replicas: u64,
    /// How many run.
    pub ready: u64,
    /// How many executors the pool held when it was written, taken and warm.
    pub desired: Option<u64>,
    /// Why no more can be created, in Kubernetes' words.
    pub refused: Option<Box<str>>,
}

/// How many units of a pool something takes: of executors, cores and memory that of which it takes the most, rounded up.
/// Without a unit executors are counted.
#[must_use]
pub fn units(taken: Resources, unit: Option<PodSize>) -> u64 {
    let Some(unit) = unit else { return taken.executors };
    let of = |taken: u64, each: u64| if each == 0 { 0 } else { taken.div_ceil(each) };
    taken.executors.max(of(taken.milli_cores, unit.milli_cores)).max(of(taken.memory_mib, unit.memory_mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_takes_its_part_of_a_unit() {
        let unit = Some(PodSize { milli_cores: 2000, memory_mib: 4096 });
        let taken = |executors, milli_cores, memory_mib| Resources { executors, milli_cores, memory_mib };
        assert_eq!(units(taken(3, 6000, 12288), unit), 3);
        assert_eq!(units(taken(3, 7000, 12288), unit), 4);
        assert_eq!(units(taken(3, 6000, 20000), unit), 5);
        assert_eq!(units(taken(3, 7000, 20000), None), 3);
        assert_eq!(units(Resources::default(), unit), 0);
    }
}
