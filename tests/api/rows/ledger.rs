//! The ledger: the API server refuses one that is over its limit, and lets pass whatever makes it no worse.

use serde_json::{Map, Value, json};

use crate::table::{Kind::Ledger, Row, ask};

#[tokio::test]
async fn an_over_full_ledger_is_refused_by_the_server() {
    ask(&rows()).await;
}

pub(super) fn rows() -> Vec<Row> {
    [limits(), capacity(), locks(), shares(), epochs(), large()].concat()
}

fn ledger(limits: &Value, clusters: &Value) -> Value {
    json!({"epoch": 1, "leader": "slowlane-0", "limits": limits, "clusters": clusters})
}

fn limited(limits: &Value) -> Value {
    ledger(limits, &json!({}))
}

/// A ledger with one limit and these holders.
fn held(limit: Option<i32>, holders: &[&str]) -> Value {
    let holders: Map<String, Value> = holders.iter().map(|&run| (run.to_owned(), json!("1/1000/1024"))).collect();
    let mut entry = json!({"holders": holders});
    if let Some(limit) = limit {
        entry["limit"] = json!(limit);
    }
    limited(&json!({"op/jobs/daily": entry}))
}

fn crowd(size: i32, limit: i32) -> Value {
    let holders: Map<String, Value> =
        (0..size).map(|n| (format!("0f9ca1a0-uid-{n}.1"), json!("x".repeat(200)))).collect();
    limited(&json!({"op/jobs/daily": {"limit": limit, "holders": holders}}))
}

fn limits() -> Vec<Row> {
    let changed = |title, old, new| Row::changed(Ledger, title, old, new);
    let two_keys = json!({
        "op/jobs/daily": {"limit": 1, "holders": {"a": ""}},
        "op/jobs/other": {"limit": 1, "holders": {"b": "", "c": ""}},
    });
    vec![
        Row::created(Ledger, "empty", json!({"epoch": 0, "leader": ""})),
        Row::created(Ledger, "at its limit", held(Some(2), &["a", "b"])),
        Row::created(Ledger, "without a limit", held(None, &["a", "b", "c"])),
        Row::created(Ledger, "held by nobody at limit zero", held(Some(0), &[])),
        Row::created(Ledger, "a thousand holders", crowd(1000, 1000)),
        Row::created(Ledger, "over its limit", held(Some(2), &["a", "b", "c"]))
            .refused(&["spec.limits[op/jobs/daily]", "3 holders exceed limit 2"]),
        Row::created(Ledger, "held at limit zero", held(Some(0), &["a"])).refused(&["1 holders exceed limit 0"]),
        changed("one more within the limit", held(Some(2), &["a"]), held(Some(2), &["a", "b"])),
        changed("one more above the limit", held(Some(1), &["a"]), held(Some(1), &["a", "b"]))
            .refused(&["2 holders exceed limit 1"]),
        changed("a new key above its limit", held(Some(1), &["a"]), limited(&two_keys))
            .refused(&["spec.limits[op/jobs/other]", "2 holders exceed limit 1"]),
        changed("the first keys above a limit", json!({"epoch": 1, "leader": ""}), held(Some(1), &["a", "b"]))
            .refused(&["2 holders exceed limit 1"]),
        changed("the limit is raised with the grant", held(Some(1), &["a"]), held(Some(2), &["a", "b"])),
        changed(
            "the limit is lowered below its holders",
            held(Some(3), &["a", "b", "c"]),
            held(Some(1), &["a", "b", "c"]),
        ),
        changed("the limit comes below its holders", held(None, &["a", "b", "c"]), held(Some(1), &["a", "b", "c"])),
        changed("a release", held(Some(2), &["a", "b"]), held(Some(2), &["a"])),
        changed("the last release, the key goes", held(Some(2), &["a"]), limited(&json!({}))),
        changed("a swap at the limit", held(Some(2), &["a", "b"]), held(Some(2), &["a", "c"])),
        changed(
            "a holder's text changes at the limit",
            held(Some(1), &["a"]),
            limited(&json!({"op/jobs/daily": {"limit": 1, "holders": {"a": "seen"}}})),
        ),
    ]
    .into_iter()
    .chain(over_limit())
    .collect()
}

