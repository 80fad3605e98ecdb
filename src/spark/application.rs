//! An Operation's application and a cluster's template, checked and merged into what is run.
//!
//! The administrator beats the user: a value of the template wins over the Operation's, key by key in maps. Lists of
//! `deps` are joined (the template's first); `arguments` of a template, should it have any, replace the Operation's. The size
//! that a job picks wins over both.
//! What comes out has been checked as a whole, so that building a run from it can fail only for its parameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::v1alpha1::{ApplicationSpec, ApplicationType, Dependencies, SizeSpec, SparkPod, SparkPodSize};
use crate::model::Outline;

use super::error::{BuildError, shown};
use super::keys::{Place, Refusal, refused, refused_hadoop};
use super::outline::outline;
use super::reserved::{is_label_value, refused_env, refused_key};
use super::sizes::check_sizes;
use super::substitute;
use super::uri::check_file;

/// A complete application: merged, checked, and with its true size.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    spec: ApplicationSpec,
    outline: Outline,
}

impl Application {
    /// Merges an Operation's application with the template of the cluster that shall run it, and the size that its job picks there.
    ///
    /// # Errors
    /// The first field that is missing, refused, unreadable or in contradiction to another, with its path.
    pub fn merge(
        operation: &ApplicationSpec,
        template: Option<&ApplicationSpec>,
        size: Option<(&str, &SizeSpec)>,
    ) -> Result<Self, BuildError> {
        check(operation, Place::Operation)?;
        if let Some(template) = template {
            check(template, Place::Template)?;
        }
        if let Some((name, size)) = size {
            check_size(name, size)?;
        }
        let none = ApplicationSpec::default();
        let spec = merged(folded(operation), folded(template.unwrap_or(&none)));
        let spec = merged(spec, size.map(|(_, size)| pods_of(size)).unwrap_or_default());
        let outline = outline(&spec);
        match outline.problem() {
            Some(problem) => Err(BuildError::conflict(format!("application.{}", problem.field), problem.words)),
            None => Ok(Self { spec, outline }),
        }
    }

    /// The merged fields.
    #[must_use]
    pub fn spec(&self) -> &ApplicationSpec {
        &self.spec
    }

    /// Python, and not Scala or Java.
    #[must_use]
    pub fn is_python(&self) -> bool {
        self.spec.type_ == Some(ApplicationType::Python)
    }

    /// What it is decided by; its footprint is what its pods request.
    #[must_use]
    pub fn outline(&self) -> &Outline {
        &self.outline
    }
}

/// A size as an application that says nothing else.
fn pods_of(size: &SizeSpec) -> ApplicationSpec {
    let pod = |size: &SparkPodSize| {
        let SparkPodSize { cores, memory, memory_overhead, core_request, core_limit } = size.clone();
        SparkPod { cores, memory, memory_overhead, core_request, core_limit, ..SparkPod::default() }
    };
    ApplicationSpec {
        driver: size.driver.as_ref().map(pod),
        executor: size.executor.as_ref().map(pod),
        ..ApplicationSpec::default()
    }
}

/// What a size says of its pods, in outline. What cannot be read counts as not written: [`check_size`] says what is wrong with it.
#[must_use]
pub fn size_outline(size: &SizeSpec) -> Outline {
    outline(&pods_of(size))
}

/// Checks a size that a cluster declares.
///
/// # Errors
/// The first field that cannot be read, with its path.
pub fn check_size(name: &str, size: &SizeSpec) -> Result<(), BuildError> {
    check_sizes(&format!("sizes.{}", shown(name)), &pods_of(size))
}

/// The parameters that `arguments`, `env` and a result's URI refer to.
///
/// Admission asks before it grants: a job that lacks one would fail at its start.
#[must_use]
pub fn referenced_parameters(app: &ApplicationSpec, result_uri: Option<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let texts = app.arguments.iter().chain(app.env.values()).map(String::as_str);
    texts.chain(result_uri).for_each(|text| substitute::parameters_of(text, &mut found));
    found
}

/// Whether `arguments` or `env` refer to the run's declared result: there has to be one then.
#[must_use]
pub fn refers_to_result(app: &ApplicationSpec) -> bool {
    app.arguments.iter().chain(app.env.values()).any(|text| substitute::refers_to_result(text))
}

