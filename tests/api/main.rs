//! What only a real API server knows: schema bounds, CEL rules and what they cost, pruning, printer columns.
//!
//! Needs etcd and a kube-apiserver, nothing else, and finds them by `KUBECONFIG`. Each test works in a namespace of its
//! own; the definitions are installed once.

#[path = "../harness/answer.rs"]
mod answer;
mod bounds;
mod clients;
mod columns;
mod harness;
#[path = "../harness/install.rs"]
mod install;
mod rows;
mod specimen;
mod table;
