//! Whether every size of an application can be read. What the sizes add up to is [`Outline`]'s to say: the builder writes
//! the overhead that it has counted into the application, so that no default of an image, of the spark-operator or of
//! another version of Spark can make the pods larger than what was granted.
//!
//! [`Outline`]: crate::model::Outline

use crate::api::v1alpha1::{ApplicationSpec, SparkPod};

use super::error::BuildError;
use super::size::{Bare, boolean, factor, milli_cores, spark_mib};

/// Checks the sizes that are written in an application, merged or not; `at` begins the paths in errors.
pub(super) fn check_sizes(at: &str, app: &ApplicationSpec) -> Result<(), BuildError> {
    for (role, pod) in [("driver", &app.driver), ("executor", &app.executor)] {
        if let Some(pod) = pod {
            check_pod(&format!("{at}.{role}"), pod)?;
        }
    }
    for (key, value) in &app.spark_conf {
        check_property(&format!("{at}.sparkConf[{key}]"), key, value)?;
    }
    Ok(())
}

fn check_pod(at: &str, pod: &SparkPod) -> Result<(), BuildError> {
    if let Some(cores) = pod.cores.filter(|cores| *cores < 1) {
        let path = format!("{at}.cores");
        return Err(BuildError::malformed(path, &cores.to_string(), "a whole number of at least 1"));
    }
    for (field, quantity) in [("coreRequest", &pod.core_request), ("coreLimit", &pod.core_limit)] {
        quantity.as_ref().map(|quantity| milli_cores(&format!("{at}.{field}"), &quantity.0)).transpose()?;
    }
    if let Some(memory) = &pod.memory {
        let path = format!("{at}.memory");
        if spark_mib(&path, memory, Bare::Mebibytes)? == 0 {
            return Err(BuildError::malformed(path, memory, "at least 1m"));
        }
    }
    if let Some(overhead) = &pod.memory_overhead {
        spark_mib(&format!("{at}.memoryOverhead"), overhead, Bare::Mebibytes)?;
    }
    Ok(())
}

fn check_property(path: &str, key: &str, value: &str) -> Result<(), BuildError> {
    match key {
        "spark.driver.memoryOverheadFactor"
        | "spark.executor.memoryOverheadFactor"
        | "spark.kubernetes.memoryOverheadFactor" => factor(path, value).map(|_| ()),
        "spark.driver.minMemoryOverhead" | "spark.executor.minMemoryOverhead" | "spark.executor.pyspark.memory" => {
            spark_mib(path, value, Bare::Mebibytes).map(|_| ())
        }
        "spark.memory.offHeap.enabled" => boolean(path, value).map(|_| ()),
        "spark.memory.offHeap.size" => spark_mib(path, value, Bare::Bytes).map(|_| ()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