/// Checks an application by itself, as far as it goes: fields that the other place must give may be absent.
///
/// # Errors
/// The first field that is wrong, with its path.
pub fn check(app: &ApplicationSpec, place: Place) -> Result<(), BuildError> {
    let at = root(place);
    check_keys(at, "sparkConf", &app.spark_conf, |key| refused(key, place))?;
    check_keys(at, "hadoopConf", &app.hadoop_conf, |key| refused_hadoop(key, place))?;
    check_keys(at, "env", &app.env, |name| refused_env(name, place))?;
    check_texts(at, app, place)?;
    check_words(at, app)?;
    check_files(at, app)?;
    for (role, pod) in [("driver", &app.driver), ("executor", &app.executor)] {
        if let Some(pod) = pod {
            check_pod(&format!("{at}.{role}"), pod, place)?;
        }
    }
    check_sizes(at, app)
}

fn root(place: Place) -> &'static str {
    match place {
        Place::Operation => "application",
        Place::Template => "template",
    }
}

type Texts = BTreeMap<String, String>;

fn check_keys(at: &str, field: &str, map: &Texts, refused: impl Fn(&str) -> Option<Refusal>) -> Result<(), BuildError> {
    for (key, value) in map {
        let path = format!("{at}.{field}[{}]", shown(key));
        if let Some(refusal) = refused(key) {
            return Err(BuildError::Refused { path, refusal });
        }
        if value.contains('\0') {
            return Err(BuildError::malformed(path, value, "a text without null characters"));
        }
    }
    Ok(())
}

fn check_texts(at: &str, app: &ApplicationSpec, place: Place) -> Result<(), BuildError> {
    for (number, argument) in app.arguments.iter().enumerate() {
        check_text(&format!("{at}.arguments[{number}]"), argument, place)?;
    }
    for (name, value) in &app.env {
        check_text(&format!("{at}.env[{name}]"), value, place)?;
    }
    Ok(())
}

/// A template holds for every Operation: it cannot know their parameters, nor whether they declare a result.
fn check_text(path: &str, text: &str, place: Place) -> Result<(), BuildError> {
    substitute::check(path, text)?;
    let mut parameters = BTreeSet::new();
    substitute::parameters_of(text, &mut parameters);
    if place == Place::Template && (!parameters.is_empty() || substitute::refers_to_result(text)) {
        let problem = "refers to $(params.*) or $(result.uri), which belong to an Operation: a template may name \
                       $(job.*), $(run.number) and $(operation.name) only";
        return Err(BuildError::conflict(path, problem));
    }
    Ok(())
}

