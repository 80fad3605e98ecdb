//! How much a `SparkApplication` takes that somebody else wrote: what Spark would request for it, by the same rules as for our
//! own. Read leniently, as everything that is somebody else's.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

use super::outline::outline;
use super::size::boolean;
use super::sizes::check_sizes;
use crate::api::v1alpha1::{ApplicationSpec, ApplicationType, SparkPod};
use crate::model::Resources;

/// What somebody else's application takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerSize {
    /// What its pods request, with all executors that it may come to have.
    pub takes: Resources,
    /// That cannot be read, or has no bound: it takes this much at least.
    pub is_guessed: bool,
    /// It waits until somebody resumes it.
    pub is_suspended: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    #[serde(rename = "type")]
    type_: Option<String>,
    main_application_file: Option<String>,
    spark_version: Option<String>,
    suspend: Option<bool>,
    spark_conf: Option<BTreeMap<String, String>>,
    memory_overhead_factor: Option<String>,
    driver: Option<WrittenPod>,
    executor: Option<WrittenPod>,
    dynamic_allocation: Option<WrittenAllocation>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenPod {
    instances: Option<i64>,
    cores: Option<i32>,
    core_request: Option<String>,
    memory: Option<String>,
    memory_overhead: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenAllocation {
    enabled: Option<bool>,
    initial_executors: Option<i64>,
    min_executors: Option<i64>,
    max_executors: Option<i64>,
}

/// Reads the spec of somebody else's application. One that cannot be read counts as a driver and an executor of Spark's
/// defaults.
#[must_use]
pub fn stranger_size(spec: &str) -> StrangerSize {
    let read = serde_json::from_str::<Option<Written>>(spec);
    let is_unreadable = read.is_err();
    let written = read.ok().flatten().unwrap_or_default();
    let app = application(&written);
    let executors = executors(&written);
    let takes = outline(&app).footprint().with(executors.unwrap_or_else(|least| least));
    let is_suspended = written.suspend.unwrap_or(false);
    if takes.is_beyond_measure() {
        let takes = outline(&ApplicationSpec::default()).footprint().with(1);
        return StrangerSize { takes, is_guessed: true, is_suspended };
    }
    let is_guessed = is_unreadable || executors.is_err() || check_sizes("spec", &app).is_err();
    StrangerSize { takes, is_guessed, is_suspended }
}

/// The application as we would write it. What stands in its own field stands above the property, as in the spark-operator.
fn application(written: &Written) -> ApplicationSpec {
    let mut spark_conf = written.spark_conf.clone().unwrap_or_default();
    if let Some(factor) = &written.memory_overhead_factor {
        spark_conf.insert("spark.kubernetes.memoryOverheadFactor".into(), factor.clone());
    }
    let none = WrittenPod::default();
    ApplicationSpec {
        type_: written.type_.as_deref().map(|type_| match type_ {
            // Spark gives R the overhead of Python.
            "Python" | "R" => ApplicationType::Python,
            _ => ApplicationType::Java,
        }),
        main_application_file: written.main_application_file.clone(),
        spark_version: written.spark_version.clone(),
        driver: Some(pod("driver", written.driver.as_ref().unwrap_or(&none), &spark_conf)),
        executor: Some(pod("executor", written.executor.as_ref().unwrap_or(&none), &spark_conf)),
        spark_conf,
        ..ApplicationSpec::default()
    }
}

fn pod(role: &str, pod: &WrittenPod, conf: &BTreeMap<String, String>) -> SparkPod {
    let property = |key: String| conf.get(&key).cloned();
    let or = |field: &Option<String>, key: &str| field.clone().or_else(|| property(format!("spark.{role}.{key}")));
    let request = pod.core_request.clone().or_else(|| property(format!("spark.kubernetes.{role}.request.cores")));
    SparkPod {
        cores: pod.cores.or_else(|| property(format!("spark.{role}.cores"))?.trim().parse().ok()),
        core_request: request.map(Quantity),
        memory: or(&pod.memory, "memory"),
        memory_overhead: or(&pod.memory_overhead, "memoryOverhead"),
        ..SparkPod::default()
    }
}

/// How many executors it may come to have; an error where that has no bound: how many it has at least.
fn executors(written: &Written) -> Result<u64, u64> {
    let conf = |key: &str| written.spark_conf.as_ref()?.get(key)?.trim().parse::<u64>().ok();
    let count = |number: Option<i64>| number.map(|number| u64::try_from(number).unwrap_or(0));
    let instances = written.executor.as_ref().and_then(|executor| count(executor.instances));
    let instances = instances.or_else(|| conf("spark.executor.instances"));
    let none = WrittenAllocation::default();
    let allocation = written.dynamic_allocation.as_ref().unwrap_or(&none);
    let switch = written.spark_conf.as_ref().and_then(|conf| conf.get("spark.dynamicAllocation.enabled"));
    let is_switched_on = switch.is_some_and(|value| boolean("", value).unwrap_or(false));
    if !(allocation.enabled == Some(true) || is_switched_on) {
        return Ok(instances.unwrap_or(1));
    }
    let bound = |field: Option<i64>, key: &str| count(field).or_else(|| conf(key));
    let least = [
        bound(allocation.min_executors, "spark.dynamicAllocation.minExecutors"),
        bound(allocation.initial_executors, "spark.dynamicAllocation.initialExecutors"),
        instances,
    ];
    let most = bound(allocation.max_executors, "spark.dynamicAllocation.maxExecutors");
    most.ok_or_else(|| least.into_iter().flatten().max().unwrap_or(1).max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: &Value) -> StrangerSize {
        stranger_size(&spec.to_string())
    }

    fn takes(executors: u64, milli_cores: u64, memory_mib: u64) -> Resources {
        Resources { executors, milli_cores, memory_mib }
    }

    #[test]
    fn an_application_takes_what_spark_requests_for_it() {
        let spec = json!({"type": "Scala", "mainApplicationFile": "local:///a.jar", "sparkVersion": "3.5.1",
            "driver": {"cores": 1, "memory": "1g"}, "executor": {"cores": 2, "memory": "4g", "instances": 3}});
        let size = read(&spec);
        assert_eq!(size.takes, takes(3, 1000 + 3 * 2000, 1024 + 384 + 3 * (4096 + 409)));
        assert!(!size.is_guessed && !size.is_suspended);
        let python = json!({"type": "Python", "mainApplicationFile": "local:///a.py", "memoryOverheadFactor": "0.5",
            "driver": {"memory": "2g"}, "executor": {"memory": "2g", "coreRequest": "500m", "memoryOverhead": "1g"}});
        assert_eq!(read(&python).takes, takes(1, 1000 + 500, 2048 + 1024 + 2048 + 1024));
    }

    #[test]
    fn properties_count_where_fields_say_nothing() {
        let conf = json!({"spark.executor.instances": "4", "spark.executor.memory": "2g", "spark.driver.cores": "2",
            "spark.kubernetes.executor.request.cores": "250m"});
        assert_eq!(read(&json!({"sparkConf": conf})).takes, takes(4, 2000 + 1000, 1408 + 4 * (2048 + 384)));
        let fields = json!({"sparkConf": conf, "executor": {"instances": 1, "memory": "1g"}});
        assert_eq!(read(&fields).takes.executors, 1);
        assert_eq!(read(&fields).takes.memory_mib, 2 * 1408);
    }

    #[test]
    fn dynamic_allocation_counts_as_far_as_it_may_grow() {
        for (spec, executors, is_guessed) in [
            (json!({"dynamicAllocation": {"enabled": true, "minExecutors": 2, "maxExecutors": 8}}), 8, false),
            (json!({"dynamicAllocation": {"enabled": false, "maxExecutors": 8}}), 1, false),
            (json!({"dynamicAllocation": {"enabled": true, "initialExecutors": 3}}), 3, true),
            (
                json!({"sparkConf": {"spark.dynamicAllocation.enabled": "true",
                "spark.dynamicAllocation.maxExecutors": "5"}}),
                5,
                false,
            ),
        ] {
            let size = read(&spec);
            assert_eq!((size.takes.executors, size.is_guessed), (executors, is_guessed), "{spec}");
        }
    }

    #[test]
    fn what_cannot_be_read_counts_as_a_driver_and_an_executor() {
        let least = takes(1, 2000, 2 * 1408);
        for spec in [
            json!("odd"),
            json!({"executor": {"instances": "many"}}),
            json!({"executor": {"memory": "lots"}}),
            json!({"executor": {"instances": 1_000_001}}),
            json!({"executor": {"instances": 1000, "memory": "64000000g"}, "driver": 3}),
        ] {
            assert_eq!((read(&spec).takes, read(&spec).is_guessed), (least, true), "{spec}");
        }
        assert_eq!((read(&json!(null)).takes, read(&json!(null)).is_guessed), (least, false));
        assert!(read(&json!({"suspend": true})).is_suspended);
    }
}
