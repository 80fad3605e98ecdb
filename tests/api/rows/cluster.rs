//! A cluster: who may use it, how much it holds.

use serde_json::{Value, json};

use crate::table::{Kind::Cluster, Row, ask};

#[tokio::test]
async fn a_cluster_says_who_may_use_it_and_how_much_it_holds() {
    ask(&rows()).await;
}

pub(super) fn rows() -> Vec<Row> {
    [selectors(), capacity(), limits(), order(), windows(), accepts(), sizes()].concat()
}

fn expression(key: &str, operator: &str, values: Value) -> Value {
    let mut requirement = json!({"key": key, "operator": operator});
    if !values.is_null() {
        requirement["values"] = values;
    }
    json!({"namespaceSelector": {"matchExpressions": [requirement]}})
}

fn selectors() -> Vec<Row> {
    let created = |title, spec| Row::created(Cluster, title, spec);
    let path = "spec.namespaceSelector.matchExpressions[0].values";
    vec![
        created("nobody may use it", json!({})),
        created("all may use it", json!({"namespaceSelector": {}})),
        created("one team may use it", json!({"namespaceSelector": {"matchLabels": {"team": "data"}}})),
        created("some teams may use it", expression("team", "In", json!(["a", "b"]))),
        created("whoever has a team may use it", expression("team", "Exists", Value::Null)),
        created("empty values where none are wanted", expression("team", "DoesNotExist", json!([]))),
        created("In without values", expression("team", "In", Value::Null))
            .refused(&[path, "values are for In and NotIn, which need some; the operator is In"]),
        created("NotIn with empty values", expression("team", "NotIn", json!([]))).refused(&["the operator is NotIn"]),
        created("Exists with values", expression("team", "Exists", json!(["a"]))).refused(&["the operator is Exists"]),
        created("an unknown operator", expression("team", "Like", json!(["a"]))).refused(&["operator", "\"Like\""]),
    ]
}

fn capacity() -> Vec<Row> {
    let created = |title, spec| Row::created(Cluster, title, spec);
    let unit = |cores: Value, memory: Value| json!({"executor": {"cores": cores, "memory": memory}});
    let zero = "must be a memory quantity above zero, such as 4Gi or 512Mi";
    let none = "must be a processor quantity above zero, such as 500m or 2";
    vec![
        created("a unit of whole cores", unit(json!(2), json!("4Gi"))),
        created("a unit of part of a core", unit(json!("1500m"), json!("512Mi"))),
        created("a unit in bytes", unit(json!("1.5"), json!(4_294_967_296_i64))),
        created("a unit without cores", unit(json!("0"), json!("4Gi"))).refused(&["spec.executor.cores", none]),
        created("a unit without memory", unit(json!(1), json!("0Gi"))).refused(&["spec.executor.memory", zero]),
        created("a unit with memory below zero", unit(json!(1), json!(-4))).refused(&[zero]),
        created("memory with an exponent and a unit", unit(json!(1), json!("1e3Gi")))
            .refused(&["spec.executor.memory", "1e3Gi"]),
        created("memory in Spark's notation", unit(json!(1), json!("4g"))).refused(&["spec.executor.memory", "4g"]),
        created("cores in words", unit(json!("two"), json!("4Gi"))).refused(&["spec.executor.cores", "two"]),
        created("a template that says little", json!({"template": {"serviceAccount": "spark"}})),
        created("an empty template", json!({"template": {}})),
        created(
            "a template with arguments of more than 64 KiB",
            json!({"template": {"arguments": vec!["a".repeat(8192); 9]}}),
        )
        .refused(&["spec.template.arguments", "arguments have 73728 characters"]),
        created("a policy that is not offered", json!({"stopPolicy": "Drain"})).refused(&[
            "spec.stopPolicy",
            "\"Drain\"",
            "\"None\", \"Hold\"",
        ]),
        created("held from the start", json!({"stopPolicy": "Hold"})),
        created("no executor at all", json!({"executors": {"max": 0}})),
        created(
            "more at least than at most, which kubectl scale may bring about",
            json!({"executors": {"min": 3, "max": 1}}),
        ),
        created("a least without a most", json!({"executors": {"min": 3}}))
            .refused(&["spec.executors", "set executors.max"]),
        created("warm ones without a most", json!({"executors": {"warm": 3}}))
            .refused(&["spec.executors", "set executors.max"]),
        created("a least below zero", json!({"executors": {"min": -1, "max": 3}})).refused(&["spec.executors.min"]),
        created("warm ones below zero", json!({"executors": {"warm": -1, "max": 3}})).refused(&["spec.executors.warm"]),
        created(
            "shrinking where it grows",
            json!({"executors": {"max": 3}, "occupancy": {"scaleDownBelowPercent": 50, "scaleUpAbovePercent": 50}}),
        )
        .refused(&[
            "spec.occupancy",
            "scaleDownBelowPercent is 50, and has to be below scaleUpAbovePercent, which is 50",
        ]),
        created(
            "shrinking above where it grows by default",
            json!({"executors": {"max": 3}, "occupancy": {"scaleDownBelowPercent": 80}}),
        )
        .refused(&["spec.occupancy", "scaleDownBelowPercent is 80"]),
        created(
            "no time to settle",
            json!({"executors": {"max": 3}, "occupancy": {"stabilizationSeconds": 0, "idleSeconds": 0}}),
        ),
        created("a time below zero", json!({"executors": {"max": 3}, "occupancy": {"idleSeconds": -1}}))
            .refused(&["spec.occupancy.idleSeconds"]),
        created("a percentage above all", json!({"executors": {"max": 3}, "occupancy": {"scaleUpAbovePercent": 101}}))
            .refused(&["spec.occupancy.scaleUpAbovePercent"]),
        created(
            "placeholders of a size",
            json!({"executors": {"max": 3}, "executor": {"cores": 1, "memory": "1Gi"}, "warmCapacity": "Placeholder"}),
        ),
        created("placeholders of no size", json!({"executors": {"max": 3}, "warmCapacity": "Placeholder"}))
            .refused(&["spec.warmCapacity", "what one is (executor)"]),
        created(
            "placeholders of no pool",
            json!({"executor": {"cores": 1, "memory": "1Gi"}, "warmCapacity": "Placeholder"}),
        )
        .refused(&["spec.warmCapacity", "how many it holds (executors.max)"]),
        created("warm in another way", json!({"executors": {"max": 3}, "warmCapacity": "CapacityBuffer"}))
            .refused(&["CapacityBuffer"]),
        created("no job at all", json!({"limits": {"maxConcurrentJobs": 0}})),
    ]
}

