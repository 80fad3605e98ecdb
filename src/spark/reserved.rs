//! Which environment variables, labels and annotations an application may set on its pods.
//!
//! Accounting goes by labels, results by an annotation: a run that could write them could hide its pods or publish a
//! result for another. Environment variables reach the shell and the JVM before the application does.

use super::keys::{Place, Refusal, Rule};

const KEEPER: &str = "the keeper sets it";
const SPARK: &str = "Spark and its operator set it";
const LOADER: &str = "it would load code or options before the application starts";
const PLAIN_TEXT: &str = "a credential in an Operation can be read by everyone who can read Operations";
const OMIT: &str = "leave it out";
const OTHER_KEY: &str = "use a key of your own";
const ASK_ADMIN: &str = "ask for it in the cluster's `template`";
const USE_WORKLOAD_IDENTITY: &str =
    "give the ServiceAccount access to the store, or put it into the cluster's `template`";

static ENV: &[Rule] = &[
    Rule::everywhere("SLOWLANE_*", KEEPER, OMIT),
    Rule::everywhere("SPARK_APPLICATION_ID", SPARK, OMIT),
    Rule::everywhere("SPARK_DRIVER_*", SPARK, OMIT),
    Rule::everywhere("SPARK_EXECUTOR_*", SPARK, OMIT),
    Rule::everywhere("SPARK_RESOURCE_PROFILE_ID", SPARK, OMIT),
    Rule::everywhere("SPARK_JAVA_OPT_*", SPARK, OMIT),
    Rule::everywhere("SPARK_CONF_DIR", SPARK, OMIT),
    Rule::everywhere("SPARK_LOCAL_DIRS", SPARK, OMIT),
    Rule::everywhere("SPARK_USER", SPARK, OMIT),
    Rule::everywhere("KUBERNETES_*", "Kubernetes sets it", OMIT),
    Rule::operation("SPARK_*", SPARK, ASK_ADMIN),
    Rule::operation("PYSPARK_SUBMIT_ARGS", LOADER, OMIT),
    Rule::operation("LD_*", LOADER, "put the libraries into the image"),
    Rule::operation("JAVA_TOOL_OPTIONS", LOADER, ASK_ADMIN),
    Rule::operation("_JAVA_OPTIONS", LOADER, ASK_ADMIN),
    Rule::operation("JDK_*_OPTIONS", LOADER, ASK_ADMIN),
    Rule::operation("JAVA_HOME", LOADER, "put it into the image"),
    Rule::operation("PATH", LOADER, "put it into the image"),
    Rule::operation("BASH_ENV", LOADER, OMIT),
    Rule::operation("ENV", LOADER, OMIT),
    Rule::operation("SHELLOPTS", LOADER, OMIT),
    Rule::operation("KUBECONFIG", "it would change who the run is to the Kubernetes API", "use `serviceAccount`"),
    Rule::operation(
        "HADOOP_*",
        "it would change the configuration or the user that the stores see",
        "use `hadoopConf`",
    ),
    Rule::operation("AWS_ACCESS_KEY_ID", PLAIN_TEXT, USE_WORKLOAD_IDENTITY),
    Rule::operation("AWS_SECRET_ACCESS_KEY", PLAIN_TEXT, USE_WORKLOAD_IDENTITY),
    Rule::operation("AWS_SESSION_TOKEN", PLAIN_TEXT, USE_WORKLOAD_IDENTITY),
    Rule::operation("AZURE_CLIENT_SECRET", PLAIN_TEXT, USE_WORKLOAD_IDENTITY),
    Rule::operation("*_PASSWORD", PLAIN_TEXT, USE_WORKLOAD_IDENTITY),
];

static KEYS: &[Rule] = &[
    Rule::everywhere("slowlane.dev/*", KEEPER, OTHER_KEY),
    Rule::everywhere("*.slowlane.dev/*", KEEPER, OTHER_KEY),
    Rule::everywhere("app.kubernetes.io/managed-by", KEEPER, OTHER_KEY),
    Rule::everywhere("sparkoperator.k8s.io/*", SPARK, OTHER_KEY),
    Rule::everywhere("spark-role", SPARK, OTHER_KEY),
    Rule::everywhere("spark-version", SPARK, OTHER_KEY),
    Rule::everywhere("spark-app-*", SPARK, OTHER_KEY),
    Rule::everywhere("spark-exec-*", SPARK, OTHER_KEY),
    Rule::operation("*kueue.x-k8s.io/*", "it would hand the pods to another scheduler's quota", OMIT),
    Rule::operation("scheduling.k8s.io/*", "it would change how the pods are scheduled", ASK_ADMIN),
    Rule::operation("*.security.beta.kubernetes.io/*", "it would change the pods' confinement", ASK_ADMIN),
    Rule::operation("*.security.alpha.kubernetes.io/*", "it would change the pods' confinement", ASK_ADMIN),
];

/// Whether an environment variable is refused there.
#[must_use]
pub fn refused_env(name: &str, place: Place) -> Option<Refusal> {
    if !is_env_name(name) {
        return Some(NOT_AN_ENV_NAME);
    }
    ENV.iter().find(|rule| rule.holds(name, place)).map(Rule::refusal)
}

