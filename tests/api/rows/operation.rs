//! An operation: what runs must be said, sizes are Spark's, packages are not offered.

use serde_json::{Value, json};

use crate::table::{Kind::Operation, Row, ask};

#[tokio::test]
async fn an_operation_says_what_runs() {
    ask(&rows()).await;
}

fn spec(application: &Value) -> Value {
    json!({"application": application})
}

fn with(field: &str, value: Value) -> Value {
    let mut application = json!({"type": "Python", "mainApplicationFile": "local:///a.py"});
    application[field] = value;
    spec(&application)
}

fn driver(field: &str, value: Value) -> Value {
    let mut pod = json!({});
    pod[field] = value;
    with("driver", pod)
}

pub(super) fn rows() -> Vec<Row> {
    [application(), locks(), sizes()].concat()
}

fn application() -> Vec<Row> {
    let created = |title, spec| Row::created(Operation, title, spec);
    let held = |limit: i32| {
        let mut spec = with("image", json!("spark"));
        spec["maxConcurrentRuns"] = json!(limit);
        spec
    };
    let refusing = |limit: Option<i32>| {
        let mut spec = with("image", json!("spark"));
        spec["whenAtLimit"] = json!("Refuse");
        if let Some(limit) = limit {
            spec["maxConcurrentRuns"] = json!(limit);
        }
        spec
    };
    let queued = |most: i32| {
        let mut spec = with("image", json!("spark"));
        spec["maxQueued"] = json!(most);
        spec
    };
    let defaults = |executors: Value| {
        let mut spec = with("image", json!("spark"));
        spec["defaults"] = json!({"executors": executors});
        spec
    };
    vec![
        created("the least that is needed", with("image", json!("spark"))),
        created("no application", json!({})).refused(&["spec.application", "Required value"]),
        created("no type", spec(&json!({"mainApplicationFile": "local:///a.py"})))
            .refused(&["spec.application.type", "Required value"]),
        created("no file", spec(&json!({"type": "Java"})))
            .refused(&["spec.application.mainApplicationFile", "Required value"]),
        created("a type that is not offered", with("type", json!("R"))).refused(&[
            "spec.application.type",
            "\"R\"",
            "\"Python\", \"Scala\", \"Java\"",
        ]),
        created("all held", held(0)),
        created("refusing at the limit", refusing(Some(2))),
        created("refusing while all are held", refusing(Some(0))),
        created("refusing without a limit", refusing(None)).refused(&[
            "spec.whenAtLimit",
            "whenAtLimit Refuse needs a limit at which to refuse: set maxConcurrentRuns as well",
        ]),
        created("queueing without a limit", {
            let mut spec = refusing(None);
            spec["whenAtLimit"] = json!("Queue");
            spec
        }),
        created("an end of the queue that is not offered", {
            let mut spec = refusing(Some(1));
            spec["whenAtLimit"] = json!("Drop");
            spec
        })
        .refused(&["spec.whenAtLimit", "\"Drop\"", "\"Queue\", \"Refuse\""]),
        created("nobody waits", queued(0)),
        created("fewer than nobody wait", queued(-1)).refused(&["spec.maxQueued", "-1"]),
        Row::changed(Operation, "fewer may wait", queued(5), queued(1)),
        created("a limit below zero", held(-1)).refused(&["spec.maxConcurrentRuns", "-1"]),
        Row::changed(Operation, "the limit is lowered", held(5), held(0)),
        Row::changed(Operation, "the application is changed", held(5), with("image", json!("spark:2"))),
        created("arguments of 64 KiB", with("arguments", json!(vec!["a".repeat(8192); 8]))),
        created("arguments of more than 64 KiB", with("arguments", json!(vec!["a".repeat(8192); 9])))
            .refused(&["spec.application.arguments", "arguments have 73728 characters, at most 65536 are allowed"]),
        created("defaults that name and select a cluster", {
            let mut spec = defaults(json!({"min": 1, "max": 2}));
            spec["defaults"]["clusterName"] = json!("business");
            spec["defaults"]["clusterSelector"] = json!({});
            spec
        })
        .refused(&["spec.defaults.clusterSelector", "leave out one of clusterName and clusterSelector"]),
        created("defaults with executors", defaults(json!({"min": 1, "max": 2}))),
        created("defaults with a size", defaults(json!({"size": "M"}))),
        created("defaults with a size and executors", defaults(json!({"size": "M", "min": 1})))
            .refused(&["spec.defaults.executors.size", "give either size, or min, max or both"]),
        created("defaults with executors the wrong way round", defaults(json!({"min": 3, "max": 2})))
            .refused(&["spec.defaults.executors.min", "executors.min is 3, above executors.max, which is 2"]),
    ]
}

