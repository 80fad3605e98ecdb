use super::Place::{Operation, Template};
use super::*;
use proptest::prelude::*;

/// Refused in Operations and in templates.
const NOWHERE: &[&str] = &[
    "spark.master",
    "spark.master.rest.enabled",
    "spark.remote",
    "spark.submit.deployMode",
    "spark.submit.pyFiles",
    "spark.app.id",
    "spark.app.attempt.id",
    "spark.executor.id",
    "spark.yarn.keytab",
    "spark.yarn.executor.memoryOverhead",
    "spark.executor.instances",
    "spark.dynamicAllocation.enabled",
    "spark.dynamicAllocation.minExecutors",
    "spark.dynamicAllocation.maxExecutors",
    "spark.dynamicAllocation.initialExecutors",
    "spark.dynamicAllocation.shuffleTracking.enabled",
    "spark.dynamicAllocation.testing",
    "spark.cores.max",
    "spark.driver.cores",
    "spark.executor.cores",
    "spark.driver.memory",
    "spark.executor.memory",
    "spark.driver.memoryOverhead",
    "spark.executor.memoryOverhead",
    "spark.unsafe.offHeap",
    "spark.kubernetes.driver.request.cores",
    "spark.kubernetes.executor.request.cores",
    "spark.kubernetes.driver.limit.cores",
    "spark.kubernetes.executor.limit.cores",
    "spark.kubernetes.allocation.pods.allocator",
    "spark.kubernetes.namespace",
    "spark.kubernetes.context",
    "spark.kubernetes.driver.master",
    "spark.kubernetes.authenticate.driver.serviceAccountName",
    "spark.kubernetes.authenticate.executor.serviceAccountName",
    "spark.kubernetes.authenticate.submission.oauthTokenFile",
    "spark.kubernetes.authenticate.driver.oauthToken",
    "spark.kubernetes.authenticate.driver.mounted.clientKeyFile",
    "spark.kubernetes.authenticate.caCertFile",
    "spark.kubernetes.trust.certificates",
    "spark.kubernetes.driver.pod.name",
    "spark.kubernetes.executor.podNamePrefix",
    "spark.kubernetes.driver.resourceNamePrefix",
    "spark.kubernetes.driver.label.slowlane.dev/job-uid",
    "spark.kubernetes.executor.label.team",
    "spark.kubernetes.driver.annotation.slowlane.dev/result-uri",
    "spark.kubernetes.executor.annotation.team",
    "spark.kubernetes.executor.decommissionLabel",
    "spark.kubernetes.executor.decommissionLabelValue",
    "spark.kubernetes.driver.podTemplateFile",
    "spark.kubernetes.executor.podTemplateFile",
    "spark.kubernetes.driver.podTemplateContainerName",
    "spark.kubernetes.container.image",
    "spark.kubernetes.driver.container.image",
    "spark.kubernetes.executor.container.image",
    "spark.kubernetes.driver.pod.featureSteps",
    "spark.kubernetes.executor.pod.featureSteps",
    "spark.kubernetes.resource.type",
    "spark.kubernetes.submitInDriver",
    "spark.kubernetes.submission.waitAppCompletion",
    "spark.jars",
    "spark.files",
    "spark.archives",
    // Tricks: not what Spark calls a property.
    "",
    "master",
    "Spark.master",
    "SPARK.MASTER",
    "spark.",
    " spark.master",
    "spark.master ",
    "spark.mast\ter",
    "spark.master\n",
    "spark.master\0",
    "spark.master=k8s://elsewhere,x",
    "spark.sql.x --conf",
    "spark.\u{a0}master",
    "spark.mаster", // a Cyrillic letter
    "spark.sql.*",
    "java.home",
    // Another case is the same key: the operator's webhook reads one of these so.
    "spark.MASTER",
    "spark.dynamicallocation.enabled",
    "spark.Kubernetes.NameSpace",
    "spark.executor.INSTANCES",
];

