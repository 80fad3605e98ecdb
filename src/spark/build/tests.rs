use super::*;
use crate::api::v1alpha1::ApplicationSpec;
use crate::model::{Locks, PodSize, child_name};

const JOB_UID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// A run with everything that may be set, changed by a test where it likes.
struct Case {
    application: Value,
    template: Value,
    parameters: Value,
    result_uri: Option<&'static str>,
    executors: (u32, u32),
    room: PodSize,
    context: BTreeMap<String, String>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            application: json!({
                "type": "Python", "mainApplicationFile": "local:///app/report.py", "sparkVersion": "4.0.5",
                "arguments": ["--day", "$(params.day)", "$(result.uri)"], "env": {"TENANT": "$(params.tenant)"},
                "driver": {"coreRequest": "100m", "memory": "512m"},
                "executor": {"cores": 2, "memory": "1g", "labels": {"team": "risk"}, "annotations": {"a/b": "c"}},
                "serviceAccount": "spark",
            }),
            template: json!({"image": "localhost/spark:4.0.5", "hadoopConf": {"fs.s3a.secret.key": "k"}}),
            parameters: json!({"day": "2025-11-01", "tenant": 7}),
            result_uri: Some("s3a://lake/$(operation.name)/$(params.day)/$(run.number)"),
            executors: (1, 4),
            room: PodSize { milli_cores: 100_000, memory_mib: 100_000 },
            context: BTreeMap::from([("location".into(), "Łódź \"1\" $(x)".into())]),
        }
    }
}

impl Case {
    fn build(&self) -> Result<Value, BuildError> {
        let operation: ApplicationSpec = serde_json::from_value(self.application.clone()).unwrap();
        let template: ApplicationSpec = serde_json::from_value(self.template.clone()).unwrap();
        let application = Application::merge(&operation, Some(&template), None).unwrap();
        let name = child_name("monday.report", JOB_UID, 2);
        build(&BuildInput {
            run: run(
                &name,
                Grant {
                    min_executors: self.executors.0,
                    max_executors: self.executors.1,
                    total: self.room,
                    locks: Locks::default(),
                },
            ),
            application: &application,
            parameters: self.parameters.as_object().unwrap(),
            submitted_by: Some("anna"),
            context: &self.context,
            result_uri: self.result_uri,
        })
    }

    fn built(&self) -> Value {
        self.build().unwrap()
    }

    fn spec(&self) -> Value {
        self.built()["spec"].clone()
    }
}

fn run(name: &str, grant: Grant) -> Run<'_> {
    Run {
        name,
        namespace: "jobs",
        job_name: "monday.report",
        job_uid: JOB_UID,
        number: 2,
        operation: "daily-report",
        cluster: "business",
        grant,
        correlation_id: Some("c-1"),
    }
}

fn env_of(template: &Value, name: &str) -> Option<String> {
    let env = template["spec"]["containers"][0]["env"].as_array().unwrap();
    env.iter().find(|one| one["name"] == name).map(|one| one["value"].as_str().unwrap().to_owned())
}

#[test]
fn the_metadata_says_whose_it_is() {
    let built = Case::default().built();
    assert_eq!(built["apiVersion"], "sparkoperator.k8s.io/v1beta2");
    assert_eq!(built["kind"], "SparkApplication");
    assert_eq!(
        built["metadata"],
        json!({
            "name": child_name("monday.report", JOB_UID, 2), "namespace": "jobs",
            "labels": {
                "slowlane.dev/job-uid": JOB_UID, "slowlane.dev/run": "2", "slowlane.dev/operation": "daily-report",
                "slowlane.dev/cluster": "business", "app.kubernetes.io/managed-by": "slowlane",
            },
            "annotations": {
                "slowlane.dev/job": "monday.report", "slowlane.dev/operation": "daily-report", "slowlane.dev/cluster": "business",
                "slowlane.dev/grant": "executors=1..4,cores=100000m,memory=100000Mi", "slowlane.dev/correlation-id": "c-1",
                "slowlane.dev/result-uri": "s3a://lake/daily-report/2025-11-01/2",
            },
            "finalizers": ["slowlane.dev/run"],
            "ownerReferences": [{
                "apiVersion": "slowlane.dev/v1alpha1", "kind": "ManagedJob", "name": "monday.report", "uid": JOB_UID,
                "controller": true, "blockOwnerDeletion": false,
            }],
        })
    );
}

