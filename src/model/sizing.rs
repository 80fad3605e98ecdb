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
    /// This kind of pod's own overhead factor, in thousandths of the heap.
    pub overhead_per_mille: Option<u64>,
    /// Floor of the computed overhead in MiB.
    pub overhead_floor_mib: Option<u64>,
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
        }
    }

    fn size(self, whole: &Sizing) -> PodSize {
        let heap = self.memory_mib.unwrap_or(Self::DEFAULT_MEMORY_MIB);
        let share = self.overhead_per_mille.or(whole.overhead_per_mille).unwrap_or(match whole.language() {
            Language::Jvm => 100,
            Language::Python => 400,
        });
        let overhead =
            self.overhead_mib.unwrap_or_else(|| (heap.saturating_mul(share) / 1000).max(self.least_overhead(whole)));
        PodSize {
            milli_cores: self.core_request_milli.unwrap_or_else(|| self.cores.unwrap_or(1).saturating_mul(1000)),
            memory_mib: heap.saturating_add(overhead),
        }
    }

    /// Before Spark 4 the least overhead is a constant: a smaller floor has no effect.
    fn least_overhead(self, whole: &Sizing) -> u64 {
        let fixed = if whole.floor_is_fixed.unwrap_or(true) { Self::DEFAULT_OVERHEAD_FLOOR_MIB } else { 0 };
        self.overhead_floor_mib.map_or(Self::DEFAULT_OVERHEAD_FLOOR_MIB, |floor| floor.max(fixed))
    }
}

/// Everything that decides a footprint, as far as one object (an operation, a cluster's template) says it. Kept apart as
/// it was written: only the merged whole says what a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sizing {
    /// What it is written in.
    pub language: Option<Language>,
    /// The driver pod.
    pub driver: PodSizing,
    /// Each executor pod.
    pub executor: PodSizing,
    /// The overhead factor of both, in thousandths of the heap; a pod's own comes first.
    pub overhead_per_mille: Option<u64>,
    /// The Spark version has a fixed least overhead (before 4); unknown counts as fixed.
    pub floor_is_fixed: Option<bool>,
    /// Executors use memory outside the heap.
    pub off_heap: Option<bool>,
    /// How much, in MiB.
    pub off_heap_mib: Option<u64>,
    /// Memory of an executor's Python workers in MiB; counts for Python only.
    pub python_mib: Option<u64>,
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
            overhead_per_mille: self.overhead_per_mille.or(below.overhead_per_mille),
            floor_is_fixed: self.floor_is_fixed.or(below.floor_is_fixed),
            off_heap: self.off_heap.or(below.off_heap),
            off_heap_mib: self.off_heap_mib.or(below.off_heap_mib),
            python_mib: self.python_mib.or(below.python_mib),
        }
    }

    /// The pods' real requests.
    #[must_use]
    pub fn footprint(self) -> Footprint {
        let mut executor = self.executor.size(&self);
        executor.memory_mib = executor.memory_mib.saturating_add(self.outside_heap());
        Footprint { driver: self.driver.size(&self), executor }
    }

    fn language(&self) -> Language {
        self.language.unwrap_or(Language::Jvm)
    }

    /// What an executor takes beside heap and overhead.
    fn outside_heap(&self) -> u64 {
        let off_heap = if self.off_heap == Some(true) { self.off_heap_mib.unwrap_or(0) } else { 0 };
        let python = if self.language() == Language::Python { self.python_mib.unwrap_or(0) } else { 0 };
        off_heap.saturating_add(python)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executor(language: Language, executor: PodSizing) -> PodSize {
        Sizing { language: Some(language), executor, ..Sizing::default() }.footprint().executor
    }

    #[test]
    fn a_small_heap_gets_the_floor_of_overhead_and_a_large_one_its_share() {
        let pod = |memory_mib| PodSizing { memory_mib: Some(memory_mib), ..PodSizing::default() };
        assert_eq!(executor(Language::Python, pod(512)).memory_mib, 512 + 384);
        assert_eq!(executor(Language::Python, pod(4096)).memory_mib, 4096 + 1638);
        assert_eq!(executor(Language::Jvm, pod(4096)).memory_mib, 4096 + 409);
    }

    #[test]
    fn a_core_request_replaces_the_cores() {
        let pod = PodSizing { cores: Some(2), core_request_milli: Some(100), ..PodSizing::default() };
        assert_eq!(executor(Language::Jvm, pod).milli_cores, 100);
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

    #[test]
    fn a_pods_own_factor_stands_above_a_common_one_of_the_template() {
        let template = Sizing { overhead_per_mille: Some(100), ..Sizing::default() };
        let own = PodSizing { memory_mib: Some(4000), overhead_per_mille: Some(500), ..PodSizing::default() };
        let operation = Sizing { executor: own, ..Sizing::default() };
        assert_eq!(template.over(operation).footprint().executor.memory_mib, 6000);
    }

    #[test]
    fn memory_outside_the_heap_counts_only_where_it_is_used() {
        let switch = Sizing { off_heap: Some(true), ..Sizing::default() };
        let size = Sizing { off_heap_mib: Some(300), python_mib: Some(50), ..Sizing::default() };
        let memory = |sizing: Sizing| sizing.footprint().executor.memory_mib - 1024 - 384;
        assert_eq!(memory(size), 0);
        assert_eq!(memory(switch.over(size)), 300);
        let python = Sizing { language: Some(Language::Python), ..Sizing::default() };
        assert_eq!(python.over(size).footprint().executor.memory_mib, 1024 + 409 + 50);
    }
}