fn limits() -> Vec<Row> {
    let share = |title, share: Value| Row::created(Cluster, title, json!({"limits": {"perNamespace": share}}));
    let locks = |title, locks: Value| Row::created(Cluster, title, json!({"limits": {"locks": locks}}));
    let many = |count: i32| Value::Object((0..count).map(|n| (format!("l{n}"), json!(1))).collect());
    let path = "spec.limits.perNamespace";
    let name = ["spec.limits.locks", "the name of a lock has letters a to z"];
    vec![
        share("a share of jobs", json!({"maxConcurrentJobs": 1})),
        share("a share of executors", json!({"maxExecutors": 1})),
        share("a share of nothing", json!({"maxConcurrentJobs": 0, "maxExecutors": 0})),
        share("a share without limits", json!({})).refused(&[path, "set maxConcurrentJobs, maxExecutors or both"]),
        share("a share of jobs below zero", json!({"maxConcurrentJobs": -1})).refused(&[path, "maxConcurrentJobs"]),
        share("a share of executors below zero", json!({"maxExecutors": -1})).refused(&[path, "maxExecutors"]),
        locks("locks of this cluster", json!({"lake": 1_000_000, "mail": 0})),
        locks("as many locks as may be", many(32)),
        locks("too many locks", many(33)).refused(&["spec.limits.locks", "must have at most 32 items"]),
        locks("no lock, said in a map", json!({})),
        locks("a lock with the longest name", json!({"a23456789-".repeat(6) + "abc": 1})),
        locks("a lock with a longer name", json!({"a23456789-".repeat(6) + "abcd": 1})).refused(&name),
        locks("a lock with capitals", json!({"lake": 1, "Lake": 1})).refused(&name),
        locks("a lock of two words", json!({"a.b": 1})).refused(&name),
        locks("permits below zero", json!({"lake": -1})).refused(&["spec.limits.locks.lake", "-1"]),
        locks("too many permits", json!({"lake": 1_000_001})).refused(&["spec.limits.locks.lake", "1000001"]),
        locks("permits in words", json!({"lake": "many"})).refused(&["spec.limits.locks.lake", "integer"]),
    ]
}