#[test]
fn the_spec_is_complete_without_the_webhook() {
    let spec = Case::default().spec();
    for (field, value) in [
        ("type", json!("Python")),
        ("mode", json!("cluster")),
        ("sparkVersion", json!("4.0.5")),
        ("pythonVersion", json!("3")),
        ("image", json!("localhost/spark:4.0.5")),
        ("imagePullPolicy", json!("IfNotPresent")),
        ("mainApplicationFile", json!("local:///app/report.py")),
        ("hadoopConf", json!({"fs.s3a.secret.key": "k"})),
        ("arguments", json!(["--day", "2025-11-01", "s3a://lake/daily-report/2025-11-01/2"])),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    assert_eq!(spec["restartPolicy"]["type"], "Never");
    for absent in ["suspend", "mainClass", "deps", "timeToLiveSeconds"] {
        assert!(spec.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn sizes_are_written_out_as_they_were_counted() {
    let spec = Case::default().spec();
    let size = |role: &str| ["cores", "coreRequest", "memory", "memoryOverhead"].map(|field| spec[role][field].clone());
    assert_eq!(size("driver"), [json!(1), json!("100m"), json!("512m"), json!("384m")]);
    assert_eq!(size("executor"), [json!(2), json!("2000m"), json!("1024m"), json!("409m")]);
    assert_eq!(spec["driver"]["serviceAccount"], "spark");
}

#[test]
fn pods_carry_the_runs_labels_beside_the_users() {
    let spec = Case::default().spec();
    assert_eq!(spec["executor"]["labels"]["team"], "risk");
    assert_eq!(spec["executor"]["annotations"], json!({"a/b": "c"}));
    for role in ["driver", "executor"] {
        assert_eq!(spec[role]["labels"]["slowlane.dev/job-uid"], JOB_UID);
        assert_eq!(spec[role]["labels"]["slowlane.dev/run"], "2");
    }
}

#[test]
fn different_bounds_mean_dynamic_allocation_within_them() {
    let spec = Case::default().spec();
    assert_eq!(
        spec["dynamicAllocation"],
        json!({"enabled": true, "shuffleTrackingEnabled": true, "initialExecutors": 1, "minExecutors": 1, "maxExecutors": 4})
    );
    assert_eq!(spec["sparkConf"]["spark.dynamicAllocation.enabled"], "true");
    assert!(spec["executor"].get("instances").is_none());
}

#[test]
fn equal_bounds_mean_so_many_executors() {
    let spec = Case { executors: (3, 3), ..Case::default() }.spec();
    assert_eq!(spec["executor"]["instances"], 3);
    assert_eq!(spec["dynamicAllocation"], json!({"enabled": false}));
    assert_eq!(spec["sparkConf"]["spark.dynamicAllocation.enabled"], "false");
}

#[test]
fn a_run_may_begin_without_executors() {
    let spec = Case { executors: (0, 2), ..Case::default() }.spec();
    assert_eq!(spec["dynamicAllocation"]["initialExecutors"], 0);
    assert_eq!(spec["dynamicAllocation"]["maxExecutors"], 2);
}

#[test]
fn a_grant_of_no_executors_cannot_be_built() {
    for executors in [(0, 0), (3, 2)] {
        let error = Case { executors, ..Case::default() }.build().unwrap_err().to_string();
        assert!(error.starts_with("executors cannot be granted as executors="), "{error}");
    }
}

#[test]
fn pending_pods_are_bounded_by_the_grant() {
    let pending = |template: Value| {
        Case { template, ..Case::default() }.build().map(|app| app["spec"]["sparkConf"][MAX_PENDING].clone())
    };
    let of = |value: &str| json!({"image": "i", "sparkConf": {MAX_PENDING: value}});
    assert_eq!(pending(json!({"image": "i"})), Ok(json!("4")));
    assert_eq!(pending(of("2")), Ok(json!("2")));
    assert_eq!(pending(of("100")), Ok(json!("4")));
    assert!(pending(of("0")).is_err());
    assert!(pending(of("many")).is_err());
}

#[test]
fn logs_are_quiet_unless_somebody_wants_them() {
    let level = |conf: Value| {
        Case { template: json!({"image": "i", "sparkConf": conf}), ..Case::default() }.spec()["sparkConf"]["spark.log.level"].clone()
    };
    assert_eq!(level(json!({})), "WARN");
    assert_eq!(level(json!({"spark.log.level": "INFO"})), "INFO");
}

#[test]
fn the_pods_meet_pod_security_restricted() {
    let spec = Case::default().spec();
    for (role, container, token) in [("driver", DRIVER, true), ("executor", EXECUTOR, false)] {
        let template = &spec[role]["template"]["spec"];
        assert_eq!(template["containers"][0]["name"], container);
        assert_eq!(template["containers"][0]["terminationMessagePolicy"], "FallbackToLogsOnError");
        assert_eq!(
            template["containers"][0]["securityContext"],
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
        );
        assert_eq!(template["securityContext"]["runAsNonRoot"], true);
        assert_eq!(template["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}));
        assert_eq!(template["enableServiceLinks"], false);
        assert_eq!(template["automountServiceAccountToken"], token);
    }
}

const DRIVER: &str = crate::spark::pods::DRIVER_CONTAINER;
const EXECUTOR: &str = crate::spark::pods::EXECUTOR_CONTAINER;

#[test]
fn the_run_tells_its_pods_who_it_is() {
    let spec = Case::default().spec();
    for (name, value) in [
        ("SLOWLANE_JOB_NAME", "monday.report"),
        ("SLOWLANE_JOB_NAMESPACE", "jobs"),
        ("SLOWLANE_JOB_UID", JOB_UID),
        ("SLOWLANE_RUN", "2"),
        ("SLOWLANE_OPERATION", "daily-report"),
        ("SLOWLANE_CLUSTER", "business"),
        ("SLOWLANE_CORRELATION_ID", "c-1"),
        ("SLOWLANE_SUBMITTED_BY", "anna"),
        ("SLOWLANE_RESULT_URI", "s3a://lake/daily-report/2025-11-01/2"),
        ("TENANT", "7"),
        ("SLOWLANE_CONTEXT", r#"{"location":"Łódź \"1\" $$(x)"}"#),
    ] {
        for role in ["driver", "executor"] {
            assert_eq!(env_of(&spec[role]["template"], name).as_deref(), Some(value), "{role} {name}");
        }
    }
    let annotations = json!({"slowlane.dev/job": "monday.report", "slowlane.dev/correlation-id": "c-1"});
    assert_eq!(spec["driver"]["template"]["metadata"]["annotations"], annotations);
}

#[test]
fn what_is_not_known_is_not_set() {
    let spec = Case { result_uri: None, context: BTreeMap::new(), application: plain(), ..Case::default() }.spec();
    assert_eq!(env_of(&spec["driver"]["template"], "SLOWLANE_RESULT_URI"), None);
    assert_eq!(env_of(&spec["driver"]["template"], "SLOWLANE_CONTEXT"), None);
    assert!(spec.get("arguments").is_none());
    assert!(spec["driver"].get("serviceAccount").is_none());
}

fn plain() -> Value {
    json!({"type": "Scala", "mainClass": "com.example.Report", "mainApplicationFile": "local:///app/r.jar", "sparkVersion": "4.0.5"})
}

#[test]
fn a_jar_runs_its_class() {
    let spec = Case { application: plain(), ..Case::default() }.spec();
    assert_eq!((&spec["type"], &spec["mainClass"]), (&json!("Scala"), &json!("com.example.Report")));
    assert!(spec.get("pythonVersion").is_none());
    assert_eq!(spec["executor"]["memoryOverhead"], "384m");
}

#[test]
fn parameters_reach_the_process_as_they_are() {
    let parameters = json!({"day": "$(SLOWLANE_JOB_UID) $$HOME", "tenant": {"a": ["$(B)"]}});
    let spec = Case { parameters, result_uri: Some("s3a://lake/x"), ..Case::default() }.spec();
    assert_eq!(spec["arguments"][1], "$$(SLOWLANE_JOB_UID) $$$$HOME", "the kubelet makes one dollar of two");
    assert_eq!(env_of(&spec["driver"]["template"], "TENANT").unwrap(), r#"{"a":["$$(B)"]}"#);
}

#[test]
fn a_run_that_outgrew_its_grant_is_not_built() {
    let room = PodSize { milli_cores: 8100, memory_mib: 896 + 4 * 1433 };
    assert!(Case { room, ..Case::default() }.build().is_ok());
    for less in [PodSize { milli_cores: 8099, ..room }, PodSize { memory_mib: room.memory_mib - 1, ..room }] {
        let error = Case { room: less, ..Case::default() }.build().unwrap_err().to_string();
        assert!(error.starts_with("driver and 4 executors need 8100m cores and 6628 MiB, but "), "{error}");
    }
}

#[test]
fn what_the_job_lacks_is_named() {
    let error = Case { parameters: json!({"day": "x"}), ..Case::default() }.build().unwrap_err().to_string();
    assert_eq!(error, "application.env[TENANT] refers to $(params.tenant), but the job has no parameter \"tenant\"");
}

#[test]
fn a_result_that_may_not_be_published_is_refused_before_the_run() {
    for (template, said) in [
        ("file:///tmp/$(params.day)", "result.uri is file:///...: its scheme"),
        ("$(params.tenant)", "result.uri is a text of 1 characters: its scheme"),
        ("s3a://lake/$(result.uri)", "result.uri refers to $(result.uri), but no result.uri is declared"),
        ("s3a://lake/$(params.none)", "result.uri refers to $(params.none), but the job has no parameter"),
    ] {
        let error = Case { result_uri: Some(template), ..Case::default() }.build().unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn texts_that_no_object_could_hold_are_refused() {
    let mut application = plain();
    application["arguments"] = json!(vec!["$(params.day)"; 10]);
    let parameters = json!({"day": "x".repeat(30_000), "tenant": ""});
    let error = Case { application, parameters, result_uri: None, ..Case::default() }.build().unwrap_err();
    assert_eq!(error, BuildError::TooLong { path: "application.arguments".into(), length: 300_000, limit: MAX_TEXTS });
}

#[test]
fn a_placeholder_holds_the_name_and_runs_nothing() {
    let grant = Grant { min_executors: 1, max_executors: 1, ..Grant::default() };
    let built = placeholder(&run("monday-x-2", grant));
    assert_eq!(built["metadata"]["name"], "monday-x-2");
    assert_eq!(built["metadata"]["labels"]["slowlane.dev/job-uid"], JOB_UID);
    assert_eq!(built["metadata"]["finalizers"], json!(["slowlane.dev/run"]));
    assert_eq!(built["spec"]["suspend"], true);
    assert!(built["spec"].get("image").is_none());
}
