use std::collections::BTreeMap;

use super::super::outline::outline;
use super::*;
use crate::api::v1alpha1::ApplicationType;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

fn jvm() -> ApplicationSpec {
    ApplicationSpec {
        type_: Some(ApplicationType::Scala),
        main_application_file: Some("local:///app/report.jar".into()),
        spark_version: Some("4.0.1".into()),
        ..ApplicationSpec::default()
    }
}

fn python() -> ApplicationSpec {
    let file = Some("local:///app/report.py".into());
    ApplicationSpec { type_: Some(ApplicationType::Python), main_application_file: file, ..jvm() }
}

fn pod(cores: i32, memory: &str) -> SparkPod {
    SparkPod { cores: Some(cores), memory: Some(memory.into()), ..SparkPod::default() }
}

fn conf(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn memory(app: &ApplicationSpec) -> (u64, u64) {
    let footprint = outline(app).footprint();
    (footprint.driver.memory_mib, footprint.executor.memory_mib)
}

fn cpu(app: &ApplicationSpec) -> (u64, u64) {
    let footprint = outline(app).footprint();
    (footprint.driver.milli_cores, footprint.executor.milli_cores)
}

#[test]
fn an_application_that_says_nothing_gets_sparks_defaults() {
    assert_eq!((cpu(&jvm()), memory(&jvm())), ((1000, 1000), (1024 + 384, 1024 + 384)));
}

#[test]
fn a_small_heap_gets_the_least_overhead() {
    assert_eq!(memory(&ApplicationSpec { driver: Some(pod(1, "512m")), ..jvm() }).0, 512 + 384);
}

#[test]
fn a_large_jvm_heap_gets_ten_percent_cut_down_to_whole_mebibytes() {
    assert_eq!(memory(&ApplicationSpec { executor: Some(pod(1, "8g")), ..jvm() }).1, 8192 + 819);
}

#[test]
fn python_gets_forty_percent_for_driver_and_executors() {
    let app = ApplicationSpec { driver: Some(pod(1, "1g")), executor: Some(pod(1, "2g")), ..python() };
    assert_eq!(memory(&app), (1024 + 409, 2048 + 819));
}

#[test]
fn a_python_file_counts_as_python_whatever_type_says() {
    let app = ApplicationSpec { type_: Some(ApplicationType::Java), ..python() };
    assert_eq!(memory(&app).0, 1024 + 409);
}

#[test]
fn a_given_overhead_is_taken_as_it_is() {
    let sized = SparkPod { memory_overhead: Some("64m".into()), ..pod(1, "1g") };
    assert_eq!(memory(&ApplicationSpec { driver: Some(sized), ..python() }).0, 1024 + 64);
}

#[test]
fn factors_go_from_the_role_to_the_common_one() {
    let common = ("spark.kubernetes.memoryOverheadFactor", "0.5");
    let own = ("spark.executor.memoryOverheadFactor", "0.75");
    let app = |pairs: &[(&str, &str)]| ApplicationSpec { spark_conf: conf(pairs), ..python() };
    assert_eq!(memory(&app(&[common])), (1024 + 512, 1024 + 512));
    assert_eq!(memory(&app(&[common, own])), (1024 + 512, 1024 + 768));
    assert_eq!(memory(&app(&[("spark.driver.memoryOverheadFactor", "0.6")])), (1024 + 614, 1024 + 409));
}

#[test]
fn the_least_overhead_can_be_changed_since_spark_4() {
    let smaller = conf(&[("spark.driver.minMemoryOverhead", "100m"), ("spark.executor.minMemoryOverhead", "1g")]);
    let app = ApplicationSpec { spark_conf: smaller, ..jvm() };
    assert_eq!(memory(&app), (1024 + 102, 1024 + 1024));
    let old = ApplicationSpec { spark_version: Some("3.5.6".into()), ..app };
    assert_eq!(memory(&old), (1024 + 384, 1024 + 1024), "Spark 3 ignores the smaller one");
}

#[test]
fn off_heap_memory_is_added_to_executors_when_switched_on() {
    let size = ("spark.memory.offHeap.size", "1g");
    let on = ApplicationSpec { spark_conf: conf(&[size, ("spark.memory.offHeap.enabled", "true")]), ..jvm() };
    assert_eq!(memory(&on), (1408, 1408 + 1024));
    assert_eq!(memory(&ApplicationSpec { spark_conf: conf(&[size]), ..jvm() }), (1408, 1408));
    let bytes = conf(&[("spark.memory.offHeap.size", "1073741824"), ("spark.memory.offHeap.enabled", "TRUE")]);
    assert_eq!(memory(&ApplicationSpec { spark_conf: bytes, ..jvm() }).1, 1408 + 1024);
}

#[test]
fn python_workers_memory_is_added_to_python_executors_only() {
    let workers = conf(&[("spark.executor.pyspark.memory", "512m")]);
    assert_eq!(memory(&ApplicationSpec { spark_conf: workers.clone(), ..python() }), (1433, 1433 + 512));
    assert_eq!(memory(&ApplicationSpec { spark_conf: workers, ..jvm() }), (1408, 1408));
}

#[test]
fn the_core_request_beats_cores() {
    let sized = SparkPod { core_request: Some(Quantity("100m".into())), ..pod(4, "1g") };
    let app = ApplicationSpec { driver: Some(sized), executor: Some(pod(2, "1g")), ..jvm() };
    assert_eq!(cpu(&app), (100, 2000));
}

#[test]
fn a_size_that_cannot_be_read_names_its_field_and_value() {
    let half = SparkPod { memory: Some("1.5g".into()), ..SparkPod::default() };
    for (app, error) in [
        (
            ApplicationSpec { driver: Some(half), ..jvm() },
            "template.driver.memory is \"1.5g\", which is not a size in Spark's notation",
        ),
        (
            ApplicationSpec { executor: Some(pod(0, "1g")), ..jvm() },
            "template.executor.cores is \"0\", which is not a whole number of at least 1",
        ),
        (
            ApplicationSpec { executor: Some(pod(1, "0m")), ..jvm() },
            "template.executor.memory is \"0m\", which is not at least 1m",
        ),
        (
            ApplicationSpec { spark_conf: conf(&[("spark.driver.memoryOverheadFactor", "lots")]), ..jvm() },
            "template.sparkConf[spark.driver.memoryOverheadFactor] is \"lots\", which is not a number of at least 0",
        ),
    ] {
        let said = check_sizes("template", &app).unwrap_err().to_string();
        assert!(said.starts_with(error), "{said}");
    }
}
