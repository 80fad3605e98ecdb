//! The keeper on a real API server with its controllers: the lease, the writer under faults, and whole jobs through the
//! built program with a fake spark-operator. No node and no Spark is needed.
//!
//! Needs etcd, a kube-apiserver and a kube-controller-manager, found by `KUBECONFIG`. Tests that have jobs take turns:
//! a keeper looks after every namespace.

mod account;
mod bill;
#[path = "../harness/chart.rs"]
mod chart;
mod daemon;
mod day;
mod ends;
mod faults;
mod holds;
mod hostile;
mod input;
#[path = "../harness/install.rs"]
mod install;
mod judge;
mod keeper;
mod kwok;
mod lease;
mod limits;
mod meddling;
mod observer;
mod operator;
mod outage;
mod places;
mod pools;
mod proxy;
mod scale;
mod scenarios;
mod scene;
#[path = "../harness/spark.rs"]
mod spark;
mod undeclared;
mod world;
mod writer;
