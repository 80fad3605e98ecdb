//! Which Spark and Hadoop properties an application may carry, and where.
//!
//! Whoever writes an Operation makes the keeper create pods and the spark-operator run `spark-submit` inside its own
//! pod. So a property is refused when it would
//! - make pods larger, more numerous or unaccounted for (refused **everywhere**: what is built is what was granted),
//! - take another cluster, namespace, identity, image or pod shape than the fields say,
//! - make `spark-submit` read files, load classes or open connections as the spark-operator, or
//! - put a credential in plain text into an object that many may read.
//!
//! The last three may be an administrator's wish: a cluster's template may use them where no field exists.
//! `spark.kubernetes.*` is closed in Operations (only what is listed is open); everything else is open unless listed.
//! Keys are compared without regard to case, and must be written as Spark writes property names at all: the
//! spark-operator passes `--conf key=value`, where a `=` or a space inside a key makes another property of it.
//! Checked against Spark 4.0 and spark-operator 2.5.

use std::fmt;

/// Where a key stands, which decides how much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `application` of an Operation: written by a data team.
    Operation,
    /// `template` of a `ComputeCluster`: written by the platform team.
    Template,
}

/// Why something is refused, and what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A clause that completes "it is refused: ...".
    pub why: &'static str,
    /// What to do instead.
    pub instead: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.instead)
    }
}

/// A pattern (`*` is any run of characters) with the reason why what matches is refused.
pub(super) struct Rule {
    pattern: &'static str,
    everywhere: bool,
    refusal: Refusal,
}

impl Rule {
    /// Refused in Operations and in templates.
    pub(super) const fn everywhere(pattern: &'static str, why: &'static str, instead: &'static str) -> Self {
        Self { pattern, everywhere: true, refusal: Refusal { why, instead } }
    }

    /// Refused in Operations, allowed in templates.
    pub(super) const fn operation(pattern: &'static str, why: &'static str, instead: &'static str) -> Self {
        Self { pattern, everywhere: false, refusal: Refusal { why, instead } }
    }

    /// Whether this rule speaks of `name` in `place`; patterns are written in the case that `name` is given in.
    pub(super) fn holds(&self, name: &str, place: Place) -> bool {
        (self.everywhere || place == Place::Operation) && matches(self.pattern, name)
    }

    pub(super) const fn refusal(&self) -> Refusal {
        self.refusal
    }
}

/// Whether a Spark property is refused in `sparkConf` there.
#[must_use]
pub fn refused(key: &str, place: Place) -> Option<Refusal> {
    if !key.starts_with("spark.") || !is_property_name(key) {
        return Some(NOT_A_PROPERTY);
    }
    let lower = key.to_ascii_lowercase();
    if OPEN.contains(&lower.as_str()) {
        return None;
    }
    RULES.iter().find(|rule| rule.holds(&lower, place)).map(Rule::refusal)
}

/// Whether a Hadoop property is refused in `hadoopConf` there: what its `spark.hadoop.` form is.
#[must_use]
pub fn refused_hadoop(key: &str, place: Place) -> Option<Refusal> {
    if key.to_ascii_lowercase().starts_with("spark.") || !is_property_name(key) {
        return Some(NOT_A_HADOOP_PROPERTY);
    }
    refused(&format!("spark.hadoop.{key}"), place)
}

const NOT_A_PROPERTY: Refusal = Refusal {
    why: "it is not the name of a Spark property",
    instead: "write `spark.` and then letters, digits, dots, dashes, underscores and slashes only",
};

const NOT_A_HADOOP_PROPERTY: Refusal = Refusal {
    why: "it is not the name of a Hadoop property",
    instead: "write it without `spark.hadoop.`, in letters, digits, dots, dashes and underscores only",
};

fn is_property_name(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (2..=256).contains(&key.len()) && key.bytes().all(plain) && !key.ends_with('.')
}

/// Properties that the rules below would catch and that are harmless: they steer speed, or the footprint counts them.
const OPEN: [&str; 3] = [
    "spark.kubernetes.memoryoverheadfactor",
    "spark.kubernetes.allocation.batch.size",
    "spark.kubernetes.allocation.batch.delay",
];