fn order() -> Vec<Row> {
    let created = |title, spec| Row::created(Cluster, title, spec);
    let below = |percent: i32| json!({"executors": {"max": 4}, "occupancy": {"admitBelowPercent": percent}});
    let path = "spec.occupancy.admitBelowPercent";
    let size = ["spec.occupancy", "say how many executors the cluster has"];
    vec![
        created("nothing starts in a full cluster", below(100)),
        created("nothing starts beside another", below(1)),
        created("nothing starts at all", below(0)).refused(&[path, "0"]),
        created("more than full", below(101)).refused(&[path, "101"]),
        created("no size to be full of", json!({"occupancy": {"admitBelowPercent": 80}})).refused(&size),
        created("a pool without size", json!({"executors": {}, "occupancy": {"admitBelowPercent": 80}})).refused(&size),
        created("an occupancy that says nothing", json!({"occupancy": {}})),
        Row::changed(Cluster, "the size goes", below(80), json!({"occupancy": {"admitBelowPercent": 80}}))
            .refused(&size),
        created("one after the other", json!({"submission": {"maxPending": 1}})),
        created("as many as there may be", json!({"submission": {"maxPending": 1000}})),
        created("none that waits for the spark-operator", json!({"submission": {"maxPending": 0}}))
            .refused(&["spec.submission.maxPending", "0"]),
        created("more than the ledger holds", json!({"submission": {"maxPending": 1001}}))
            .refused(&["spec.submission.maxPending", "1001"]),
        created("a pace that says nothing", json!({"submission": {}})),
        created("nobody passes the first", json!({"ordering": {"strategy": "StrictFifo"}})),
        created("those pass that delay nobody", json!({"ordering": {"strategy": "Backfill"}})),
        created("what fits passes", json!({"ordering": {"strategy": "PriorityFifo"}})),
        created("an order that is not offered", json!({"ordering": {"strategy": "Fair"}})).refused(&[
            "spec.ordering.strategy",
            "\"Fair\"",
            "\"PriorityFifo\", \"StrictFifo\", \"Backfill\"",
        ]),
    ]
}

fn windows() -> Vec<Row> {
    let created = |title, window: Value| Row::created(Cluster, title, json!({"windows": [window]}));
    let both = "a window has either schedule and duration, or from and to; w has ";
    let (from, schedule) = ("spec.windows[0].from", "spec.windows[0].schedule");
    vec![
        created(
            "business hours",
            json!({"name": "w", "days": ["Mon", "Fri"], "from": "08:00", "to": "24:00", "timeZone": "Europe/Berlin"}),
        ),
        created("a nightly window", json!({"name": "w", "schedule": "0 22 * * *", "duration": "8h30m"})),
        created("a window of days", json!({"name": "w", "schedule": "@monthly", "duration": "2d"})),
        created("no time at all", json!({"name": "w"})).refused(&[schedule, both, "w has neither"]),
        created("two times", json!({"name": "w", "schedule": "@daily", "duration": "8h", "from": "08:00", "to": "09:00"}))
            .refused(&[both, "w has both"]),
        created("a schedule without duration", json!({"name": "w", "schedule": "@daily"}))
            .refused(&[schedule, "schedule and duration belong together"]),
        created("a beginning without end", json!({"name": "w", "from": "08:00"}))
            .refused(&[from, "from and to belong together"]),
        created("days of a schedule", json!({"name": "w", "days": ["Mon"], "schedule": "@daily", "duration": "8h"}))
            .refused(&["spec.windows[0].days", "days belong to from and to"]),
        created("a time without its zero", json!({"name": "w", "from": "8:00", "to": "18:00"})).refused(&[from, "8:00"]),
        created("an hour too late", json!({"name": "w", "from": "08:00", "to": "25:00"})).refused(&["25:00"]),
        created("a duration of seconds", json!({"name": "w", "schedule": "@daily", "duration": "90s"}))
            .refused(&["spec.windows[0].duration", "90s"]),
        created("a day in full", json!({"name": "w", "days": ["Monday"], "from": "08:00", "to": "09:00"}))
            .refused(&["\"Monday\"", "\"Mon\""]),
        created("a name with capitals", json!({"name": "Office", "from": "08:00", "to": "09:00"})).refused(&["Office"]),
        Row::created(
            Cluster,
            "two windows of one name",
            json!({"windows": [{"name": "w", "from": "08:00", "to": "09:00"}, {"name": "w", "from": "09:00", "to": "10:00"}]}),
        )
        .refused(&["spec.windows[1]", "Duplicate value"]),
    ]
}

