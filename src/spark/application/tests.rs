use super::*;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

fn app(fields: Value) -> ApplicationSpec {
    serde_json::from_value(fields).unwrap()
}

fn python() -> ApplicationSpec {
    app(json!({
        "type": "Python", "mainApplicationFile": "local:///app/report.py", "sparkVersion": "4.0.5", "image": "spark:4.0.5",
    }))
}

fn with(mut fields: Value) -> ApplicationSpec {
    let mut all = serde_json::to_value(python()).unwrap();
    all.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
    app(all)
}

fn merge(operation: Value, template: Value) -> ApplicationSpec {
    Application::merge(&with(operation), Some(&app(template)), None).unwrap().spec().clone()
}

fn error(operation: &ApplicationSpec, template: Value) -> String {
    Application::merge(operation, Some(&app(template)), None).unwrap_err().to_string()
}

#[test]
fn an_operation_may_stand_alone() {
    let merged = Application::merge(&python(), None, None).unwrap();
    assert_eq!(merged.spec(), &python());
    assert!(merged.is_python());
    assert_eq!(merged.outline().footprint().driver.memory_mib, 1024 + 409);
}

#[test]
fn the_template_fills_what_the_operation_leaves_out() {
    let operation = app(json!({"type": "Python", "mainApplicationFile": "s3a://lake/a.py"}));
    let template = app(json!({"image": "spark:4", "sparkVersion": "4.0.5", "serviceAccount": "spark"}));
    let merged = Application::merge(&operation, Some(&template), None).unwrap();
    assert_eq!(merged.spec().image.as_deref(), Some("spark:4"));
    assert_eq!(merged.spec().service_account.as_deref(), Some("spark"));
}

#[test]
fn the_template_beats_the_operation_field_by_field() {
    let merged = merge(
        json!({"image": "mine:1", "driver": {"cores": 4, "memory": "8g", "labels": {"team": "a", "x": "1"}}, "env": {"A": "1", "B": "1"}}),
        json!({"image": "ours:2", "driver": {"memory": "2g", "labels": {"team": "b"}}, "env": {"B": "2"}, "executor": {"cores": 2}}),
    );
    assert_eq!(merged.image.as_deref(), Some("ours:2"));
    let driver = merged.driver.unwrap();
    assert_eq!((driver.cores, driver.memory.as_deref()), (Some(4), Some("2g")));
    assert_eq!(driver.labels.into_iter().collect::<Vec<_>>(), [("team".into(), "b".into()), ("x".into(), "1".into())]);
    assert_eq!(merged.env.into_iter().collect::<Vec<_>>(), [("A".into(), "1".into()), ("B".into(), "2".into())]);
    assert_eq!(merged.executor.unwrap().cores, Some(2));
}

#[test]
fn a_user_cannot_evade_the_template_by_another_spelling() {
    let merged = merge(
        json!({
            "sparkConf": {"spark.eventlog.DIR": "s3a://mine", "spark.hadoop.fs.s3a.endpoint": "http://mine"},
            "hadoopConf": {"fs.s3a.region": "mine"},
        }),
        json!({
            "sparkConf": {"spark.eventLog.dir": "s3a://ours", "spark.hadoop.fs.s3a.region": "ours"},
            "hadoopConf": {"fs.s3a.endpoint": "http://ours"},
        }),
    );
    assert_eq!(merged.spark_conf.into_iter().collect::<Vec<_>>(), [("spark.eventLog.dir".into(), "s3a://ours".into())]);
    let hadoop: Vec<_> = merged.hadoop_conf.into_iter().collect();
    assert_eq!(hadoop, [("fs.s3a.endpoint".into(), "http://ours".into()), ("fs.s3a.region".into(), "ours".into())]);
}

#[test]
fn dependencies_are_joined_and_arguments_replaced() {
    let merged = merge(
        json!({"arguments": ["a"], "deps": {"jars": ["local:///a.jar", "local:///b.jar"], "files": ["s3a://l/x"]}}),
        json!({"deps": {"jars": ["local:///b.jar", "local:///c.jar"]}}),
    );
    let deps = merged.deps.unwrap();
    assert_eq!(deps.jars, ["local:///b.jar", "local:///c.jar", "local:///a.jar"]);
    assert_eq!(deps.files, ["s3a://l/x"]);
    assert_eq!(merged.arguments, ["a"]);
    assert_eq!(merge(json!({"arguments": ["a"]}), json!({"arguments": ["b"]})).arguments, ["b"]);
}

