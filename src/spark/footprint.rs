//! What the pods of an application really request.
//!
//! Spark adds to what people write: memory beside the heap, off-heap memory, memory of Python workers. The rules are
//! those of Spark 4.0 (`BasicDriverFeatureStep`, `BasicExecutorFeatureStep`, `ResourceProfile`); the builder then writes
//! the overhead it has counted into the application, so that no default of an image, of the spark-operator or of another
//! version of Spark can make the pods larger than what was granted.

use std::collections::BTreeMap;
use std::fmt;

use crate::api::v1alpha1::{ApplicationSpec, ApplicationType, SparkPod};

use super::error::BuildError;
use super::size::{Bare, boolean, factor, milli_cores, spark_mib};

/// Heap of driver and executors when nobody says (`spark.driver.memory`, `spark.executor.memory`).
const DEFAULT_HEAP_MIB: u64 = 1024;
/// `spark.{driver,executor}.minMemoryOverhead` of Spark 4, a constant before.
const LEAST_OVERHEAD_MIB: u64 = 384;
const JVM_FACTOR: f64 = 0.1;
/// `NON_JVM_MEMORY_OVERHEAD_FACTOR`: Spark hands it on from the driver to the executors.
const NON_JVM_FACTOR: f64 = 0.4;

/// Processor and memory that a pod requests, or a sum of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodRequest {
    /// Thousandths of a core.
    pub milli_cores: u64,
    /// Memory in MiB, overhead included.
    pub memory_mib: u64,
}

impl PodRequest {
    /// Whether this much fits into `room`.
    #[must_use]
    pub fn fits(&self, room: &Self) -> bool {
        self.milli_cores <= room.milli_cores && self.memory_mib <= room.memory_mib
    }
}

impl fmt::Display for PodRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m cores and {} MiB", self.milli_cores, self.memory_mib)
    }
}

/// What one pod is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodSize {
    /// Cores as Spark counts them: tasks at once in an executor.
    pub cores: u32,
    /// Heap, in MiB.
    pub heap_mib: u64,
    /// Memory beside the heap (`memoryOverhead`), in MiB.
    pub overhead_mib: u64,
    /// The pod's request: the sum of it all.
    pub request: PodRequest,
}

/// True size of an application's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The driver.
    pub driver: PodSize,
    /// Each executor.
    pub executor: PodSize,
}

impl Footprint {
    /// What the driver and `executors` executors request together.
    #[must_use]
    pub fn total(&self, executors: u32) -> PodRequest {
        let (driver, executor, count) = (self.driver.request, self.executor.request, u64::from(executors));
        PodRequest {
            milli_cores: driver.milli_cores.saturating_add(executor.milli_cores.saturating_mul(count)),
            memory_mib: driver.memory_mib.saturating_add(executor.memory_mib.saturating_mul(count)),
        }
    }
}

/// The footprint of a merged application; `at` begins the paths in errors (`application`, `template`).
///
/// # Errors
/// [`BuildError::Malformed`] for a size that cannot be read, [`BuildError::Conflict`] for sizes that contradict each other.
pub fn footprint(at: &str, app: &ApplicationSpec) -> Result<Footprint, BuildError> {
    sized(at, app, true)
}

/// Checks that every size of an unmerged application can be read; what contradicts what is known only once it is merged.
pub(super) fn check_sizes(at: &str, app: &ApplicationSpec) -> Result<(), BuildError> {
    sized(at, app, false).map(|_| ())
}

fn sized(at: &str, app: &ApplicationSpec, whole: bool) -> Result<Footprint, BuildError> {
    let (python, floor_holds) = (is_python(app), before_spark_4(app));
    let sizes = Sizes { at, conf: &app.spark_conf, python, floor_holds, whole };
    let none = SparkPod::default();
    Ok(Footprint {
        driver: sizes.driver(app.driver.as_ref().unwrap_or(&none))?,
        executor: sizes.executor(app.executor.as_ref().unwrap_or(&none))?,
    })
}

/// Spark goes by the file's ending, people by `type`: where they disagree, the larger overhead counts.
fn is_python(app: &ApplicationSpec) -> bool {
    let python_file = app.main_application_file.as_ref().is_some_and(|file| ending(file) == "py");
    python_file || app.type_ == Some(ApplicationType::Python)
}

/// What stands behind the last dot of a file's name, in the case it is written in: Spark looks no further.
pub(super) fn ending(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Whether the least overhead is a constant in this version, or may be one: an absent version counts as an old one.
pub(super) fn before_spark_4(app: &ApplicationSpec) -> bool {
    let major = app.spark_version.as_ref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_none_or(|major| major < 4)
}

struct Sizes<'a> {
    at: &'a str,
    conf: &'a BTreeMap<String, String>,
    python: bool,
    floor_holds: bool,
    /// Whether these are all the fields there will be.
    whole: bool,
}