/// What may be done to a ledger whose limit was lowered below its holders.
fn over_limit() -> Vec<Row> {
    let three = |limit| held(Some(limit), &["a", "b", "c"]);
    let over = |title, new: &[&str]| Row::after(Ledger, title, vec![three(3), three(1)], held(Some(1), new));
    vec![
        over("over: a release", &["a", "b"]),
        over("over: nothing changes", &["a", "b", "c"]),
        over("over: a swap", &["a", "b", "d"]).refused(&["3 holders exceed limit 1"]),
        over("over: a release and a new one", &["a", "d"]).refused(&["2 holders exceed limit 1"]),
        over("over: down to the limit by a swap", &["d"]),
    ]
}

fn cluster(entry: &Value) -> Value {
    ledger(&json!({}), &json!({"business": entry}))
}

fn used(executors: i64, milli_cores: i64, memory: i64) -> Value {
    cluster(&json!({
        "executors": executors, "maxExecutors": 10, "milliCores": milli_cores, "maxMilliCores": 10_000,
        "memoryMiB": memory, "maxMemoryMiB": 40_960,
    }))
}

fn capacity() -> Vec<Row> {
    let unbounded = || cluster(&json!({"executors": 99, "milliCores": 99_000, "memoryMiB": 999_999}));
    let changed = |title, old, new| Row::changed(Ledger, title, old, new);
    vec![
        Row::created(Ledger, "a full cluster", used(10, 10_000, 40_960)),
        Row::created(Ledger, "a cluster without bounds", unbounded()),
        Row::created(Ledger, "too many executors", used(11, 0, 0))
            .refused(&["spec.clusters[business]", "executors is 11, above maxExecutors, which is 10"]),
        Row::created(Ledger, "too many cores", used(0, 10_001, 0))
            .refused(&["milliCores is 10001, above maxMilliCores, which is 10000"]),
        Row::created(Ledger, "too much memory", used(0, 0, 40_961))
            .refused(&["memoryMiB is 40961, above maxMemoryMiB, which is 40960"]),
        changed("more within its bounds", used(1, 1000, 1024), used(10, 10_000, 40_960)),
        changed("more executors than it has", used(10, 0, 0), used(11, 0, 0))
            .refused(&["executors is 11, above maxExecutors, which is 10"]),
        changed("bounds come below what is used", unbounded(), used(99, 99_000, 999_999)),
        changed("bounds come, and more is used", unbounded(), used(100, 99_000, 999_999))
            .refused(&["executors is 100, above maxExecutors, which is 10"]),
        changed("bounds come, less is used, still above", unbounded(), used(98, 98_000, 999_998)),
        changed("one falls, another rises above", unbounded(), used(1, 99_001, 1))
            .refused(&["milliCores is 99001, above maxMilliCores, which is 10000"]),
        changed("a cluster is added above its bounds", limited(&json!({})), used(11, 0, 0))
            .refused(&["executors is 11"]),
        changed("a cluster goes", used(1, 1, 1), limited(&json!({}))),
    ]
}

/// A ledger in which this much is taken of locks, each of which has four permits.
fn taken(locks: &[(&str, i64)]) -> Value {
    let entry = |permits: i64| json!({"permits": permits, "maxPermits": 4});
    let locks: Map<String, Value> = locks.iter().map(|&(key, permits)| (key.to_owned(), entry(permits))).collect();
    json!({"epoch": 1, "leader": "slowlane-0", "locks": locks})
}

fn locks() -> Vec<Row> {
    let changed = |title, old, new| Row::changed(Ledger, title, old, new);
    let unbounded = json!({"epoch": 1, "leader": "", "locks": {"lake": {"permits": 9}}});
    let above = "permits is 5, above maxPermits, which is 4";
    vec![
        Row::created(Ledger, "locks that are all taken", taken(&[("lake", 4), ("business/lake", 4)])),
        Row::created(Ledger, "a lock without bound", unbounded.clone()),
        Row::created(Ledger, "more permits than a lock has", taken(&[("lake", 5)]))
            .refused(&["spec.locks[lake]", above]),
        Row::created(Ledger, "more permits than a cluster's lock has", taken(&[("lake", 4), ("business/lake", 5)]))
            .refused(&["spec.locks[business/lake]", above]),
        changed("more permits within the lock", taken(&[("lake", 1)]), taken(&[("lake", 4)])),
        changed("more permits above the lock", taken(&[("lake", 4)]), taken(&[("lake", 5)])).refused(&[above]),
        changed("a lock is added above its permits", limited(&json!({})), taken(&[("lake", 5)])).refused(&[above]),
        changed("permits come below what is taken", unbounded.clone(), taken(&[("lake", 9)])),
        changed("permits come, and more is taken", unbounded.clone(), taken(&[("lake", 10)]))
            .refused(&["permits is 10, above maxPermits, which is 4"]),
        changed("permits come, less is taken, still above", unbounded, taken(&[("lake", 5)])),
        changed("a lock goes", taken(&[("lake", 4)]), limited(&json!({}))),
    ]
}

