//! A granted run as a complete `SparkApplication`.
//!
//! Complete means that neither the spark-operator's webhook nor a default of Spark has anything to add: every size is
//! written out, so the pods request what was counted and not what somebody's version would make of it. An edit after
//! creation would kill the run and start it again; so this is the only time that anything is said.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::v1alpha1::SparkPod;
use crate::model::PodMakeup;

use super::application::Application;
use super::error::BuildError;
use super::grant::Grant;
use super::marks::{
    CLUSTER_ANNOTATION, CLUSTER_LABEL, CORRELATION_ANNOTATION, GRANT_ANNOTATION, JOB_ANNOTATION, JOB_UID_LABEL,
    MANAGED_BY, MANAGED_BY_LABEL, OPERATION_ANNOTATION, OPERATION_LABEL, RESULT_URI_ANNOTATION, RUN_FINALIZER,
    RUN_LABEL, label_value,
};
use super::pods::Pods;
use super::substitute::{Values, for_kubelet, replace};
use super::types::{GROUP, KIND, VERSION};
use super::uri::{check_result_uri, shown};

/// All arguments, and all environment variables, of a run in bytes: an object in etcd holds 1.5 MiB, and both pod
/// templates carry the environment.
const MAX_TEXTS: usize = 256 * 1024;

const MAX_PENDING: &str = "spark.kubernetes.allocation.maxPendingPods";

/// Who a run is: what goes into the metadata of everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Name of the `SparkApplication`, from [`child_name`](crate::model::child_name).
    pub name: &'a str,
    /// Namespace of the job.
    pub namespace: &'a str,
    /// Name of the job.
    pub job_name: &'a str,
    /// UID of the job.
    pub job_uid: &'a str,
    /// Number of the run, from 1.
    pub number: u32,
    /// Name of the operation.
    pub operation: &'a str,
    /// Name of the cluster that it was granted in.
    pub cluster: &'a str,
    /// What was granted.
    pub grant: Grant,
    /// The caller's correlation id.
    pub correlation_id: Option<&'a str>,
}

/// Everything that a run is built from.
#[derive(Clone, Debug)]
pub struct BuildInput<'a> {
    /// Who it is.
    pub run: Run<'a>,
    /// What it runs.
    pub application: &'a Application,
    /// The job's parameters.
    pub parameters: &'a Map<String, Value>,
    /// Who asked for it.
    pub submitted_by: Option<&'a str>,
    /// The job's business context.
    pub context: &'a BTreeMap<String, String>,
    /// Template of the result's URI, from the job or its operation's defaults.
    pub result_uri: Option<&'a str>,
}

/// Builds the `SparkApplication` of a granted run.
///
/// # Errors
/// [`BuildError::OutgrewGrant`] when the application has grown since it was granted, else what is wrong with the job's
/// parameters and result.
pub fn build(input: &BuildInput<'_>) -> Result<Value, BuildError> {
    check_grant(input)?;
    let result_uri = declared_result(input)?;
    let arguments = arguments(input, result_uri.as_deref())?;
    let env = environment(input, result_uri.as_deref())?;
    let pod_annotations = pod_annotations(&input.run);
    let declared = input.application.spec();
    let pods = Pods {
        env: &env,
        annotations: &pod_annotations,
        driver: declared.driver.as_ref(),
        executor: declared.executor.as_ref(),
    };
    let mut spec = common(input.application);
    if !arguments.is_empty() {
        spec.insert("arguments".into(), json!(arguments));
    }
    spec.insert("sparkConf".into(), json!(spark_conf(input)?));
    spec.insert("dynamicAllocation".into(), dynamic_allocation(&input.run.grant));
    spec.insert("driver".into(), driver(input, &pods));
    spec.insert("executor".into(), executor(input, &pods));
    Ok(object(&input.run, result_uri.as_deref(), &Value::Object(spec)))
}