/// Refused in Operations, an administrator's right in templates.
const TEMPLATE_ONLY: &[&str] = &[
    "spark.dynamicAllocation.executorIdleTimeout",
    "spark.dynamicAllocation.shuffleTracking.timeout",
    "spark.shuffle.service.enabled",
    "spark.driver.resource.gpu.amount",
    "spark.driver.resourcesFile",
    "spark.executor.resource.gpu.vendor",
    "spark.resources.discoveryPlugin",
    "spark.kubernetes.driver.secretKeyRef.PASSWORD",
    "spark.kubernetes.executor.secretKeyRef.PASSWORD",
    "spark.kubernetes.driver.secrets.lake",
    "spark.kubernetes.executor.secrets.lake",
    "spark.kubernetes.driver.volumes.hostPath.root.mount.path",
    "spark.kubernetes.executor.volumes.persistentVolumeClaim.data.options.claimName",
    "spark.kubernetes.driverEnv.LD_PRELOAD",
    "spark.executorEnv.LD_PRELOAD",
    "spark.kubernetes.file.upload.path",
    "spark.kubernetes.kerberos.krb5.path",
    "spark.kubernetes.hadoop.configMapName",
    "spark.kubernetes.container.image.pullPolicy",
    "spark.kubernetes.container.image.pullSecrets",
    "spark.kubernetes.node.selector.zone",
    "spark.kubernetes.driver.node.selector.zone",
    "spark.kubernetes.scheduler.name",
    "spark.kubernetes.executor.scheduler.name",
    "spark.kubernetes.allocation.maxPendingPods",
    "spark.kubernetes.executor.deleteOnTermination",
    "spark.kubernetes.local.dirs.tmpfs",
    "spark.kubernetes.jars.avoidDownloadSchemes",
    "spark.kubernetes.decommission.script",
    "spark.kubernetes.of.a.later.version",
    "spark.jars.packages",
    "spark.jars.repositories",
    "spark.jars.excludes",
    "spark.jars.ivy",
    "spark.jars.ivySettings",
    "spark.driver.extraJavaOptions",
    "spark.executor.extraJavaOptions",
    "spark.driver.defaultJavaOptions",
    "spark.executor.defaultJavaOptions",
    "spark.driver.extraClassPath",
    "spark.executor.extraClassPath",
    "spark.driver.extraLibraryPath",
    "spark.kerberos.keytab",
    "spark.kerberos.principal",
    "spark.driver.host",
    "spark.driver.bindAddress",
    "spark.driver.port",
    "spark.blockManager.port",
    "spark.ui.port",
    "spark.authenticate",
    "spark.authenticate.secret",
    "spark.authenticate.secret.file",
    "spark.ssl.keyStorePassword",
    "spark.hadoop.fs.s3a.access.key",
    "spark.hadoop.fs.s3a.secret.key",
    "spark.hadoop.fs.s3a.session.token",
    "spark.hadoop.fs.s3a.bucket.lake.secret.key",
    "spark.hadoop.fs.s3a.encryption.key",
    "spark.hadoop.fs.s3a.server-side-encryption.key",
    "spark.hadoop.fs.s3a.security.credential.provider.path",
    "spark.hadoop.hadoop.security.credential.provider.path",
    "spark.hadoop.hadoop.security.group.mapping",
    "spark.hadoop.hadoop.security.authentication",
    "spark.hadoop.hadoop.proxyuser.spark.hosts",
    "spark.hadoop.fs.azure.account.key.lake.dfs.core.windows.net",
    "spark.hadoop.fs.azure.sas.box.lake.blob.core.windows.net",
    "spark.hadoop.fs.azure.account.oauth2.client.secret",
    "spark.hadoop.fs.gs.auth.service.account.private.key",
    "spark.hadoop.google.cloud.auth.service.account.json.keyfile",
    "spark.hadoop.javax.jdo.option.ConnectionPassword",
    "spark.sql.catalog.shop.password",
    "spark.some.client_secret",
];

