//! What a run takes and what a cluster holds: one vector of executors, cores and memory.

use std::fmt;

use super::name::Name;

/// What one pod requests from Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PodSize {
    /// Thousandths of a core.
    pub milli_cores: u64,
    /// Memory in MiB, Spark's overheads included.
    pub memory_mib: u64,
}

impl PodSize {
    /// Whether this much fits into `room`.
    #[must_use]
    pub fn fits(self, room: Self) -> bool {
        self.milli_cores <= room.milli_cores && self.memory_mib <= room.memory_mib
    }
}

impl fmt::Display for PodSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m cores and {} MiB", self.milli_cores, self.memory_mib)
    }
}

/// The vector in which runs are charged and clusters are measured. Drivers count in cores and memory, not as executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Resources {
    /// Executor pods.
    pub executors: u64,
    /// Thousandths of a core.
    pub milli_cores: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl Resources {
    /// The sum, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            executors: self.executors.saturating_add(other.executors),
            milli_cores: self.milli_cores.saturating_add(other.milli_cores),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
        }
    }

    /// What is left after taking `other`, never below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            executors: self.executors.saturating_sub(other.executors),
            milli_cores: self.milli_cores.saturating_sub(other.milli_cores),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
        }
    }

    /// Whether every component fits into `room`.
    #[must_use]
    pub fn fits(self, room: Self) -> bool {
        self.executors <= room.executors && self.milli_cores <= room.milli_cores && self.memory_mib <= room.memory_mib
    }

    /// Whether some of a capacity is used to this many percent or more.
    #[must_use]
    pub fn reaches(self, percent: u32, capacity: Self) -> bool {
        let reaches = |used: u64, most: u64| {
            used > 0 && most != u64::MAX && u128::from(used) * 100 >= u128::from(most) * u128::from(percent)
        };
        reaches(self.executors, capacity.executors)
            || reaches(self.milli_cores, capacity.milli_cores)
            || reaches(self.memory_mib, capacity.memory_mib)
    }

    /// Cores and memory of it, as of one large pod.
    #[must_use]
    pub fn requested(self) -> PodSize {
        PodSize { milli_cores: self.milli_cores, memory_mib: self.memory_mib }
    }

    /// The larger of each component.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            executors: self.executors.max(other.executors),
            milli_cores: self.milli_cores.max(other.milli_cores),
            memory_mib: self.memory_mib.max(other.memory_mib),
        }
    }

    /// The smaller of each component.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            executors: self.executors.min(other.executors),
            milli_cores: self.milli_cores.min(other.milli_cores),
            memory_mib: self.memory_mib.min(other.memory_mib),
        }
    }

    /// Whether it is more executors than any cluster has, or more cores or memory than any run takes (a thousand such runs can
    /// still be added up): somebody's mistake, which makes no cluster full for ever.
    #[must_use]
    pub fn is_beyond_measure(self) -> bool {
        self.executors > 1_000_000 || self.milli_cores.max(self.memory_mib) > 10_000_000_000_000
    }

    /// Room without bound.
    pub const UNBOUNDED: Self = Self { executors: u64::MAX, milli_cores: u64::MAX, memory_mib: u64::MAX };
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = self.milli_cores;
        write!(f, "{} executors, ", self.executors)?;
        match cores % 1000 {
            0 => write!(f, "{} cores, ", cores / 1000)?,
            _ => write!(f, "{cores}m cores, ")?,
        }
        write!(f, "{} MiB", self.memory_mib)
    }
}

/// What a run's pods request: one driver and a number of equal executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Footprint {
    /// The driver pod.
    pub driver: PodSize,
    /// Each executor pod.
    pub executor: PodSize,
}

impl Footprint {
    /// The whole run with this many executors.
    #[must_use]
    pub fn with(self, executors: u64) -> Resources {
        Resources {
            executors,
            milli_cores: self.executor.milli_cores.saturating_mul(executors).saturating_add(self.driver.milli_cores),
            memory_mib: self.executor.memory_mib.saturating_mul(executors).saturating_add(self.driver.memory_mib),
        }
    }

