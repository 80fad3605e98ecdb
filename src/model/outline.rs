//! An application in outline: what has to be known of it to decide on a run, without what it does.
//!
//! The rules of size are Spark's own (`BasicDriverFeatureStep`, `BasicExecutorFeatureStep`): cores are `coreRequest` where
//! it is set, else `cores`; memory is the heap, plus an overhead that is either given or a share of the heap with a floor,
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

/// What Spark takes the main file for: it goes by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MainFile {
    /// A script in Python.
    Python,
    /// A script in R.
    R,
    /// A jar, as everything else.
    Jar,
}

/// What an application cannot be built without, as far as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Essentials {
    /// `type`.
    pub language: Option<Language>,
    /// `mainApplicationFile`.
    pub main_file: Option<MainFile>,
    /// There is a `mainClass`.
    pub main_class: bool,
    /// There is an `image`.
    pub image: bool,
    /// There is a `sparkVersion`.
    pub spark_version: bool,
}

impl Essentials {
    fn over(self, below: Self) -> Self {
        Self {
            language: self.language.or(below.language),
            main_file: self.main_file.or(below.main_file),
            main_class: self.main_class || below.main_class,
            image: self.image || below.image,
            spark_version: self.spark_version || below.spark_version,
        }
    }

    /// Spark goes by the file's ending, people by `type`: where they disagree, the larger overhead counts.
    fn runs_in(self) -> Language {
        match self.main_file {
            Some(MainFile::Python) => Language::Python,
            _ => self.language.unwrap_or(Language::Jvm),
        }
    }

    fn problem(self) -> Option<Problem> {
        let missing = |field, hint| Some(Problem { field, words: hint });
        let (Some(language), Some(file)) = (self.language, self.main_file) else {
            return match self.language {
                None => missing("type", "is missing: say Python, Scala or Java"),
                Some(_) => missing("mainApplicationFile", "is missing: name the script or jar that Spark runs"),
            };
        };
        match (language, file) {
            _ if !self.image => missing("image", "is missing: name it here or in the cluster's template"),
            _ if !self.spark_version => {
                missing("sparkVersion", "is missing: name it here or in the cluster's template")
            }
            (Language::Python, _) if self.main_class => {
                missing("mainClass", "is for Scala and Java, but type is Python")
            }
            (Language::Jvm, _) if !self.main_class => {
                missing("mainClass", "is missing: a jar needs the class that is run")
            }
            (Language::Python, MainFile::R | MainFile::Jar) => {
                missing("mainApplicationFile", "must end in .py: Spark takes anything else for a jar")
            }
            (Language::Jvm, MainFile::R | MainFile::Python) => {
                missing("mainApplicationFile", "is a script, but type says that it is a jar")
            }
            (Language::Python, MainFile::Python) | (Language::Jvm, MainFile::Jar) => None,
        }
    }
}

/// Why nothing can be built of an application that is merged from all its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The field, below `application`.
    pub field: &'static str,
    /// What is wrong with it.
    pub words: &'static str,
}

/// The size of one kind of pod as far as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PodSizing {
    /// `cores`, whole.
    pub cores: Option<u64>,
    /// `coreRequest` in thousandths of a core; replaces `cores` in the pod's request.
    pub core_request_milli: Option<u64>,
    /// `coreLimit` in thousandths of a core.
    pub core_limit_milli: Option<u64>,
    /// Heap in MiB.
    pub memory_mib: Option<u64>,
    /// Overhead in MiB where it is given outright.
    pub overhead_mib: Option<u64>,
    /// This kind of pod's own overhead factor, in thousandths of the heap.
    pub overhead_per_mille: Option<u64>,
    /// Floor of the computed overhead in MiB.
    pub overhead_floor_mib: Option<u64>,
}

/// What one pod is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodMakeup {
    /// Cores as Spark counts them: tasks at once in an executor.
    pub cores: u64,
    /// Heap, in MiB.
    pub heap_mib: u64,
    /// Memory beside the heap (`memoryOverhead`), in MiB.
    pub overhead_mib: u64,
    /// What the pod requests: the sum of it all.
    pub request: PodSize,
}