#[test]
fn what_is_missing_in_both_is_named() {
    for (field, said) in [
        ("type", "application.type is missing: say Python, Scala or Java"),
        ("mainApplicationFile", "application.mainApplicationFile is missing: name the script or jar that Spark runs"),
        ("image", "application.image is missing: name it here or in the cluster's template"),
        ("sparkVersion", "application.sparkVersion is missing: name it here or in the cluster's template"),
    ] {
        let mut fields = serde_json::to_value(python()).unwrap();
        fields.as_object_mut().unwrap().remove(field);
        assert_eq!(error(&app(fields), json!({})), said);
    }
}

#[test]
fn a_jar_needs_a_class_and_a_script_has_none() {
    let jar = json!({"type": "Java", "mainApplicationFile": "local:///a.jar"});
    assert_eq!(error(&with(jar), json!({})), "application.mainClass is missing: a jar needs the class that is run");
    let script = json!({"mainClass": "com.example.A"});
    assert_eq!(error(&with(script), json!({})), "application.mainClass is for Scala and Java, but type is Python");
}

#[test]
fn type_and_file_must_agree() {
    for (language, file) in
        [("Python", "local:///app/report"), ("Scala", "local:///app/report.py"), ("Java", "local:///a.R")]
    {
        let fields = json!({"type": language, "mainApplicationFile": file, "mainClass": if language == "Python" { json!(null) } else { json!("A") }});
        assert!(error(&with(fields), json!({})).starts_with("application.mainApplicationFile "), "{language} {file}");
    }
}

#[test]
fn every_fault_is_told_with_its_place_and_path() {
    for (fields, path) in [
        (json!({"sparkConf": {"spark.master": "local"}}), "sparkConf[spark.master] is refused"),
        (json!({"sparkConf": {"spark.a\nb": "x"}}), "sparkConf[spark.a b] is refused"),
        (json!({"sparkConf": {"spark.sql.x": "a\u{0}"}}), "sparkConf[spark.sql.x] is \"a \""),
        (json!({"hadoopConf": {"a=b": "x"}}), "hadoopConf[a=b] is refused"),
        (json!({"env": {"SLOWLANE_RUN": "9"}}), "env[SLOWLANE_RUN] is refused"),
        (json!({"env": {"DAY": "$(day)"}}), "env[DAY] refers to $(day)"),
        (json!({"arguments": ["a\u{0}"]}), "arguments[0] is \"a \""),
        (json!({"arguments": ["x", "$(params.)"]}), "arguments[1] refers to $(params.)"),
        (json!({"mainApplicationFile": "--conf"}), "mainApplicationFile is \"--conf\""),
        (json!({"deps": {"files": ["/etc/passwd"]}}), "deps.files[0] is \"/etc/passwd\""),
        (json!({"deps": {"pyFiles": ["local:///a.py,file:///b"]}}), "deps.pyFiles[0] is "),
        (json!({"mainClass": "--verbose"}), "mainClass is \"--verbose\""),
        (json!({"image": "a b"}), "image is \"a b\""),
        (json!({"image": "${env:HOME}"}), "image is \"${env:HOME}\""),
        (json!({"serviceAccount": "a=b"}), "serviceAccount is \"a=b\""),
        (json!({"sparkVersion": "4 "}), "sparkVersion is \"4 \""),
        (json!({"driver": {"labels": {"spark-role": "executor"}}}), "driver.labels[spark-role] is refused"),
        (json!({"executor": {"labels": {"team": "a b"}}}), "executor.labels[team] is \"a b\""),
        (
            json!({"driver": {"annotations": {"slowlane.dev/result-uri": "s3a://x"}}}),
            "driver.annotations[slowlane.dev/result-uri] is refused",
        ),
        (json!({"driver": {"memory": "1.5g"}}), "driver.memory is \"1.5g\""),
        (json!({"executor": {"coreRequest": "1e3"}}), "executor.coreRequest is \"1e3\""),
        (
            json!({"sparkConf": {"spark.memory.offHeap.size": "much"}}),
            "sparkConf[spark.memory.offHeap.size] is \"much\"",
        ),
    ] {
        let said = check(&app(fields.clone()), Place::Operation).unwrap_err().to_string();
        assert!(said.starts_with(&format!("application.{path}")), "{said}");
        let said = error(&python(), fields);
        assert!(said.starts_with(&format!("template.{path}")), "{said}");
    }
}