fn accepts() -> Vec<Row> {
    let created = |title, entry: Value| {
        let windows =
            json!([{"name": "day", "from": "08:00", "to": "18:00"}, {"name": "eve", "from": "18:00", "to": "22:00"}]);
        Row::created(Cluster, title, json!({"windows": windows, "accept": [{"priorities": ["Low"]}, entry]}))
    };
    let named = ["spec.accept", "of an entry names a window that is not among spec.windows"];
    vec![
        created("during and outside windows", json!({"during": ["day", "eve"], "outside": ["eve"]})),
        created(
            "priorities and operations",
            json!({"priorities": ["High", "Critical"], "operations": ["daily", "a/b.c"]}),
        ),
        created("an expression over the job", json!({"when": "job.spec.parameters.rows < 1000000"})),
        created("an empty expression", json!({"when": ""})).refused(&["when", "at least 1 chars long"]),
        created("an endless expression", json!({"when": "!".repeat(1025)})).refused(&["when", "1024"]),
        created("an entry that applies to all", json!({})),
        created("an empty list, which would mean any", json!({"priorities": []}))
            .refused(&["priorities", "at least 1"]),
        created("no window at all", json!({"during": []})).refused(&["during", "at least 1"]),
        created("no operation at all", json!({"operations": []})).refused(&["operations", "at least 1"]),
        Row::created(Cluster, "nobody is accepted", json!({"accept": []})).refused(&["spec.accept", "at least 1"]),
        created("during a window that is not there", json!({"during": ["day", "night"]})).refused(&named),
        created("outside a window that is not there", json!({"outside": ["night"]})).refused(&named),
        created("a priority that is not there", json!({"priorities": ["Urgent"]})).refused(&["\"Urgent\""]),
        created("an operation of two namespaces", json!({"operations": ["a/b/c"]})).refused(&["a/b/c"]),
        Row::created(Cluster, "a window where there is none", json!({"accept": [{"during": ["day"]}]}))
            .refused(&["during of an entry names a window"]),
    ]
}

fn sizes() -> Vec<Row> {
    let created = |title, sizes: Value| Row::created(Cluster, title, json!({"sizes": sizes}));
    let named = |name: &str| json!({name: {"executors": {"max": 4}}});
    let of = |executors: Value| json!({"M": {"executors": executors}});
    let executor = |field: &str, value: Value| json!({"M": {"executors": {"max": 4}, "executor": {field: value}}});
    let many =
        |count: i32| Value::Object((0..count).map(|n| (format!("s{n}"), json!({"executors": {"max": 1}}))).collect());
    let name = ["spec.sizes", "the name of a size has letters, digits and -"];
    let pod = json!({"cores": 4, "memory": "8g", "memoryOverhead": "1g", "coreRequest": "3500m", "coreLimit": 4});
    vec![
        created(
            "a size with all it may say",
            json!({"M": {"executors": {"min": 2, "max": 4}, "driver": pod, "executor": pod}}),
        ),
        created("a size of some executors", named("M")),
        created("no size, said in a map", json!({})),
        created("as many sizes as may be", many(16)),
        created("too many sizes", many(17)).refused(&["spec.sizes", "must have at most 16 items"]),
        created("a size with the longest name", named(&("a23456789-".repeat(6) + "abc"))),
        created("a size with a longer name", named(&("a23456789-".repeat(6) + "abcd"))).refused(&name),
        created("a size of two words", named("very.large")).refused(&name),
        created("a size that ends in a dash", named("M-")).refused(&name),
        created("a size without executors", json!({"M": {"executor": pod}}))
            .refused(&["spec.sizes.M.executors", "Required value"]),
        created("a size of no number of executors", of(json!({}))).refused(&[
            "spec.sizes[M].executors",
            "set min, max or both: without either it does not say how many executors",
        ]),
        created("a size of more at least than at most", of(json!({"min": 5, "max": 4})))
            .refused(&["spec.sizes[M].executors.min", "executors.min is 5, above executors.max, which is 4"]),
        created("a size with memory in words", executor("memory", json!("lots")))
            .refused(&["spec.sizes.M.executor.memory", "lots"]),
        created("a size that requests nothing", executor("coreRequest", json!("0")))
            .refused(&["spec.sizes[M].executor.coreRequest", "must be a processor quantity above zero"]),
        created("a size without a core", executor("cores", json!(0))).refused(&["spec.sizes.M.executor.cores", "0"]),
        Row::changed(
            Cluster,
            "a size is another one",
            json!({"sizes": named("M")}),
            json!({"sizes": of(json!({"max": 8}))}),
        ),
    ]
}