impl Sizes<'_> {
    fn driver(&self, pod: &SparkPod) -> Result<PodSize, BuildError> {
        self.pod("driver", pod, 0)
    }

    fn executor(&self, pod: &SparkPod) -> Result<PodSize, BuildError> {
        self.pod("executor", pod, self.off_heap()? + self.python_workers()?)
    }

    fn pod(&self, role: &str, pod: &SparkPod, beside_mib: u64) -> Result<PodSize, BuildError> {
        let cores = self.cores(role, pod)?;
        let heap_mib = self.heap(role, pod)?;
        let overhead_mib = self.overhead(role, pod, heap_mib)?;
        let memory_mib = heap_mib + overhead_mib + beside_mib;
        let milli_cores = self.cpu(role, pod, cores)?;
        Ok(PodSize { cores, heap_mib, overhead_mib, request: PodRequest { milli_cores, memory_mib } })
    }

    fn cores(&self, role: &str, pod: &SparkPod) -> Result<u32, BuildError> {
        let cores = pod.cores.unwrap_or(1);
        let path = || format!("{}.{role}.cores", self.at);
        let positive = u32::try_from(cores).ok().filter(|cores| *cores >= 1);
        positive.ok_or_else(|| BuildError::malformed(path(), &cores.to_string(), "a whole number of at least 1"))
    }

    /// The request is `coreRequest`, else `cores`; a limit below it would keep every pod from being created.
    fn cpu(&self, role: &str, pod: &SparkPod, cores: u32) -> Result<u64, BuildError> {
        let field = |name: &str| format!("{}.{role}.{name}", self.at);
        let request = match &pod.core_request {
            Some(quantity) => milli_cores(&field("coreRequest"), &quantity.0)?,
            None => u64::from(cores) * 1000,
        };
        let limit =
            pod.core_limit.as_ref().map(|quantity| milli_cores(&field("coreLimit"), &quantity.0)).transpose()?;
        match limit {
            Some(limit) if self.whole && limit < request => {
                Err(BuildError::conflict(field("coreLimit"), format!("is below the request of {request}m cores")))
            }
            _ => Ok(request),
        }
    }

    fn heap(&self, role: &str, pod: &SparkPod) -> Result<u64, BuildError> {
        let Some(memory) = &pod.memory else { return Ok(DEFAULT_HEAP_MIB) };
        let path = format!("{}.{role}.memory", self.at);
        match spark_mib(&path, memory, Bare::Mebibytes)? {
            0 => Err(BuildError::malformed(path, memory, "at least 1m")),
            mib => Ok(mib),
        }
    }

    /// What is given, else the factor's share of the heap and at least the least.
    fn overhead(&self, role: &str, pod: &SparkPod, heap_mib: u64) -> Result<u64, BuildError> {
        if let Some(overhead) = &pod.memory_overhead {
            return spark_mib(&format!("{}.{role}.memoryOverhead", self.at), overhead, Bare::Mebibytes);
        }
        Ok(times(heap_mib, self.factor(role)?).max(self.least_overhead(role)?))
    }

    /// The role's own factor, else the common one, else Spark's for the language.
    fn factor(&self, role: &str) -> Result<f64, BuildError> {
        let own = format!("spark.{role}.memoryOverheadFactor");
        let given = [own.as_str(), "spark.kubernetes.memoryOverheadFactor"]
            .into_iter()
            .find_map(|key| self.conf.get_key_value(key));
        match given {
            Some((key, value)) => factor(&self.conf_path(key), value),
            None if self.python => Ok(NON_JVM_FACTOR),
            None => Ok(JVM_FACTOR),
        }
    }

    fn least_overhead(&self, role: &str) -> Result<u64, BuildError> {
        let key = format!("spark.{role}.minMemoryOverhead");
        let given = self.conf_mib(&key, Bare::Mebibytes)?;
        let floor = if self.floor_holds { LEAST_OVERHEAD_MIB } else { 0 };
        Ok(given.map_or(LEAST_OVERHEAD_MIB, |mib| mib.max(floor)))
    }

    /// Off-heap memory: of executors only, and only when switched on.
    fn off_heap(&self) -> Result<u64, BuildError> {
        let key = "spark.memory.offHeap.enabled";
        let enabled = self.conf.get(key).map(|value| boolean(&self.conf_path(key), value)).transpose()?;
        let size = self.conf_mib("spark.memory.offHeap.size", Bare::Bytes)?;
        match (enabled.unwrap_or(false), size) {
            (true, Some(mib)) if mib > 0 => Ok(mib),
            (true, _) if self.whole => {
                let path = self.conf_path("spark.memory.offHeap.size");
                Err(BuildError::conflict(path, "must be at least 1m while spark.memory.offHeap.enabled is true"))
            }
            _ => Ok(0),
        }
    }

    fn python_workers(&self) -> Result<u64, BuildError> {
        let mib = self.conf_mib("spark.executor.pyspark.memory", Bare::Mebibytes)?;
        Ok(if self.python { mib.unwrap_or(0) } else { 0 })
    }

    fn conf_mib(&self, key: &str, bare: Bare) -> Result<Option<u64>, BuildError> {
        self.conf.get(key).map(|value| spark_mib(&self.conf_path(key), value, bare)).transpose()
    }

    fn conf_path(&self, key: &str) -> String {
        format!("{}.sparkConf[{key}]", self.at)
    }
}

/// `(factor * memory).toInt` of Spark: cut down to whole MiB.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "both are bounded by `size`"
)]
fn times(mib: u64, factor: f64) -> u64 {
    (mib as f64 * factor) as u64
}

#[cfg(test)]
mod tests;