#[test]
fn an_administrators_keys_are_taken_from_the_template_only() {
    let fields = json!({"hadoopConf": {"fs.s3a.secret.key": "x"}, "env": {"JAVA_TOOL_OPTIONS": "-Dx"}});
    assert!(check(&app(fields.clone()), Place::Operation).is_err());
    let merged = merge(json!({}), fields);
    assert_eq!(merged.hadoop_conf["fs.s3a.secret.key"], "x");
}

#[test]
fn contradictions_are_looked_for_in_the_whole_only() {
    let limit = json!({"executor": {"coreLimit": "500m"}, "sparkConf": {"spark.memory.offHeap.enabled": "true"}});
    assert_eq!(check(&app(limit.clone()), Place::Template), Ok(()));
    let fitting = json!({"executor": {"coreRequest": "100m"}, "sparkConf": {"spark.memory.offHeap.size": "1g"}});
    assert!(Application::merge(&with(fitting), Some(&app(limit.clone())), None).is_ok());
    assert!(error(&python(), limit).starts_with("application."));
}

#[test]
fn the_footprint_is_that_of_the_merged_application() {
    let operation = with(json!({"executor": {"memory": "1g"}}));
    let template = ApplicationSpec {
        executor: Some(SparkPod {
            memory: Some("4g".into()),
            core_request: Some(Quantity("250m".into())),
            ..SparkPod::default()
        }),
        ..ApplicationSpec::default()
    };
    let executor = Application::merge(&operation, Some(&template), None).unwrap().outline().executor_pod();
    assert_eq!((executor.heap_mib, executor.request.milli_cores), (4096, 250));
}

#[test]
fn parameters_are_found_in_arguments_environment_and_result() {
    let application =
        with(json!({"arguments": ["--day=$(params.day)", "$$(params.no)"], "env": {"T": "$(params.tenant)"}}));
    let found: Vec<_> =
        referenced_parameters(&application, Some("s3a://lake/$(params.day)/$(params.part)")).into_iter().collect();
    assert_eq!(found, ["day", "part", "tenant"]);
}

#[test]
fn a_size_beats_template_and_operation_value_by_value() {
    let operation =
        with(json!({"executor": {"cores": 1, "memory": "1g", "memoryOverhead": "500m", "labels": {"team": "a"}}}));
    let template = app(json!({"driver": {"memory": "2g"}, "executor": {"cores": 2, "coreRequest": "250m"}}));
    let size: SizeSpec = serde_json::from_value(json!({
        "executors": {"max": 4}, "driver": {"memory": "3g"}, "executor": {"cores": 4, "memory": "8g", "coreRequest": 3},
    }))
    .unwrap();
    let merged = Application::merge(&operation, Some(&template), Some(("M", &size))).unwrap();
    let (driver, executor) = (merged.outline().driver_pod(), merged.outline().executor_pod());
    assert_eq!(driver.heap_mib, 3072);
    assert_eq!((executor.cores, executor.request.milli_cores), (4, 3000));
    assert_eq!((executor.heap_mib, executor.overhead_mib), (8192, 500), "what it leaves out is what the others say");
    assert_eq!(merged.spec().executor.as_ref().unwrap().labels["team"], "a");
}

#[test]
fn a_size_that_cannot_be_read_is_named_with_its_path() {
    for (pods, path) in [
        (json!({"executor": {"memory": "lots"}}), "sizes.M.executor.memory is \"lots\""),
        (json!({"driver": {"memoryOverhead": "1Gi"}}), "sizes.M.driver.memoryOverhead is \"1Gi\""),
        (json!({"driver": {"cores": 0}}), "sizes.M.driver.cores is \"0\""),
        (json!({"driver": {"coreRequest": "two"}}), "sizes.M.driver.coreRequest is \"two\""),
        (json!({"executor": {"coreLimit": "0"}}), "sizes.M.executor.coreLimit is \"0\""),
    ] {
        let mut spec = json!({"executors": {"max": 1}});
        spec.as_object_mut().unwrap().append(pods.clone().as_object_mut().unwrap());
        let size = serde_json::from_value(spec).unwrap();
        let said = Application::merge(&python(), None, Some(("M", &size))).unwrap_err().to_string();
        assert!(said.starts_with(path), "{said}");
    }
}