/// A `SparkApplication` that is born suspended and never runs: it takes the run's name for a run that was granted and
/// then cancelled, or can no longer be built. Were it resumed, it would fail: it has no image.
#[must_use]
pub fn placeholder(run: &Run<'_>) -> Value {
    let spec = json!({
        "suspend": true,
        "type": "Scala",
        "mode": "cluster",
        "sparkVersion": "4.0.0",
        "mainClass": "placeholder",
        "mainApplicationFile": "local:///placeholder",
        "restartPolicy": restart_policy(),
        "driver": {"cores": 1, "memory": "512m"},
        "executor": {"cores": 1, "memory": "512m", "instances": 1},
    });
    object(run, None, &spec)
}

/// The declared result of a run, its references replaced.
///
/// # Errors
/// A parameter that the job lacks, or a URI that may not be published.
pub fn declared_result(input: &BuildInput<'_>) -> Result<Option<String>, BuildError> {
    let path = "result.uri";
    let Some(template) = input.result_uri else { return Ok(None) };
    let uri = replace(path, template, &values(input, None))?;
    check_result_uri(&uri).map_err(|problem| BuildError::conflict(path, format!("is {}: {problem}", shown(&uri))))?;
    Ok(Some(uri))
}

fn check_grant(input: &BuildInput<'_>) -> Result<(), BuildError> {
    let grant = &input.run.grant;
    if grant.max_executors == 0 || grant.min_executors > grant.max_executors {
        return Err(BuildError::conflict("executors", format!("cannot be granted as {grant}")));
    }
    let needed = input.application.outline().footprint().with(grant.max_executors.into()).requested();
    if needed.fits(grant.total) {
        return Ok(());
    }
    Err(BuildError::OutgrewGrant { executors: grant.max_executors, needed, granted: grant.total })
}

fn values<'a>(input: &'a BuildInput<'_>, result_uri: Option<&'a str>) -> Values<'a> {
    Values {
        parameters: input.parameters,
        job_name: input.run.job_name,
        job_namespace: input.run.namespace,
        job_uid: input.run.job_uid,
        correlation_id: input.run.correlation_id.unwrap_or_default(),
        run: input.run.number,
        operation: input.run.operation,
        result_uri,
    }
}

/// Arguments pass through the container's `args`, where the kubelet would expand what looks like a reference of its own.
fn arguments(input: &BuildInput<'_>, result_uri: Option<&str>) -> Result<Vec<String>, BuildError> {
    let values = values(input, result_uri);
    let mut arguments = Vec::new();
    for (number, argument) in input.application.spec().arguments.iter().enumerate() {
        arguments.push(for_kubelet(&replace(&format!("application.arguments[{number}]"), argument, &values)?));
    }
    check_length("application.arguments", arguments.iter().map(String::len).sum())?;
    Ok(arguments)
}

/// The application's environment and what a run says of itself.
fn environment(input: &BuildInput<'_>, result_uri: Option<&str>) -> Result<BTreeMap<String, String>, BuildError> {
    let values = values(input, result_uri);
    let mut env = BTreeMap::new();
    for (name, value) in &input.application.spec().env {
        env.insert(name.clone(), replace(&format!("application.env[{name}]"), value, &values)?);
    }
    env.extend(self_description(input, result_uri));
    check_length("application.env", env.iter().map(|(name, value)| name.len() + value.len()).sum())?;
    Ok(env)
}

fn check_length(path: &str, length: usize) -> Result<(), BuildError> {
    match length {
        0..=MAX_TEXTS => Ok(()),
        _ => Err(BuildError::TooLong { path: path.to_owned(), length, limit: MAX_TEXTS }),
    }
}

