//! From what an operation and a cluster's template write about their pods to what those pods really request.
//!
//! The rules are Spark's own (`BasicDriverFeatureStep`, `BasicExecutorFeatureStep`): cores are `coreRequest` where it is
//! set, else `cores`; memory is the heap, plus an overhead that is either given or a share of the heap with a floor,
//! plus what lives outside the heap.

use super::resources::{Footprint, PodSize};

/// What the driver or the executors run in; it decides Spark's default share of overhead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Scala and Java: a tenth of the heap.
    Jvm,
    /// Python: four tenths of the heap, since its workers live outside of it.
    Python,
}

/// The size of one kind of pod as far as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PodSizing {
    /// `cores`, whole.
    pub cores: Option<u64>,
    /// `coreRequest` in thousandths of a core; replaces `cores` in the pod's request.
    pub core_request_milli: Option<u64>,
    /// Heap in MiB.
    pub memory_mib: Option<u64>,
    /// Overhead in MiB where it is given outright.
    pub overhead_mib: Option<u64>,
    /// Overhead as thousandths of the heap where a factor is given.
    pub overhead_per_mille: Option<u64>,
    /// Floor of the computed overhead in MiB.
    pub overhead_floor_mib: Option<u64>,
    /// Off-heap and Python memory in MiB.
    pub outside_heap_mib: Option<u64>,
}

impl PodSizing {
    const DEFAULT_MEMORY_MIB: u64 = 1024;
    const DEFAULT_OVERHEAD_FLOOR_MIB: u64 = 384;

    fn over(self, below: Self) -> Self {
        Self {
            cores: self.cores.or(below.cores),
            core_request_milli: self.core_request_milli.or(below.core_request_milli),
            memory_mib: self.memory_mib.or(below.memory_mib),
            overhead_mib: self.overhead_mib.or(below.overhead_mib),
            overhead_per_mille: self.overhead_per_mille.or(below.overhead_per_mille),
            overhead_floor_mib: self.overhead_floor_mib.or(below.overhead_floor_mib),
            outside_heap_mib: self.outside_heap_mib.or(below.outside_heap_mib),
        }
    }

    fn size(self, language: Language) -> PodSize {
        let heap = self.memory_mib.unwrap_or(Self::DEFAULT_MEMORY_MIB);
        let share = self.overhead_per_mille.unwrap_or(match language {
            Language::Jvm => 100,
            Language::Python => 400,
        });
        let floor = self.overhead_floor_mib.unwrap_or(Self::DEFAULT_OVERHEAD_FLOOR_MIB);
        let overhead = self.overhead_mib.unwrap_or_else(|| (heap.saturating_mul(share).div_ceil(1000)).max(floor));
        PodSize {
            milli_cores: self.core_request_milli.unwrap_or_else(|| self.cores.unwrap_or(1).saturating_mul(1000)),
            memory_mib: heap.saturating_add(overhead).saturating_add(self.outside_heap_mib.unwrap_or(0)),
        }
    }
}

/// Everything that decides a footprint, as far as one object (an operation, a cluster's template) says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sizing {
    /// What it is written in.
    pub language: Option<Language>,
    /// The driver pod.
    pub driver: PodSizing,
    /// Each executor pod.
    pub executor: PodSizing,
}

impl Sizing {
    /// This over another: every field that this one leaves open is taken from `below`. The cluster's template lies over
    /// the operation, because admin beats user.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            language: self.language.or(below.language),
            driver: self.driver.over(below.driver),
            executor: self.executor.over(below.executor),
        }
    }

    /// The pods' real requests.
    #[must_use]
    pub fn footprint(self) -> Footprint {
        let language = self.language.unwrap_or(Language::Jvm);
        Footprint { driver: self.driver.size(language), executor: self.executor.size(language) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_heap_gets_the_floor_of_overhead_and_a_large_one_its_share() {
        let pod = |memory_mib| PodSizing { memory_mib: Some(memory_mib), ..PodSizing::default() };
        assert_eq!(pod(512).size(Language::Python).memory_mib, 512 + 384);
        assert_eq!(pod(4096).size(Language::Python).memory_mib, 4096 + 1639);
        assert_eq!(pod(4096).size(Language::Jvm).memory_mib, 4096 + 410);
    }

    #[test]
    fn a_core_request_replaces_the_cores() {
        let pod = PodSizing { cores: Some(2), core_request_milli: Some(100), ..PodSizing::default() };
        assert_eq!(pod.size(Language::Jvm).milli_cores, 100);
    }

    #[test]
    fn the_template_lies_over_the_operation() {
        let template = Sizing { driver: PodSizing { cores: Some(1), ..PodSizing::default() }, ..Sizing::default() };
        let operation = Sizing {
            driver: PodSizing { cores: Some(8), memory_mib: Some(700), ..PodSizing::default() },
            ..Sizing::default()
        };
        let driver = template.over(operation).footprint().driver;
        assert_eq!((driver.milli_cores, driver.memory_mib), (1000, 700 + 384));
    }
}