impl PodSizing {
    /// Heap when nobody says (`spark.driver.memory`, `spark.executor.memory`).
    const DEFAULT_MEMORY_MIB: u64 = 1024;
    /// `spark.{driver,executor}.minMemoryOverhead` of Spark 4, a constant before.
    const DEFAULT_OVERHEAD_FLOOR_MIB: u64 = 384;

    fn over(self, below: Self) -> Self {
        Self {
            cores: self.cores.or(below.cores),
            core_request_milli: self.core_request_milli.or(below.core_request_milli),
            core_limit_milli: self.core_limit_milli.or(below.core_limit_milli),
            memory_mib: self.memory_mib.or(below.memory_mib),
            overhead_mib: self.overhead_mib.or(below.overhead_mib),
            overhead_per_mille: self.overhead_per_mille.or(below.overhead_per_mille),
            overhead_floor_mib: self.overhead_floor_mib.or(below.overhead_floor_mib),
        }
    }

    fn makeup(self, whole: &Outline, beside_mib: u64) -> PodMakeup {
        let cores = self.cores.unwrap_or(1);
        let heap_mib = self.memory_mib.unwrap_or(Self::DEFAULT_MEMORY_MIB);
        let share = self.overhead_per_mille.or(whole.overhead_per_mille);
        let share = share.unwrap_or(match whole.essentials.runs_in() {
            Language::Jvm => 100,
            Language::Python => 400,
        });
        let computed = || (heap_mib.saturating_mul(share) / 1000).max(self.least_overhead(whole));
        let overhead_mib = self.overhead_mib.unwrap_or_else(computed);
        let request = PodSize {
            milli_cores: self.core_request_milli.unwrap_or_else(|| cores.saturating_mul(1000)),
            memory_mib: heap_mib.saturating_add(overhead_mib).saturating_add(beside_mib),
        };
        PodMakeup { cores, heap_mib, overhead_mib, request }
    }

    /// Before Spark 4 the least overhead is a constant: a smaller floor has no effect.
    fn least_overhead(self, whole: &Outline) -> u64 {
        let fixed = if whole.floor_is_fixed.unwrap_or(true) { Self::DEFAULT_OVERHEAD_FLOOR_MIB } else { 0 };
        self.overhead_floor_mib.map_or(Self::DEFAULT_OVERHEAD_FLOOR_MIB, |floor| floor.max(fixed))
    }

    /// A limit below the request would keep every pod from being created.
    fn is_cut_off(self, made: PodMakeup) -> bool {
        self.core_limit_milli.is_some_and(|limit| limit < made.request.milli_cores)
    }
}

/// Everything that decides a footprint, and whether there can be one, as far as one object (an operation, a cluster's
/// template) says it. Kept apart as it was written: only the merged whole says what a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Outline {
    /// What it cannot be built without.
    pub essentials: Essentials,
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