fn locks() -> Vec<Row> {
    let created = |title, locks: Value| {
        let mut spec = with("image", json!("spark"));
        spec["locks"] = locks;
        Row::created(Operation, title, spec)
    };
    let many = |count: i32| Value::from((0..count).map(|n| json!({"name": format!("l{n}")})).collect::<Vec<_>>());
    vec![
        created("a lock by its name", json!([{"name": "lake"}])),
        created("as many permits as may be", json!([{"name": "lake", "permits": 1_000_000}])),
        created("eight locks", many(8)),
        created("nine locks", many(9)).refused(&["spec.locks", "must have at most 8 items"]),
        created("no lock, said in a list", json!([])).refused(&["spec.locks", "at least 1"]),
        created("a lock twice", json!([{"name": "lake"}, {"name": "lake", "permits": 2}]))
            .refused(&["spec.locks[1]", "Duplicate value"]),
        created("no permit", json!([{"name": "lake", "permits": 0}])).refused(&["spec.locks[0].permits", "0"]),
        created("too many permits", json!([{"name": "lake", "permits": 1_000_001}]))
            .refused(&["spec.locks[0].permits", "1000001"]),
        created("a lock without a name", json!([{"permits": 1}])).refused(&["spec.locks[0].name", "Required value"]),
        created("a lock's name with capitals", json!([{"name": "Lake"}])).refused(&["spec.locks[0].name", "Lake"]),
        created("a lock's name with a slash", json!([{"name": "a/b"}])).refused(&["spec.locks[0].name", "a/b"]),
    ]
}

fn sizes() -> Vec<Row> {
    let created = |title, field: &str, value| Row::created(Operation, title, driver(field, value));
    let zero = "must be a processor quantity above zero, such as 500m or 2";
    vec![
        created("memory in MiB", "memory", json!("512m")),
        created("memory in GiB", "memory", json!("4G")),
        created("memory with a long unit", "memory", json!("4gb")),
        created("memory in Kubernetes' notation", "memory", json!("4Gi"))
            .refused(&["spec.application.driver.memory", "4Gi"]),
        created("memory with an exponent and a unit", "memory", json!("1e3Gi"))
            .refused(&["spec.application.driver.memory", "1e3Gi"]),
        created("memory without a unit", "memory", json!("1024")).refused(&["spec.application.driver.memory", "1024"]),
        created("no memory at all", "memory", json!("0m")).refused(&["spec.application.driver.memory", "0m"]),
        created("a request in thousandths", "coreRequest", json!("500m")),
        created("a request as a number", "coreRequest", json!(2)),
        created("a request with a fraction", "coreRequest", json!("0.5")),
        created("a request of nothing", "coreRequest", json!("0"))
            .refused(&["spec.application.driver.coreRequest", zero]),
        created("a request of nothing as a number", "coreRequest", json!(0)).refused(&[zero]),
        created("a request below zero", "coreRequest", json!(-1)).refused(&[zero]),
        created("a request in words", "coreRequest", json!("two"))
            .refused(&["spec.application.driver.coreRequest", "two"]),
        created("a limit in words", "coreLimit", json!("two")).refused(&["spec.application.driver.coreLimit", "two"]),
    ]
}
