//! What one object (an Operation, a cluster's template) says about the size of pods, for those who decide before anything
//! is merged or built. Merging two of them gives what [`super::footprint`] gives for the merged application.

use std::collections::BTreeMap;

use crate::api::v1alpha1::{ApplicationSpec, ApplicationType, SparkPod};
use crate::model::{Language, PodSizing, Sizing};

use super::footprint::{before_spark_4, ending};
use super::size::{Bare, boolean, factor, milli_cores, spark_mib};

/// The sizes that are written there. What cannot be read counts as not written: [`super::check`] says what is wrong with it.
#[must_use]
pub fn sizing(app: &ApplicationSpec) -> Sizing {
    let conf = Conf(&app.spark_conf);
    let none = SparkPod::default();
    Sizing {
        language: language(app),
        driver: pod("driver", app.driver.as_ref().unwrap_or(&none), &conf),
        executor: pod("executor", app.executor.as_ref().unwrap_or(&none), &conf),
        overhead_per_mille: conf.per_mille("spark.kubernetes.memoryOverheadFactor"),
        floor_is_fixed: app.spark_version.as_ref().map(|_| before_spark_4(app)),
        off_heap: conf.text("spark.memory.offHeap.enabled").and_then(|value| boolean("", value).ok()),
        off_heap_mib: conf.mib("spark.memory.offHeap.size", Bare::Bytes),
        python_mib: conf.mib("spark.executor.pyspark.memory", Bare::Mebibytes),
    }
}

fn language(app: &ApplicationSpec) -> Option<Language> {
    let script = app.main_application_file.as_ref().is_some_and(|file| ending(file) == "py");
    match app.type_ {
        _ if script => Some(Language::Python),
        Some(ApplicationType::Python) => Some(Language::Python),
        Some(ApplicationType::Scala | ApplicationType::Java) => Some(Language::Jvm),
        None => None,
    }
}

fn pod(role: &str, pod: &SparkPod, conf: &Conf<'_>) -> PodSizing {
    let mib = |text: &Option<String>| text.as_ref().and_then(|text| spark_mib("", text, Bare::Mebibytes).ok());
    PodSizing {
        cores: pod.cores.and_then(|cores| u64::try_from(cores).ok()),
        core_request_milli: pod.core_request.as_ref().and_then(|quantity| milli_cores("", &quantity.0).ok()),
        memory_mib: mib(&pod.memory),
        overhead_mib: mib(&pod.memory_overhead),
        overhead_per_mille: conf.per_mille(&format!("spark.{role}.memoryOverheadFactor")),
        overhead_floor_mib: conf.mib(&format!("spark.{role}.minMemoryOverhead"), Bare::Mebibytes),
    }
}

struct Conf<'a>(&'a BTreeMap<String, String>);

impl Conf<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn mib(&self, key: &str, bare: Bare) -> Option<u64> {
        spark_mib("", self.text(key)?, bare).ok()
    }

    /// Rounded up: more digits than three are charged as a little more, never as less.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a factor is between 0 and 100")]
    fn per_mille(&self, key: &str) -> Option<u64> {
        let factor = factor("", self.text(key)?).ok()?;
        Some((factor * 1000.0 - 1e-9).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::spark::Application;

    fn memory() -> impl Strategy<Value = String> {
        (64_u32..9000, prop::sample::select(vec!["m", "M", "mb"])).prop_map(|(size, unit)| format!("{size}{unit}"))
    }

    fn pods() -> impl Strategy<Value = SparkPod> {
        (of(1..9_i32), of(memory()), of(memory()), of(1..4000_u32)).prop_map(|(cores, memory, overhead, request)| {
            SparkPod {
                cores,
                memory,
                memory_overhead: overhead,
                core_request: request.map(|milli| Quantity(format!("{milli}m"))),
                ..SparkPod::default()
            }
        })
    }

    fn conf() -> impl Strategy<Value = BTreeMap<String, String>> {
        let factor = || (0..2000_u32).prop_map(|number| format!("{}", f64::from(number) / 1000.0));
        let entries = (
            of(factor()),
            of(factor()),
            of(factor()),
            of(memory()),
            of(memory()),
            of(any::<bool>()),
            of(memory()),
            of(memory()),
        );
        entries.prop_map(|(common, driver, executor, floor, executor_floor, off_heap, size, python)| {
            [
                ("spark.kubernetes.memoryOverheadFactor", common),
                ("spark.driver.memoryOverheadFactor", driver),
                ("spark.executor.memoryOverheadFactor", executor),
                ("spark.driver.minMemoryOverhead", floor),
                ("spark.executor.minMemoryOverhead", executor_floor),
                ("spark.memory.offHeap.enabled", off_heap.map(|on| on.to_string())),
                ("spark.memory.offHeap.size", size),
                ("spark.executor.pyspark.memory", python),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
        })
    }

    fn spec() -> impl Strategy<Value = ApplicationSpec> {
        (of(pods()), of(pods()), conf(), of(prop::sample::select(vec!["3.5.1", "4.0.1"]))).prop_map(
            |(driver, executor, spark_conf, version)| ApplicationSpec {
                driver,
                executor,
                spark_conf,
                spark_version: version.map(Into::into),
                ..ApplicationSpec::default()
            },
        )
    }

    fn operation() -> impl Strategy<Value = ApplicationSpec> {
        (spec(), any::<bool>()).prop_map(|(spec, python)| ApplicationSpec {
            type_: Some(if python { ApplicationType::Python } else { ApplicationType::Scala }),
            main_application_file: Some(if python { "local:///a.py" } else { "local:///a.jar" }.into()),
            main_class: (!python).then(|| "A".into()),
            image: Some("spark:4".into()),
            ..spec
        })
    }

    proptest! {
        /// What is decided on is what is built: a grant that the build outgrows would be granted again and again.
        #[test]
        fn merged_sizes_are_those_of_the_merged_application(operation in operation(), template in spec()) {
            let Ok(application) = Application::merge(&operation, Some(&template)) else { return Ok(()) };
            let built = application.footprint();
            let decided = sizing(&template).over(sizing(&operation)).footprint();
            for (decided, built) in [(decided.driver, built.driver.request), (decided.executor, built.executor.request)] {
                prop_assert_eq!(decided.milli_cores, built.milli_cores);
                prop_assert!(decided.memory_mib >= built.memory_mib, "{:?} < {:?}", decided, built);
                prop_assert!(decided.memory_mib <= built.memory_mib + 1, "{:?} > {:?}", decided, built);
            }
        }
    }
}