impl Outline {
    /// This over another: every field that this one leaves open is taken from `below`. The cluster's template lies over
    /// the operation, because admin beats user.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            essentials: self.essentials.over(below.essentials),
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
        Footprint { driver: self.driver_pod().request, executor: self.executor_pod().request }
    }

    /// The driver pod.
    #[must_use]
    pub fn driver_pod(&self) -> PodMakeup {
        self.driver.makeup(self, 0)
    }

    /// Each executor pod.
    #[must_use]
    pub fn executor_pod(&self) -> PodMakeup {
        self.executor.makeup(self, self.outside_heap())
    }

    /// Why nothing can be built of it; `self` is everything that there will be.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let cut_off = |field| Problem { field, words: "is below the cores that the pod requests" };
        let off_heap = Problem {
            field: "sparkConf[spark.memory.offHeap.size]",
            words: "must be at least 1m while spark.memory.offHeap.enabled is true",
        };
        self.essentials
            .problem()
            .or_else(|| self.driver.is_cut_off(self.driver_pod()).then(|| cut_off("driver.coreLimit")))
            .or_else(|| self.executor.is_cut_off(self.executor_pod()).then(|| cut_off("executor.coreLimit")))
            .or_else(|| (self.off_heap == Some(true) && self.off_heap_mib.unwrap_or(0) == 0).then_some(off_heap))
    }

    /// What an executor takes beside heap and overhead: off-heap memory only when it is switched on.
    fn outside_heap(&self) -> u64 {
        let off_heap = if self.off_heap == Some(true) { self.off_heap_mib.unwrap_or(0) } else { 0 };
        let python = if self.essentials.runs_in() == Language::Python { self.python_mib.unwrap_or(0) } else { 0 };
        off_heap.saturating_add(python)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_language(language: Language) -> Essentials {
        Essentials { language: Some(language), ..Essentials::default() }
    }

    fn executor(language: Language, executor: PodSizing) -> PodSize {
        Outline { essentials: in_language(language), executor, ..Outline::default() }.footprint().executor
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
        let template = Outline { driver: PodSizing { cores: Some(1), ..PodSizing::default() }, ..Outline::default() };
        let operation = Outline {
            driver: PodSizing { cores: Some(8), memory_mib: Some(700), ..PodSizing::default() },
            ..Outline::default()
        };
        let driver = template.over(operation).footprint().driver;
        assert_eq!((driver.milli_cores, driver.memory_mib), (1000, 700 + 384));
    }

    #[test]
    fn a_pods_own_factor_stands_above_a_common_one_of_the_template() {
        let template = Outline { overhead_per_mille: Some(100), ..Outline::default() };
        let own = PodSizing { memory_mib: Some(4000), overhead_per_mille: Some(500), ..PodSizing::default() };
        let operation = Outline { executor: own, ..Outline::default() };
        assert_eq!(template.over(operation).footprint().executor.memory_mib, 6000);
    }

    #[test]
    fn memory_outside_the_heap_counts_only_where_it_is_used() {
        let switch = Outline { off_heap: Some(true), ..Outline::default() };
        let size = Outline { off_heap_mib: Some(300), python_mib: Some(50), ..Outline::default() };
        let memory = |outline: Outline| outline.footprint().executor.memory_mib - 1024 - 384;
        assert_eq!(memory(size), 0);
        assert_eq!(memory(switch.over(size)), 300);
        let python = Outline { essentials: in_language(Language::Python), ..Outline::default() };
        assert_eq!(python.over(size).footprint().executor.memory_mib, 1024 + 409 + 50);
    }

    #[test]
    fn what_nothing_can_be_built_without_is_named() {
        let whole = Essentials {
            language: Some(Language::Jvm),
            main_file: Some(MainFile::Jar),
            main_class: true,
            image: true,
            spark_version: true,
        };
        let python = Essentials { language: Some(Language::Python), main_file: Some(MainFile::Python), ..whole };
        for (essentials, field) in [
            (whole, None),
            (Essentials { main_class: false, ..python }, None),
            (Essentials { language: None, ..whole }, Some("type")),
            (Essentials { main_file: None, ..whole }, Some("mainApplicationFile")),
            (Essentials { image: false, ..whole }, Some("image")),
            (Essentials { spark_version: false, ..whole }, Some("sparkVersion")),
            (Essentials { main_class: false, ..whole }, Some("mainClass")),
            (python, Some("mainClass")),
            (Essentials { main_file: Some(MainFile::R), ..whole }, Some("mainApplicationFile")),
            (Essentials { main_class: false, main_file: Some(MainFile::Jar), ..python }, Some("mainApplicationFile")),
        ] {
            let found = Outline { essentials, ..Outline::default() }.problem();
            assert_eq!(found.map(|problem| problem.field), field, "{essentials:?}");
        }
        let image = Outline { essentials: Essentials { image: true, ..Essentials::default() }, ..Outline::default() };
        let rest = Outline { essentials: Essentials { image: false, ..whole }, ..Outline::default() };
        assert_eq!(image.over(rest).problem(), None, "the template gives what the operation leaves open");
    }
}