    /// The largest number of executors within `bounds` with which the run fits into `room`; `None` when not even the
    /// smallest does.
    #[must_use]
    pub fn largest_within(self, bounds: ExecutorBounds, room: Resources) -> Option<u64> {
        let left = room.minus(self.with(0));
        let by = |room: u64, each: u64| room.checked_div(each).unwrap_or(u64::MAX);
        let most = bounds
            .max
            .min(left.executors)
            .min(by(left.milli_cores, self.executor.milli_cores))
            .min(by(left.memory_mib, self.executor.memory_mib));
        (self.with(0).fits(room) && most >= bounds.least()).then_some(most)
    }
}

/// How many executors a job wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExecutorChoice {
    /// So many, of the size that operation and cluster give them.
    Bounds(ExecutorBounds),
    /// What a cluster declares under this name.
    Size(Name),
}

impl ExecutorChoice {
    /// Whether a run may be granted more than its least, as far as is known without asking a cluster.
    #[must_use]
    pub fn is_elastic(&self) -> bool {
        match self {
            Self::Bounds(bounds) => bounds.least() < bounds.max,
            Self::Size(_) => true,
        }
    }
}

impl Default for ExecutorChoice {
    fn default() -> Self {
        Self::Bounds(ExecutorBounds::default())
    }
}

/// How many executors a run may have. `min <= max` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorBounds {
    /// It starts only with room for this many.
    pub min: u64,
    /// It never has more.
    pub max: u64,
}

impl Default for ExecutorBounds {
    /// One executor: what the spark-operator gives when nobody says.
    fn default() -> Self {
        Self { min: 1, max: 1 }
    }
}

impl ExecutorBounds {
    /// The least that a run is started with room for: a run of dynamic size that may have executors gets at least one.
    #[must_use]
    pub fn least(self) -> u64 {
        self.min.max(1).min(self.max)
    }

    /// Bounds from what was written: a missing bound follows the other, both missing give one executor. A `min` above
    /// `max` (the schema refuses it) is taken as `max`.
    #[must_use]
    pub fn from_written(min: Option<u64>, max: Option<u64>) -> Self {
        match (min, max) {
            (None, None) => Self::default(),
            (Some(min), None) => Self { min, max: min.max(1) },
            (None, Some(max)) => Self { min: max.min(1), max },
            (Some(min), Some(max)) => Self { min: min.min(max), max },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Footprint = Footprint {
        driver: PodSize { milli_cores: 100, memory_mib: 500 },
        executor: PodSize { milli_cores: 1000, memory_mib: 1000 },
    };

    #[test]
    fn the_driver_is_charged_beside_its_executors() {
        assert_eq!(RUN.with(2), Resources { executors: 2, milli_cores: 2100, memory_mib: 2500 });
    }

    #[test]
    fn a_grant_is_as_large_as_the_scarcest_dimension_allows() {
        let room = Resources { executors: 9, milli_cores: 9000, memory_mib: 3600 };
        assert_eq!(RUN.largest_within(ExecutorBounds { min: 1, max: 8 }, room), Some(3));
        assert_eq!(RUN.largest_within(ExecutorBounds { min: 4, max: 8 }, room), None);
        assert_eq!(RUN.largest_within(ExecutorBounds { min: 0, max: 0 }, room), Some(0));
        let full = Resources { executors: 0, ..room };
        assert_eq!(RUN.largest_within(ExecutorBounds { min: 0, max: 2 }, full), None, "it could never do anything");
    }

    #[test]
    fn a_driver_without_room_does_not_start_even_with_no_executors() {
        let room = Resources { executors: 9, milli_cores: 99, memory_mib: 3600 };
        assert_eq!(RUN.largest_within(ExecutorBounds { min: 0, max: 1 }, room), None);
    }

    #[test]
    fn a_missing_bound_follows_the_other() {
        assert_eq!(ExecutorBounds::from_written(Some(3), None), ExecutorBounds { min: 3, max: 3 });
        assert_eq!(ExecutorBounds::from_written(None, Some(3)), ExecutorBounds { min: 1, max: 3 });
        assert_eq!(ExecutorBounds::from_written(None, None), ExecutorBounds { min: 1, max: 1 });
    }
}