/// Whether the key of a pod's label or annotation is refused there.
#[must_use]
pub fn refused_key(key: &str, place: Place) -> Option<Refusal> {
    if !is_qualified_name(key) {
        return Some(NOT_A_KEY);
    }
    let lower = key.to_ascii_lowercase();
    KEYS.iter().find(|rule| rule.holds(&lower, place)).map(Rule::refusal)
}

/// Whether a text may be the value of a label: at most 63 of `[A-Za-z0-9._-]`, with a letter or digit at both ends.
#[must_use]
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

const NOT_AN_ENV_NAME: Refusal = Refusal {
    why: "it is not the name of an environment variable",
    instead: "use letters, digits and underscores, and no digit in front",
};

const NOT_A_KEY: Refusal = Refusal {
    why: "it is not a key that Kubernetes accepts",
    instead: "use at most 63 letters, digits, dots, dashes and underscores, after a DNS name and a slash where wanted",
};

fn is_env_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}

fn is_name(name: &str) -> bool {
    let bounds = |c: char| c.is_ascii_alphanumeric();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=63).contains(&name.len()) && name.bytes().all(plain) && name.starts_with(bounds) && name.ends_with(bounds)
}

fn is_dns_subdomain(name: &str) -> bool {
    let bounds = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label =
        |part: &str| part.starts_with(bounds) && part.ends_with(bounds) && part.chars().all(|c| bounds(c) || c == '-');
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::Place::{Operation, Template};
    use super::*;

    #[test]
    fn the_keepers_and_sparks_variables_are_refused_everywhere() {
        for name in [
            "SLOWLANE_JOB_UID",
            "SLOWLANE_X",
            "SPARK_APPLICATION_ID",
            "SPARK_DRIVER_BIND_ADDRESS",
            "SPARK_EXECUTOR_MEMORY",
            "SPARK_CONF_DIR",
            "SPARK_USER",
            "SPARK_LOCAL_DIRS",
            "SPARK_JAVA_OPT_0",
            "KUBERNETES_SERVICE_HOST",
            "",
            "1A",
            "A-B",
            "A B",
            "A=B",
            "Ä",
            "A\0",
            "$(X)",
        ] {
            assert!(refused_env(name, Operation).is_some(), "{name:?}");
            assert!(refused_env(name, Template).is_some(), "{name:?}");
        }
    }

    #[test]
    fn variables_that_load_code_or_carry_credentials_are_an_administrators() {
        for name in [
            "SPARK_HOME",
            "SPARK_CLASSPATH",
            "SPARK_SUBMIT_OPTS",
            "PYSPARK_SUBMIT_ARGS",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "JAVA_HOME",
            "PATH",
            "BASH_ENV",
            "KUBECONFIG",
            "HADOOP_CONF_DIR",
            "HADOOP_USER_NAME",
            "AWS_SECRET_ACCESS_KEY",
            "AZURE_CLIENT_SECRET",
            "DB_PASSWORD",
        ] {
            assert!(refused_env(name, Operation).is_some(), "{name}");
            assert_eq!(refused_env(name, Template), None, "{name}");
        }
    }

    #[test]
    fn ordinary_variables_are_open() {
        for name in
            ["TENANT", "http_proxy", "PYTHONPATH", "PYSPARK_PYTHON", "AWS_REGION", "_X1", "TZ", "JAVA_X", "PATHS"]
        {
            assert_eq!(refused_env(name, Operation), None, "{name}");
        }
    }

    #[test]
    fn keys_of_the_keeper_and_of_spark_are_refused_everywhere() {
        for key in [
            "slowlane.dev/job-uid",
            "slowlane.dev/result-uri",
            "x.slowlane.dev/y",
            "app.kubernetes.io/managed-by",
            "sparkoperator.k8s.io/app-name",
            "spark-role",
            "Spark-Role",
            "spark-version",
            "spark-app-selector",
            "spark-app-name",
            "spark-exec-id",
            "spark-exec-resourceprofile-id",
            "",
            "/x",
            "x/",
            "a/b/c",
            "a b",
            "-a",
            "a=b",
            "Upper.case/x",
            "SLOWLANE.DEV/job-uid",
        ] {
            assert!(refused_key(key, Operation).is_some(), "{key:?}");
            assert!(refused_key(key, Template).is_some(), "{key:?}");
        }
        assert!(refused_key(&"x".repeat(64), Template).is_some());
    }

    #[test]
    fn keys_of_other_schedulers_are_an_administrators() {
        for key in ["kueue.x-k8s.io/queue-name", "container.apparmor.security.beta.kubernetes.io/spark"] {
            assert!(refused_key(key, Operation).is_some(), "{key}");
            assert_eq!(refused_key(key, Template), None, "{key}");
        }
    }

    #[test]
    fn ordinary_keys_are_open() {
        for key in [
            "team",
            "example.com/team",
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "prometheus.io/scrape",
            "A_b.c",
        ] {
            assert_eq!(refused_key(key, Operation), None, "{key}");
        }
    }

    #[test]
    fn label_values_are_short_and_plain() {
        assert!(is_label_value("") && is_label_value("a.b_c-1") && is_label_value(&"x".repeat(63)));
        for value in ["-a", "a-", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert!(!is_label_value(value), "{value}");
        }
    }
}