/// Fields that become part of a command line or of the object's own fields.
fn check_words(at: &str, app: &ApplicationSpec) -> Result<(), BuildError> {
    for (field, value, also, expected) in [
        ("mainClass", &app.main_class, "_$.", "the full name of a class, such as com.example.Report"),
        ("sparkVersion", &app.spark_version, ".-", "a version of Spark, such as 4.0.1"),
        ("image", &app.image, "._-/:@", "a container image, such as registry.example.com/spark:4.0.1"),
        ("serviceAccount", &app.service_account, ".-", "the name of a ServiceAccount"),
    ] {
        match value {
            Some(value) if !is_word(value, also) => {
                return Err(BuildError::malformed(format!("{at}.{field}"), value, expected));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Letters, digits and some other characters, beginning with one that is no punctuation but `_`.
fn is_word(value: &str, also: &str) -> bool {
    let start = |c: char| c.is_ascii_alphanumeric() || (c == '_' && also.contains('_'));
    (1..=512).contains(&value.len())
        && value.starts_with(start)
        && value.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

fn check_files(at: &str, app: &ApplicationSpec) -> Result<(), BuildError> {
    if let Some(file) = &app.main_application_file {
        check_file(&format!("{at}.mainApplicationFile"), file)?;
    }
    let none = Dependencies::default();
    let deps = app.deps.as_ref().unwrap_or(&none);
    let lists =
        [("jars", &deps.jars), ("files", &deps.files), ("pyFiles", &deps.py_files), ("archives", &deps.archives)];
    for (field, list) in lists {
        for (number, file) in list.iter().enumerate() {
            check_file(&format!("{at}.deps.{field}[{number}]"), file)?;
        }
    }
    Ok(())
}

fn check_pod(at: &str, pod: &SparkPod, place: Place) -> Result<(), BuildError> {
    check_keys(at, "labels", &pod.labels, |key| refused_key(key, place))?;
    check_keys(at, "annotations", &pod.annotations, |key| refused_key(key, place))?;
    match pod.labels.iter().find(|(_, value)| !is_label_value(value)) {
        Some((key, value)) => Err(BuildError::malformed(format!("{at}.labels[{key}]"), value, LABEL_VALUE)),
        None => Ok(()),
    }
}

const LABEL_VALUE: &str =
    "at most 63 letters, digits, dots, dashes and underscores with a letter or digit at both ends";

/// One name for every property: `spark.hadoop.x` of `sparkConf` is `x` of `hadoopConf`, which wins as it does in the
/// spark-operator. Else a user's one form would stand beside an administrator's other.
fn folded(app: &ApplicationSpec) -> ApplicationSpec {
    let mut folded = app.clone();
    folded.spark_conf.retain(|key, value| match key.strip_prefix("spark.hadoop.") {
        Some(hadoop_key) => {
            folded.hadoop_conf.entry(hadoop_key.to_owned()).or_insert_with(|| value.clone());
            false
        }
        None => true,
    });
    folded
}

fn merged(user: ApplicationSpec, admin: ApplicationSpec) -> ApplicationSpec {
    ApplicationSpec {
        type_: admin.type_.or(user.type_),
        main_application_file: admin.main_application_file.or(user.main_application_file),
        main_class: admin.main_class.or(user.main_class),
        arguments: if admin.arguments.is_empty() { user.arguments } else { admin.arguments },
        spark_version: admin.spark_version.or(user.spark_version),
        image: admin.image.or(user.image),
        spark_conf: merged_conf(user.spark_conf, admin.spark_conf),
        hadoop_conf: merged_maps(user.hadoop_conf, admin.hadoop_conf),
        deps: merged_with(user.deps, admin.deps, merged_deps),
        driver: merged_with(user.driver, admin.driver, merged_pods),
        executor: merged_with(user.executor, admin.executor, merged_pods),
        service_account: admin.service_account.or(user.service_account),
        env: merged_maps(user.env, admin.env),
    }
}

fn merged_with<T>(user: Option<T>, admin: Option<T>, both: impl Fn(T, T) -> T) -> Option<T> {
    match (user, admin) {
        (Some(user), Some(admin)) => Some(both(user, admin)),
        (one, other) => other.or(one),
    }
}

fn merged_maps(user: Texts, admin: Texts) -> Texts {
    user.into_iter().chain(admin).collect()
}

/// Spark's keys differ by case, ours must not: what an administrator has set cannot be doubled in another case.
fn merged_conf(mut user: Texts, admin: Texts) -> Texts {
    let set: BTreeSet<String> = admin.keys().map(|key| key.to_ascii_lowercase()).collect();
    user.retain(|key, _| !set.contains(&key.to_ascii_lowercase()));
    merged_maps(user, admin)
}

fn merged_deps(user: Dependencies, admin: Dependencies) -> Dependencies {
    Dependencies {
        jars: joined(user.jars, admin.jars),
        files: joined(user.files, admin.files),
        py_files: joined(user.py_files, admin.py_files),
        archives: joined(user.archives, admin.archives),
    }
}

fn joined<T: PartialEq>(user: Vec<T>, mut admin: Vec<T>) -> Vec<T> {
    for own in user {
        if !admin.contains(&own) {
            admin.push(own);
        }
    }
    admin
}

fn merged_pods(user: SparkPod, admin: SparkPod) -> SparkPod {
    SparkPod {
        cores: admin.cores.or(user.cores),
        memory: admin.memory.or(user.memory),
        memory_overhead: admin.memory_overhead.or(user.memory_overhead),
        core_request: admin.core_request.or(user.core_request),
        core_limit: admin.core_limit.or(user.core_limit),
        node_selector: merged_maps(user.node_selector, admin.node_selector),
        tolerations: joined(user.tolerations, admin.tolerations),
        labels: merged_maps(user.labels, admin.labels),
        annotations: merged_maps(user.annotations, admin.annotations),
    }
}

#[cfg(test)]
mod tests;