/// What data teams rightly set.
const OPEN_TO_ALL: &[&str] = &[
    "spark.sql.shuffle.partitions",
    "spark.sql.adaptive.enabled",
    "spark.sql.catalog.lake.warehouse",
    "spark.sql.extensions",
    "spark.serializer",
    "spark.task.cpus",
    "spark.default.parallelism",
    "spark.driver.maxResultSize",
    "spark.memory.offHeap.enabled",
    "spark.memory.offHeap.size",
    "spark.memory.fraction",
    "spark.executor.pyspark.memory",
    "spark.driver.memoryOverheadFactor",
    "spark.executor.memoryOverheadFactor",
    "spark.driver.minMemoryOverhead",
    "spark.kubernetes.memoryOverheadFactor",
    "spark.kubernetes.allocation.batch.size",
    "spark.executor.heartbeatInterval",
    "spark.network.timeout",
    "spark.eventLog.enabled",
    "spark.log.level",
    "spark.ui.enabled",
    "spark.pyspark.python",
    "spark.speculation",
    "spark.decommission.enabled",
    "spark.hadoop.fs.s3a.endpoint",
    "spark.hadoop.fs.s3a.path.style.access",
    "spark.hadoop.fs.s3a.aws.credentials.provider",
    "spark.hadoop.fs.s3a.connection.maximum",
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version",
];

#[test]
fn the_table_is_as_large_as_promised() {
    assert!(NOWHERE.len() + TEMPLATE_ONLY.len() >= 60);
}

#[test]
fn what_goes_against_the_grant_is_refused_everywhere() {
    for key in NOWHERE {
        assert!(refused(key, Operation).is_some(), "{key:?} in an Operation");
        assert!(refused(key, Template).is_some(), "{key:?} in a template");
    }
}

#[test]
fn what_an_administrator_may_wish_is_refused_in_operations_only() {
    for key in TEMPLATE_ONLY {
        assert!(refused(key, Operation).is_some(), "{key} in an Operation");
        assert!(refused(&key.to_uppercase().replacen("SPARK.", "spark.", 1), Operation).is_some(), "{key} in capitals");
        assert_eq!(refused(key, Template), None, "{key} in a template");
    }
}

#[test]
fn what_data_teams_need_is_open() {
    for key in OPEN_TO_ALL {
        assert_eq!(refused(key, Operation), None, "{key}");
        assert_eq!(refused(key, Template), None, "{key}");
    }
}

#[test]
fn hadoop_properties_follow_the_same_rules() {
    for key in ["fs.s3a.secret.key", "hadoop.security.group.mapping", "fs.azure.account.key.a", "a=b", "fs s3a", ""] {
        assert!(refused_hadoop(key, Operation).is_some(), "{key}");
    }
    assert_eq!(refused_hadoop("fs.s3a.secret.key", Template), None);
    assert_eq!(refused_hadoop("fs.s3a.endpoint", Operation), None);
    assert!(refused_hadoop("spark.hadoop.fs.s3a.endpoint", Template).is_some());
    assert!(refused_hadoop("fs.s3a.endpoint=x", Template).is_some());
}

#[test]
fn a_refusal_says_why_and_what_to_do_instead() {
    let said = refused("spark.executor.instances", Operation).unwrap().to_string();
    assert_eq!(
        said,
        "how many executors run is what the cluster grants; set `executors.min` and `executors.max` of the job"
    );
}

#[test]
fn every_rule_is_in_lower_case_and_reached_by_a_row_of_the_table() {
    let rows: Vec<String> = NOWHERE.iter().chain(TEMPLATE_ONLY).map(|key| key.to_ascii_lowercase()).collect();
    for rule in RULES {
        assert_eq!(rule.pattern, rule.pattern.to_ascii_lowercase());
    }
    let unreached: Vec<_> = RULES
        .iter()
        .enumerate()
        .filter(|(at, _)| !rows.iter().any(|row| RULES.iter().position(|rule| matches(rule.pattern, row)) == Some(*at)))
        .map(|(_, rule)| rule.pattern)
        .collect();
    assert!(unreached.is_empty(), "{unreached:?}");
}

#[test]
fn stars_match_any_run_of_characters() {
    for (pattern, name, expected) in [
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "acb", false),
        ("*.port", "spark.ui.port", true),
        ("*.port", "spark.ui.ports", false),
        ("a*b*c", "a.b.b.c", true),
        ("a*", "a", true),
        ("a", "", false),
        ("*", "", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

proptest! {
    #[test]
    fn any_key_gets_an_answer(key in "\\PC{0,300}") {
        let _ = (refused(&key, Operation), refused_hadoop(&key, Template));
    }

    #[test]
    fn a_template_never_allows_less_than_an_operation(key in "spark\\.[a-zA-Z.]{1,40}") {
        prop_assert!(refused(&key, Operation).is_some() || refused(&key, Template).is_none());
    }
}