fn self_description(input: &BuildInput<'_>, result_uri: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let run = &input.run;
    let context = (!input.context.is_empty()).then(|| json!(input.context).to_string());
    let all = [
        ("SLOWLANE_JOB_NAME", Some(run.job_name.to_owned())),
        ("SLOWLANE_JOB_NAMESPACE", Some(run.namespace.to_owned())),
        ("SLOWLANE_JOB_UID", Some(run.job_uid.to_owned())),
        ("SLOWLANE_RUN", Some(run.number.to_string())),
        ("SLOWLANE_OPERATION", Some(run.operation.to_owned())),
        ("SLOWLANE_CLUSTER", Some(run.cluster.to_owned())),
        ("SLOWLANE_CORRELATION_ID", run.correlation_id.map(without_nulls)),
        ("SLOWLANE_SUBMITTED_BY", input.submitted_by.map(without_nulls)),
        ("SLOWLANE_RESULT_URI", result_uri.map(str::to_owned)),
        ("SLOWLANE_CONTEXT", context),
    ];
    all.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
}

/// No process takes a null character in its environment; JSON escapes those of the context.
fn without_nulls(text: &str) -> String {
    text.replace('\0', " ")
}

/// What the user's fields say, and the operator's own defaults written out.
fn common(application: &Application) -> Map<String, Value> {
    let app = application.spec();
    let fields = json!({
        "type": app.type_,
        "mode": "cluster",
        "sparkVersion": app.spark_version,
        "pythonVersion": application.is_python().then_some("3"),
        "image": app.image,
        "imagePullPolicy": "IfNotPresent",
        "mainClass": app.main_class,
        "mainApplicationFile": app.main_application_file,
        "hadoopConf": (!app.hadoop_conf.is_empty()).then_some(&app.hadoop_conf),
        "deps": app.deps,
        "restartPolicy": restart_policy(),
    });
    given(fields)
}

/// Retries are the keeper's: one `SparkApplication` a run. The intervals are never used and kept valid.
fn restart_policy() -> Value {
    json!({
        "type": "Never",
        "onFailureRetries": 0,
        "onFailureRetryInterval": 5,
        "onSubmissionFailureRetries": 0,
        "onSubmissionFailureRetryInterval": 5,
    })
}

