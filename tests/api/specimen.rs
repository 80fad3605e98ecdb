//! Objects of each kind in which, taken together, every field is set: some fields exclude each other.

use serde_json::{Value, json};

use crate::table::Kind;

/// Spec of an object of this kind with all its fields.
pub(crate) fn spec(kind: Kind) -> Value {
    match kind {
        Kind::Job => job(),
        Kind::Operation => json!({
            "description": "Builds the daily report",
            "owner": "data-team",
            "maxConcurrentRuns": 1,
            "whenAtLimit": "Refuse",
            "expectedRunSeconds": 900, "maxQueued": 5,
            "defaults": {
                "priority": "High", "maxConcurrentRuns": 2, "clusterName": "business",
                "executors": {"min": 1, "max": 4}, "result": {"uri": "s3a://lake/$(job.name)"},
                "startTimeoutSeconds": 300, "activeDeadlineSeconds": 3600,
            },
            "locks": [{"name": "lake", "permits": 2}],
            "application": application(),
        }),
        Kind::Cluster => json!({
            "namespaceSelector": {
                "matchLabels": {"team": "data"},
                "matchExpressions": [{"key": "stage", "operator": "In", "values": ["prod"]}],
            },
            "limits": {
                "maxConcurrentJobs": 10, "perNamespace": {"maxConcurrentJobs": 3, "maxExecutors": 12},
                "locks": {"lake": 4},
            },
            "executors": {"min": 1, "max": 20, "warm": 2},
            "executor": {"cores": 2, "memory": "4Gi"},
            "occupancy": {
                "admitBelowPercent": 90, "scaleUpAbovePercent": 85, "scaleDownBelowPercent": 30,
                "stabilizationSeconds": 120, "idleSeconds": 900,
            },
            "warmCapacity": "Placeholder",
            "ordering": {"strategy": "StrictFifo"},
            "submission": {"maxPending": 20},
            "stopPolicy": "Hold",
            "windows": [{"name": "day", "days": ["Mon"], "from": "08:00", "to": "18:00", "timeZone": "Europe/Berlin"}],
            "accept": [{"during": ["day"], "outside": ["day"], "priorities": ["High"], "operations": ["jobs/daily"], "when": "has(job.spec.parameters)"}],
            "onWindowEnd": "Cancel",
            "template": application(),
            "sizes": {"M": {"executors": {"min": 2, "max": 4}, "driver": pod_size(), "executor": pod_size()}},
        }),
        Kind::Ledger => json!({
            "epoch": 3,
            "sequence": 17,
            "leader": "slowlane-0",
            "bills": {"16/jobs/daily/business": "granted=120/480 used=100/400"},
            "limits": {"op/jobs/daily": {"limit": 2, "holders": {"uid.1": "2/2000/4096"}}},
            "clusters": {"business": {
                "executors": 2, "maxExecutors": 20, "milliCores": 3000, "maxMilliCores": 40000,
                "memoryMiB": 4096, "maxMemoryMiB": 81920,
            }},
            "locks": {"business/lake": {"permits": 2, "maxPermits": 4}},
            "shares": {"business/jobs": {"jobs": 1, "maxJobs": 3, "executors": 2, "maxExecutors": 12}},
        }),
    }
}

/// Specs of this kind that together have all its fields.
pub(crate) fn specs(kind: Kind) -> Vec<Value> {
    let first = spec(kind);
    let mut other = first.clone();
    let selector = json!({"matchLabels": {"tier": "night"},
        "matchExpressions": [{"key": "stage", "operator": "In", "values": ["prod"]}]});
    let at = match kind {
        Kind::Job => &mut other,
        Kind::Operation => &mut other["defaults"],
        Kind::Cluster => {
            other["windows"] = json!([{"name": "day", "schedule": "0 8 * * *", "duration": "10h", "timeZone": "UTC"}]);
            return vec![first, other];
        }
        Kind::Ledger => return vec![first],
    };
    at.as_object_mut().expect("an object").remove("clusterName");
    at["executors"] = json!({"size": "M"});
    at["clusterSelector"] = selector;
    vec![first, other]
}

