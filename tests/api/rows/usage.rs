//! The bill in the statuses of operations and clusters: what a keeper that leads no more says late takes nothing back.

use serde_json::{Value, json};

use crate::table::{
    Kind::{Cluster, Ledger, Operation},
    Row, ask,
};

#[tokio::test]
async fn no_account_goes_back() {
    ask(&rows()).await;
}

pub(super) fn rows() -> Vec<Row> {
    [operations(), clusters(), ledgers()].concat()
}

/// An account that contains bills up to this write.
fn account(through: i64, more: &Value) -> Value {
    let mut usage = json!({
        "grantedCoreSeconds": 10, "grantedMemoryGiBSeconds": 20, "usedCoreSeconds": 5, "usedMemoryGiBSeconds": 9,
        "through": through,
    });
    usage.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    json!({"observedGeneration": 1, "usage": usage})
}

fn warm(core_seconds: i64, gib_seconds: i64) -> Value {
    let more = json!({
        "warmCoreSeconds": core_seconds, "warmMemoryGiBSeconds": gib_seconds, "warmUntil": "2026-11-22T10:00:00Z",
    });
    account(3, &more)
}

fn operations() -> Vec<Row> {
    let told = |title, old: Value, new: Value| Row::told(Operation, title, old, new);
    let at = |through| account(through, &json!({}));
    vec![
        told("the first account", json!({"observedGeneration": 1}), at(3)),
        told("one that contains more", at(3), at(4)),
        told("one that contains the same", at(3), at(3)),
        told("one that contains less", at(3), at(2))
            .refused(&["status.usage.through", "through never goes down: it is 3, not 2"]),
        told("less than nothing", at(3), account(4, &json!({"usedCoreSeconds": -1})))
            .refused(&["usedCoreSeconds", "-1"]),
        told("more than a reader of JSON can count", at(3), account(4, &json!({"usedCoreSeconds": 1_i64 << 53})))
            .refused(&["usedCoreSeconds"]),
    ]
}

fn clusters() -> Vec<Row> {
    let told = |title, old: Value, new: Value| Row::told(Cluster, title, old, new);
    let at = |through| account(through, &json!({}));
    vec![
        told("a cluster's account that contains more", at(3), at(4)),
        told("a cluster's account that contains less", at(3), at(2))
            .refused(&["status.usage.through", "through never goes down: it is 3, not 2"]),
        told("the first that was warm", at(3), warm(0, 0)),
        told("more that was warm", warm(7, 8), warm(7, 9)),
        told("fewer core-seconds that were warm", warm(7, 8), warm(6, 8))
            .refused(&["status.usage.warmCoreSeconds", "warmCoreSeconds never goes down: it is 7"]),
        told("fewer GiB-seconds that were warm", warm(7, 8), warm(7, 7))
            .refused(&["status.usage.warmMemoryGiBSeconds", "warmMemoryGiBSeconds never goes down: it is 8"]),
        told("nothing that was warm any more", warm(7, 8), at(3)).refused(&["warmCoreSeconds never goes down"]),
    ]
}

fn ledgers() -> Vec<Row> {
    let with = |bills: Value| json!({"epoch": 1, "leader": "", "bills": bills});
    let many = |count: i32| {
        let bill = |n| (format!("{n}/jobs/daily/business"), json!("granted=1/2 used=1/2"));
        Value::Object((0..count).map(bill).collect())
    };
    vec![
        Row::created(Ledger, "as many bills as may be", with(many(1000))),
        Row::created(Ledger, "too many bills", with(many(1001))).refused(&["spec.bills", "1000"]),
        Row::created(Ledger, "a long bill", with(json!({"1/a/b/c": "x".repeat(129)}))).refused(&["spec.bills", "128"]),
    ]
}