/// The fields of an object that are there.
fn given(object: Value) -> Map<String, Value> {
    let Value::Object(fields) = object else { return Map::new() };
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// How long Spark waits for the API server, in milliseconds: after its own ten seconds a busy one costs the whole run.
const PATIENCE: [&str; 4] = [
    "spark.kubernetes.submission.connectionTimeout",
    "spark.kubernetes.submission.requestTimeout",
    "spark.kubernetes.driver.connectionTimeout",
    "spark.kubernetes.driver.requestTimeout",
];

/// The merged properties; ours stand last and cannot be set by anybody, save for those that are defaults.
fn spark_conf(input: &BuildInput<'_>) -> Result<BTreeMap<String, String>, BuildError> {
    let grant = &input.run.grant;
    let mut conf = input.application.spec().spark_conf.clone();
    conf.entry("spark.log.level".into()).or_insert_with(|| "WARN".into());
    for key in PATIENCE {
        conf.entry(key.into()).or_insert_with(|| "60000".into());
    }
    let pending = conf.get(MAX_PENDING).map(|value| max_pending(value)).transpose()?;
    let pending = pending.map_or(grant.max_executors, |most| most.min(grant.max_executors));
    conf.insert(MAX_PENDING.into(), pending.to_string());
    conf.insert("spark.dynamicAllocation.enabled".into(), is_dynamic(grant).to_string());
    Ok(conf)
}

/// Only a template may say it.
fn max_pending(value: &str) -> Result<u32, BuildError> {
    let path = format!("template.sparkConf[{MAX_PENDING}]");
    let number = value.trim().parse::<u32>().ok().filter(|most| *most >= 1);
    number.ok_or_else(|| BuildError::malformed(path, value, "a whole number of at least 1"))
}

fn is_dynamic(grant: &Grant) -> bool {
    grant.min_executors != grant.max_executors
}

/// Shuffle files are tracked: there is no external shuffle service on Kubernetes.
fn dynamic_allocation(grant: &Grant) -> Value {
    if !is_dynamic(grant) {
        return json!({"enabled": false});
    }
    json!({
        "enabled": true,
        "shuffleTrackingEnabled": true,
        "initialExecutors": grant.min_executors,
        "minExecutors": grant.min_executors,
        "maxExecutors": grant.max_executors,
    })
}

fn driver(input: &BuildInput<'_>, pods: &Pods<'_>) -> Value {
    let app = input.application.spec();
    let mut fields = pod(&input.run, app.driver.as_ref(), input.application.outline().driver_pod());
    fields.insert("template".into(), pods.driver());
    if let Some(account) = &app.service_account {
        fields.insert("serviceAccount".into(), json!(account));
    }
    Value::Object(fields)
}

/// With dynamic allocation `instances` is left out: Spark would start with it, were it more than the least.
fn executor(input: &BuildInput<'_>, pods: &Pods<'_>) -> Value {
    let made = input.application.outline().executor_pod();
    let mut fields = pod(&input.run, input.application.spec().executor.as_ref(), made);
    fields.insert("template".into(), pods.executor());
    if !is_dynamic(&input.run.grant) {
        fields.insert("instances".into(), json!(input.run.grant.max_executors));
    }
    Value::Object(fields)
}

/// The run's own labels stand here too: accounting shall not hang on what the operator copies.
fn pod(run: &Run<'_>, declared: Option<&SparkPod>, made: PodMakeup) -> Map<String, Value> {
    let none = SparkPod::default();
    let declared = declared.unwrap_or(&none);
    let mut labels = declared.labels.clone();
    labels.extend(labels_of(run));
    given(json!({
        "cores": made.cores,
        "coreRequest": format!("{}m", made.request.milli_cores),
        "coreLimit": declared.core_limit,
        "memory": format!("{}m", made.heap_mib),
        "memoryOverhead": format!("{}m", made.overhead_mib),
        "labels": labels,
        "annotations": (!declared.annotations.is_empty()).then_some(&declared.annotations),
    }))
}

fn labels_of(run: &Run<'_>) -> BTreeMap<String, String> {
    [
        (JOB_UID_LABEL, label_value(run.job_uid)),
        (RUN_LABEL, run.number.to_string()),
        (OPERATION_LABEL, label_value(run.operation)),
        (CLUSTER_LABEL, label_value(run.cluster)),
        (MANAGED_BY_LABEL, MANAGED_BY.to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

fn pod_annotations(run: &Run<'_>) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([(JOB_ANNOTATION.to_owned(), run.job_name.to_owned())]);
    annotations.extend(run.correlation_id.map(|id| (CORRELATION_ANNOTATION.to_owned(), id.to_owned())));
    annotations
}

fn object(run: &Run<'_>, result_uri: Option<&str>, spec: &Value) -> Value {
    let mut annotations = pod_annotations(run);
    annotations.extend([
        (OPERATION_ANNOTATION.to_owned(), run.operation.to_owned()),
        (CLUSTER_ANNOTATION.to_owned(), run.cluster.to_owned()),
        (GRANT_ANNOTATION.to_owned(), run.grant.to_string()),
    ]);
    annotations.extend(result_uri.map(|uri| (RESULT_URI_ANNOTATION.to_owned(), uri.to_owned())));
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": KIND,
        "metadata": {
            "name": run.name,
            "namespace": run.namespace,
            "labels": labels_of(run),
            "annotations": annotations,
            "finalizers": [RUN_FINALIZER],
            "ownerReferences": [{
                "apiVersion": "slowlane.dev/v1alpha1",
                "kind": "ManagedJob",
                "name": run.job_name,
                "uid": run.job_uid,
                "controller": true,
                "blockOwnerDeletion": false,
            }],
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests;
