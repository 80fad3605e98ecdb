//! What `kubectl get` prints, as the server makes it.

use serde_json::{Value, json};

use crate::{
    harness::{Fields, Server},
    specimen::condition,
    table::{Kind, at},
};

/// The width of the terminal in which a job must fit, and the space that kubectl leaves between columns.
const TERMINAL: usize = 120;
const GAP: usize = 3;

async fn stored(server: &Server, namespace: &str, name: &str, kind: Kind, spec: &Value, status: &Value) {
    let path = kind.path(namespace);
    let mut object = kind.object(spec);
    if kind != Kind::Cluster {
        object["metadata"]["name"] = json!(name);
    }
    let mut object = server.create(&path, &object, Fields::Strict, false).await.accepted();
    if !status.is_null() {
        object["status"] = status.clone();
        server.replace(&format!("{}/status", at(&path, &object)), &object, false).await.accepted();
    }
}

fn headers(table: &Value) -> Vec<&str> {
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    columns.filter(|column| column["priority"] == 0).filter_map(|column| column["name"].as_str()).collect()
}

/// The cells as kubectl prints them; a date's text is made by the server as well.
fn lines(table: &Value) -> Vec<Vec<String>> {
    let rows = table["rows"].as_array().into_iter().flatten();
    let text = |cell: &Value| {
        cell.as_str().map_or_else(|| if cell.is_null() { "<none>".into() } else { cell.to_string() }, str::to_owned)
    };
    rows.map(|row| row["cells"].as_array().into_iter().flatten().map(text).collect()).collect()
}

/// The width of the whole table as kubectl lays it out.
fn width(headers: &[&str], lines: &[Vec<String>]) -> usize {
    let widest = |n: usize| lines.iter().map(|line| line[n].len()).chain([headers[n].len()]).max().unwrap_or_default();
    (0..headers.len()).map(widest).sum::<usize>() + GAP * (headers.len() - 1)
}

#[tokio::test]
async fn jobs_say_where_they_stand_at_120_columns() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let spec = json!({"operation": "daily-report"});
    let jobs = [
        (
            "report-north",
            json!({"state": "Running", "reason": "DriverRunning", "since": "2026-01-01T00:00:00Z",
            "clusterName": "business", "waited": "2s"}),
        ),
        (
            "report-south",
            json!({"state": "Queued", "reason": "OperationLimitReached", "since": "2026-01-01T00:00:00Z",
            "message": "daily-report: 1 of 1 alive"}),
        ),
        (
            "report-west",
            json!({"state": "Succeeded", "reason": "Completed", "since": "2026-01-01T00:00:00Z",
            "clusterName": "business", "waited": "1m2s", "took": "58s", "message": "s3a://lake/daily/west"}),
        ),
    ];
    for (name, status) in &jobs {
        stored(&server, &namespace, name, Kind::Job, &spec, status).await;
    }
    let table = server.table(&Kind::Job.path(&namespace)).await;
    let headers = headers(&table);
    assert_eq!(headers, ["Name", "State", "Reason", "Cluster", "Since", "Waited", "Took", "Detail"]);
    let lines = lines(&table);
    assert_eq!(lines[1][..4], ["report-south", "Queued", "OperationLimitReached", "<none>"]);
    assert_eq!(lines[2][5..], ["1m2s", "58s", "s3a://lake/daily/west"]);
    let width = width(&headers, &lines);
    assert!(width <= TERMINAL, "{width} columns: {headers:?} {lines:#?}");
}

#[tokio::test]
async fn operations_say_their_limit_and_what_is_alive() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let spec = json!({"maxConcurrentRuns": 2, "owner": "data-team",
        "application": {"type": "Python", "mainApplicationFile": "local:///a.py"}});
    let status = json!({"runs": {"alive": 1, "queued": 4}, "conditions": [condition("Ready", "True")]});
    stored(&server, &namespace, "daily-report", Kind::Operation, &spec, &status).await;
    let table = server.table(&Kind::Operation.path(&namespace)).await;
    assert_eq!(headers(&table), ["Name", "Limit", "Alive", "Queued", "Ready", "Owner", "Age"]);
    assert_eq!(lines(&table)[0][..6], ["daily-report", "2", "1", "4", "True", "data-team"]);
}

#[tokio::test]
async fn clusters_say_how_full_they_are() {
    let server = Server::connect().await;
    let spec = json!({"executors": {"max": 20}});
    let status = json!({"executors": {"desired": 8, "ready": 8, "inUse": 5, "warm": 3, "max": 20}, "jobs": {"running": 2, "queued": 1},
        "occupancyPercent": 25, "conditions": [condition("Ready", "True")]});
    stored(&server, "", "", Kind::Cluster, &spec, &status).await;
    let table = server.table(&Kind::Cluster.path("")).await;
    assert_eq!(
        headers(&table),
        ["Name", "Ready", "Reason", "Running", "Queued", "Executors", "Desired", "Max", "Occupancy", "Age"]
    );
    let full = ["True", "Because", "2", "1", "5", "8", "20", "25"];
    assert!(lines(&table).iter().any(|line| line[1..9] == full), "{table:#}");
}

#[tokio::test]
async fn a_ledger_says_who_leads() {
    let server = Server::connect().await;
    let namespace = server.namespace().await;
    let spec = json!({"epoch": 7, "leader": "slowlane-1"});
    stored(&server, &namespace, "ledger", Kind::Ledger, &spec, &Value::Null).await;
    let table = server.table(&Kind::Ledger.path(&namespace)).await;
    assert_eq!(headers(&table), ["Name", "Epoch", "Leader", "Age"]);
    assert_eq!(lines(&table)[0][..3], ["ledger", "7", "slowlane-1"]);
}