/// Status of an object of this kind with all its fields; a ledger has none.
pub(crate) fn status(kind: Kind) -> Option<Value> {
    match kind {
        Kind::Job => Some(job_status()),
        Kind::Operation => Some(json!({
            "observedGeneration": 1, "runs": {"alive": 1, "queued": 2}, "runSeconds": {"p50": 60, "p95": 90},
            "usage": usage(&json!({"through": 16})), "conditions": [condition("Ready", "True")],
        })),
        Kind::Cluster => Some(json!({
            "observedGeneration": 1, "executors": {"desired": 8, "ready": 7, "inUse": 3, "warm": 4, "strangers": 2, "max": 20}, "jobs": {"running": 1, "queued": 2},
            "occupancyPercent": 15, "nextWindow": {"name": "day", "opens": "2026-11-22T10:00:00Z"},
            "usage": usage(&json!({
                "warmCoreSeconds": 7, "warmMemoryGiBSeconds": 28, "warmUntil": "2026-11-22T10:00:00Z", "through": 16,
            })),
            "conditions": [condition("Ready", "True")],
        })),
        Kind::Ledger => None,
    }
}

/// What runs took, and what else belongs to it.
fn usage(more: &Value) -> Value {
    let mut usage = json!({
        "grantedCoreSeconds": 120, "grantedMemoryGiBSeconds": 480, "usedCoreSeconds": 100, "usedMemoryGiBSeconds": 400,
    });
    usage.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    usage
}

/// A condition as the keeper writes it.
pub(crate) fn condition(kind: &str, status: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "Because", "message": "",
        "lastTransitionTime": "2026-11-22T10:00:00Z", "observedGeneration": 1,
    })
}

fn job() -> Value {
    json!({
        "operation": "daily",
        "parameters": {"day": "2026-11-22", "nested": {"list": [1, {"deep": null}]}},
        "priority": "Low",
        "maxConcurrentRuns": 3,
        "clusterName": "business",
        "executors": {"min": 1, "max": 4},
        "result": {"uri": "s3a://lake/daily"},
        "correlationId": "c-1",
        "submittedBy": "ann@example.com",
        "context": {"tenant": "t1"},
        "startTimeoutSeconds": 300,
        "activeDeadlineSeconds": 3600,
        "suspend": false,
        "cancel": false,
    })
}

fn job_status() -> Value {
    let time = "2026-11-22T10:00:00Z";
    json!({
        "observedGeneration": 1,
        "state": "Succeeded",
        "reason": "Completed",
        "message": "s3a://lake/daily",
        "since": time,
        "clusterName": "business",
        "queue": {
            "waitingSince": time,
            "position": 1,
            "blockers": [{
                "reason": "OperationLimitReached", "message": "1 of 1 runs", "limit": 1, "inUse": 1,
                "holders": ["jobs/other"],
            }],
        },
        "runs": [{
            "number": 1, "sparkApplication": "daily-0a1b2c3d4e-1", "applicationId": "spark-1", "driverPod": "d-driver",
            "outcome": "Succeeded", "reason": "Completed", "message": "", "resultUri": "s3a://lake/daily",
            "start": time, "completion": time, "usage": usage(&json!({})),
        }],
        "startTime": time,
        "completionTime": time,
        "waited": "3s",
        "took": "1m2s",
        "executors": {"granted": 4, "ready": 0, "peak": 3},
        "usage": usage(&json!({})),
        "result": {"uri": "s3a://lake/daily", "reportedBy": "TerminationMessage"},
        "resultUri": "s3a://lake/daily",
        "conditions": [condition("Finished", "True"), condition("Succeeded", "True")],
    })
}

fn application() -> Value {
    json!({
        "type": "Python",
        "mainApplicationFile": "s3a://lake/code/daily.py",
        "mainClass": "com.example.Daily",
        "arguments": ["--day", "$(params.day)"],
        "sparkVersion": "4.0.1",
        "image": "registry.example/spark:4.0.1",
        "sparkConf": {"spark.sql.shuffle.partitions": "64"},
        "hadoopConf": {"fs.s3a.endpoint": "http://s3"},
        "deps": {
            "jars": ["s3a://lake/a.jar"], "files": ["s3a://lake/a.txt"], "pyFiles": ["s3a://lake/a.zip"],
            "archives": ["s3a://lake/a.tgz"],
        },
        "driver": pod(),
        "executor": pod(),
        "serviceAccount": "spark",
        "env": {"DAY": "$(params.day)"},
    })
}

fn pod() -> Value {
    let mut pod = pod_size();
    pod["labels"] = json!({"team": "data"});
    pod["annotations"] = json!({"note": "none"});
    pod["nodeSelector"] = json!({"pool": "spark"});
    pod["tolerations"] = json!([
        {"key": "spark", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60},
    ]);
    pod
}

fn pod_size() -> Value {
    json!({"cores": 1, "memory": "512m", "memoryOverhead": "384m", "coreRequest": "500m", "coreLimit": 2})
}