const GRANTED: &str = "how many executors run is what the cluster grants";
const USE_EXECUTORS: &str = "set `executors.min` and `executors.max` of the job";
const SIZED: &str = "it would change the pods' size behind the grant";
const ACCOUNTED: &str = "it would change how the run's pods are named and accounted for";
const OPERATOR: &str = "the spark-operator sets it";
const OMIT: &str = "leave it out";
const IDENTITY: &str = "it would change who the run is to the Kubernetes API";
const USE_ACCOUNT: &str = "use `serviceAccount`";
const POD_SHAPE: &str = "it would change the shape of the pods";
const ASK_ADMIN: &str = "ask for it in the cluster's `template`";
const CODE: &str = "it would load code or options beside the application's own";
const SUBMITTER: &str = "the spark-operator would act on it with its own rights and files";
const SECRET: &str = "a credential in an Operation can be read by everyone who can read Operations";
const USE_WORKLOAD_IDENTITY: &str =
    "give the ServiceAccount access to the store, or put it into the cluster's `template`";

/// In lower case. The first that holds is told, so the narrow stand before the wide.
static RULES: &[Rule] = &[
    // Where and how it is submitted.
    Rule::everywhere("spark.master*", OPERATOR, OMIT),
    Rule::everywhere("spark.remote", "a run has a driver of its own", OMIT),
    Rule::everywhere("spark.submit.pyfiles", "there is a field for it", "use `deps.pyFiles`"),
    Rule::everywhere("spark.submit.*", OPERATOR, OMIT),
    Rule::everywhere("spark.app.id", ACCOUNTED, OMIT),
    Rule::everywhere("spark.app.attempt.id", ACCOUNTED, OMIT),
    Rule::everywhere("spark.executor.id", ACCOUNTED, OMIT),
    Rule::everywhere(
        "spark.yarn.*",
        "some are old names of properties that are refused",
        "use the property's present name",
    ),
    // How much of the cluster it takes.
    Rule::everywhere("spark.executor.instances", GRANTED, USE_EXECUTORS),
    Rule::everywhere("spark.dynamicallocation.enabled", GRANTED, USE_EXECUTORS),
    Rule::everywhere("spark.dynamicallocation.*executors", GRANTED, USE_EXECUTORS),
    Rule::everywhere("spark.dynamicallocation.shuffletracking.enabled", GRANTED, USE_EXECUTORS),
    Rule::everywhere("spark.dynamicallocation.testing*", GRANTED, USE_EXECUTORS),
    Rule::operation("spark.dynamicallocation.*", GRANTED, USE_EXECUTORS),
    Rule::everywhere("spark.cores.max", GRANTED, USE_EXECUTORS),
    Rule::everywhere("spark.driver.cores", SIZED, "use `driver.cores`"),
    Rule::everywhere("spark.executor.cores", SIZED, "use `executor.cores`"),
    Rule::everywhere("spark.driver.memory", SIZED, "use `driver.memory`"),
    Rule::everywhere("spark.executor.memory", SIZED, "use `executor.memory`"),
    Rule::everywhere("spark.driver.memoryoverhead", SIZED, "use `driver.memoryOverhead`"),
    Rule::everywhere("spark.executor.memoryoverhead", SIZED, "use `executor.memoryOverhead`"),
    Rule::everywhere("spark.unsafe.offheap", SIZED, "use `spark.memory.offHeap.enabled`"),
    Rule::operation("spark.driver.resource*", SIZED, ASK_ADMIN),
    Rule::operation("spark.executor.resource*", SIZED, ASK_ADMIN),
    Rule::operation("spark.resources.*", SIZED, ASK_ADMIN),
    Rule::operation("spark.shuffle.service.*", GRANTED, ASK_ADMIN),
    Rule::everywhere("spark.kubernetes.*.request.cores", SIZED, "use `coreRequest`"),
    Rule::everywhere("spark.kubernetes.*.limit.cores", SIZED, "use `coreLimit`"),
    Rule::everywhere("spark.kubernetes.allocation.pods.allocator", GRANTED, OMIT),
    // Whose it is.
    Rule::everywhere("spark.kubernetes.namespace", "a run belongs into its job's namespace", OMIT),
    Rule::everywhere("spark.kubernetes.context", OPERATOR, OMIT),
    Rule::everywhere("spark.kubernetes.driver.master", OPERATOR, OMIT),
    Rule::everywhere("spark.kubernetes.authenticate.*serviceaccountname", IDENTITY, USE_ACCOUNT),
    Rule::everywhere("spark.kubernetes.authenticate*", IDENTITY, USE_ACCOUNT),
    Rule::everywhere("spark.kubernetes.trust.certificates", IDENTITY, OMIT),
    Rule::everywhere("spark.kubernetes.driver.pod.name", ACCOUNTED, OMIT),
    Rule::everywhere("spark.kubernetes.*podnameprefix", ACCOUNTED, OMIT),
    Rule::everywhere("spark.kubernetes.*resourcenameprefix", ACCOUNTED, OMIT),
    Rule::everywhere("spark.kubernetes.driver.label.*", ACCOUNTED, "use `driver.labels`"),
    Rule::everywhere("spark.kubernetes.executor.label.*", ACCOUNTED, "use `executor.labels`"),
    Rule::everywhere("spark.kubernetes.driver.annotation.*", ACCOUNTED, "use `driver.annotations`"),
    Rule::everywhere("spark.kubernetes.executor.annotation.*", ACCOUNTED, "use `executor.annotations`"),
    Rule::everywhere("spark.kubernetes.executor.decommissionlabel*", ACCOUNTED, OMIT),
    // What its pods are.
    Rule::everywhere("spark.kubernetes.*podtemplate*", "the keeper writes the pod templates", OMIT),
    Rule::everywhere("spark.kubernetes.*container.image", POD_SHAPE, "use `image`"),
    Rule::everywhere("spark.kubernetes.*pod.featuresteps", SUBMITTER, OMIT),
    Rule::everywhere("spark.kubernetes.resource.type", OPERATOR, OMIT),
    Rule::everywhere("spark.kubernetes.submitindriver", OPERATOR, OMIT),
    Rule::everywhere("spark.kubernetes.submission.waitappcompletion", OPERATOR, OMIT),
    Rule::operation("spark.kubernetes.*.secretkeyref.*", POD_SHAPE, ASK_ADMIN),
    Rule::operation("spark.kubernetes.*.secrets.*", POD_SHAPE, ASK_ADMIN),
    Rule::operation("spark.kubernetes.*.volumes.*", POD_SHAPE, ASK_ADMIN),
    Rule::operation("spark.kubernetes.driverenv.*", "there is a field for it", "use `env`"),
    Rule::operation("spark.executorenv.*", "there is a field for it", "use `env`"),
    Rule::operation(
        "spark.kubernetes.file.upload.path",
        SUBMITTER,
        "put the file into the object store and name it there",
    ),
    Rule::operation("spark.kubernetes.kerberos.*", SUBMITTER, ASK_ADMIN),
    Rule::operation(
        "spark.kubernetes.*",
        "in an Operation only a few `spark.kubernetes` properties are open",
        ASK_ADMIN,
    ),
    // What runs in them.
    Rule::everywhere("spark.jars", "there is a field for it", "use `deps.jars`"),
    Rule::everywhere("spark.files", "there is a field for it", "use `deps.files`"),
    Rule::everywhere("spark.archives", "there is a field for it", "use `deps.archives`"),
    Rule::operation("spark.jars.*", SUBMITTER, "put the jars into the image or the object store and use `deps.jars`"),
    Rule::operation("spark.*javaoptions", CODE, ASK_ADMIN),
    Rule::operation("spark.*extraclasspath", CODE, "use `deps.jars`, or put the jars into the image"),
    Rule::operation("spark.*extralibrarypath", CODE, "put the libraries into the image"),
    Rule::operation("spark.kerberos.*", SUBMITTER, ASK_ADMIN),
    Rule::operation("spark.hadoop.hadoop.security.*", SUBMITTER, ASK_ADMIN),
    Rule::operation("spark.hadoop.hadoop.proxyuser.*", SUBMITTER, ASK_ADMIN),
    // Where it listens: the network policies name these ports, and a bad UI port keeps the operator busy for ever.
    Rule::operation("spark.driver.host", "Spark sets it on Kubernetes", OMIT),
    Rule::operation("spark.driver.bindaddress", "Spark sets it on Kubernetes", OMIT),
    Rule::operation("spark.*.port", "every pod has an address of its own and its ports are known", OMIT),
    // Credentials.
    Rule::operation("spark.authenticate*", SECRET, ASK_ADMIN),
    Rule::operation("spark.ssl.*", SECRET, ASK_ADMIN),
    Rule::operation("spark.hadoop.*credential.provider.path", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.*.access.key", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.*.secret.key", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.*encryption.key", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.*.session.token", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.fs.azure.account.key*", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.fs.azure.sas.*", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.fs.gs.auth.*", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.hadoop.google.cloud.auth.*", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.*secret*", SECRET, USE_WORKLOAD_IDENTITY),
    Rule::operation("spark.*password*", SECRET, USE_WORKLOAD_IDENTITY),
];

/// Whether `name` matches a pattern in which `*` stands for any run of characters, an empty one too.
///
/// Greedy with one step back to the last star: linear in the product of the lengths at worst, both of which are bounded.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && pattern[p] == name[n] {
            p += 1;
            n += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