/// A ledger in which a namespace has this much of a cluster, and may have three runs and eight executors.
fn had(jobs: i64, executors: i64) -> Value {
    let share = json!({"jobs": jobs, "maxJobs": 3, "executors": executors, "maxExecutors": 8});
    json!({"epoch": 1, "leader": "slowlane-0", "shares": {"business/jobs": share}})
}

fn shares() -> Vec<Row> {
    let changed = |title, old, new| Row::changed(Ledger, title, old, new);
    let unbounded = json!({"epoch": 1, "leader": "", "shares": {"business/jobs": {"jobs": 9, "executors": 99}}});
    vec![
        Row::created(Ledger, "a share in full", had(3, 8)),
        Row::created(Ledger, "a share without bounds", unbounded.clone()),
        Row::created(Ledger, "more runs than the share", had(4, 8))
            .refused(&["spec.shares[business/jobs]", "jobs is 4, above maxJobs, which is 3"]),
        Row::created(Ledger, "more executors than the share", had(3, 9))
            .refused(&["spec.shares[business/jobs]", "executors is 9, above maxExecutors, which is 8"]),
        changed("more within the share", had(1, 1), had(3, 8)),
        changed("more runs above the share", had(3, 8), had(4, 8)).refused(&["jobs is 4"]),
        changed("a share is added above its bounds", limited(&json!({})), had(4, 0)).refused(&["jobs is 4"]),
        changed("a share comes below what is had", unbounded.clone(), had(9, 99)),
        changed("a share comes, and more executors", unbounded.clone(), had(9, 100)).refused(&["executors is 100"]),
        changed("a share comes, and fewer of both", unbounded, had(8, 98)),
        changed("a share goes", had(1, 1), limited(&json!({}))),
    ]
}

fn epochs() -> Vec<Row> {
    let epoch = |epoch: i64| json!({"epoch": epoch, "leader": "slowlane-1"});
    vec![
        Row::changed(Ledger, "a take-over", epoch(4), epoch(5)),
        Row::changed(Ledger, "the same epoch", epoch(4), epoch(4)),
        Row::changed(Ledger, "an older epoch", epoch(4), epoch(3))
            .refused(&["spec.epoch", "spec.epoch never goes down: it is 4, not 3"]),
    ]
}

/// At its greatest size a ledger can still be written, and the rules stay within what the server lets them cost.
fn large() -> Vec<Row> {
    let wide = |epoch: i64| {
        let limits: Map<String, Value> =
            (0..1000).map(|n| (format!("op/jobs/daily-{n}"), json!({"limit": 1, "holders": {"a": ""}}))).collect();
        let clusters: Map<String, Value> =
            (0..1000).map(|n| (format!("c{n}"), used(10, 0, 0)["clusters"]["business"].clone())).collect();
        let share = had(1, 1)["shares"]["business/jobs"].clone();
        let shares: Map<String, Value> = (0..1000).map(|n| (format!("c{n}/jobs"), share.clone())).collect();
        let lock = |n: i32| (format!("c{}/l{}", n / 32, n % 32), json!({"permits": 1, "maxPermits": 4}));
        let locks: Map<String, Value> = (0..16_000).map(lock).collect();
        json!({
            "epoch": epoch, "leader": "", "limits": limits, "clusters": clusters, "locks": locks, "shares": shares,
        })
    };
    vec![
        Row::changed(Ledger, "a thousand limits, clusters and shares, and all their locks", wide(1), wide(2)),
        Row::after(
            Ledger,
            "a thousand holders over the limit, one leaves",
            vec![crowd(1000, 1000), crowd(1000, 1)],
            crowd(999, 1),
        ),
        Row::after(
            Ledger,
            "a thousand holders over the limit, one comes",
            vec![crowd(999, 999), crowd(999, 1)],
            crowd(1000, 1),
        )
        .refused(&["1000 holders exceed limit 1"]),
    ]
}
