//! What one object (an Operation, a cluster's template) says about what it runs, for those who decide before anything is
//! merged or built. Laying two outlines over each other gives the outline of the merged application.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::v1alpha1::{ApplicationSpec, ApplicationType, SparkPod};
use crate::model::{Essentials, Language, MainFile, Outline, PodSizing};

use super::size::{Bare, boolean, factor, milli_cores, spark_mib};

/// What is written there. What cannot be read counts as not written: [`super::check`] says what is wrong with it.
#[must_use]
pub fn outline(app: &ApplicationSpec) -> Outline {
    let conf = Conf(&app.spark_conf);
    let none = SparkPod::default();
    Outline {
        essentials: essentials(app),
        driver: pod("driver", app.driver.as_ref().unwrap_or(&none), &conf),
        executor: pod("executor", app.executor.as_ref().unwrap_or(&none), &conf),
        overhead_per_mille: conf.per_mille("spark.kubernetes.memoryOverheadFactor"),
        floor_is_fixed: app.spark_version.as_deref().map(is_before_spark_4),
        off_heap: conf.text("spark.memory.offHeap.enabled").and_then(|value| boolean("", value).ok()),
        off_heap_mib: conf.mib("spark.memory.offHeap.size", Bare::Bytes),
        python_mib: conf.mib("spark.executor.pyspark.memory", Bare::Mebibytes),
    }
}

fn essentials(app: &ApplicationSpec) -> Essentials {
    Essentials {
        language: app.type_.map(|type_| match type_ {
            ApplicationType::Python => Language::Python,
            ApplicationType::Scala | ApplicationType::Java => Language::Jvm,
        }),
        main_file: app.main_application_file.as_deref().map(main_file),
        main_class: app.main_class.is_some(),
        image: app.image.is_some(),
        spark_version: app.spark_version.is_some(),
    }
}

/// By what stands behind the last dot of its name, in the case it is written in: Spark looks no further.
fn main_file(file: &str) -> MainFile {
    match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("py") => MainFile::Python,
        Some("R" | "r") => MainFile::R,
        _ => MainFile::Jar,
    }
}

/// Whether the least overhead is a constant in this version, or may be one: one that cannot be read counts as an old one.
fn is_before_spark_4(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_none_or(|major| major < 4)
}

fn pod(role: &str, pod: &SparkPod, conf: &Conf<'_>) -> PodSizing {
    let mib = |text: &Option<String>| text.as_ref().and_then(|text| spark_mib("", text, Bare::Mebibytes).ok());
    let cpu = |quantity: &Option<Quantity>| quantity.as_ref().and_then(|it| milli_cores("", &it.0).ok());
    PodSizing {
        cores: pod.cores.and_then(|cores| u64::try_from(cores).ok()),
        core_request_milli: cpu(&pod.core_request),
        core_limit_milli: cpu(&pod.core_limit),
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
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::api::v1alpha1::{SizeSpec, SparkPodSize};
    use crate::spark::{Application, size_outline};

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

    fn size() -> impl Strategy<Value = SizeSpec> {
        let sized = |pod: SparkPod| {
            let SparkPod { cores, memory, memory_overhead, core_request, core_limit, .. } = pod;
            SparkPodSize { cores, memory, memory_overhead, core_request, core_limit }
        };
        (of(pods()), of(pods())).prop_map(move |(driver, executor)| SizeSpec {
            driver: driver.map(sized),
            executor: executor.map(sized),
            ..SizeSpec::default()
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

    fn sized() -> impl Strategy<Value = ApplicationSpec> {
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

    fn spec() -> impl Strategy<Value = ApplicationSpec> {
        let types = vec![ApplicationType::Python, ApplicationType::Scala, ApplicationType::Java];
        let files = vec!["local:///a.py", "local:///a.jar", "local:///a.R", "local:///a"];
        (sized(), of(prop::sample::select(types)), of(prop::sample::select(files)), of(Just("A")), of(Just("spark:4")))
            .prop_map(|(spec, type_, file, class, image)| ApplicationSpec {
                type_,
                main_application_file: file.map(Into::into),
                main_class: class.map(Into::into),
                image: image.map(Into::into),
                ..spec
            })
    }

    proptest! {
        /// What is decided on is what is built: a grant that the build outgrows would be granted again and again, and a
        /// run that cannot be built would hold its slots for nothing.
        #[test]
        fn outlines_laid_over_each_other_are_that_of_the_merged_application(
            operation in spec(), template in spec(), size in size(),
        ) {
            let decided = size_outline(&size).over(outline(&template).over(outline(&operation)));
            match Application::merge(&operation, Some(&template), Some(("M", &size))) {
                Ok(application) => prop_assert_eq!(*application.outline(), decided),
                Err(error) => prop_assert!(decided.problem().is_some(), "{}", error),
            }
        }
    }
}
