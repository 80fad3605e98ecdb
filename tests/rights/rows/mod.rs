//! The rows: who may do what.

mod kubernetes;
mod machines;
mod people;
mod spark;

use crate::ask::Row;
use crate::stage::Stage;

pub(crate) fn all(stage: &Stage) -> Vec<Row> {
    [people::rows(stage), spark::rows(stage), machines::rows(stage), kubernetes::rows(stage)].concat()
}

/// What each rule of a policy says, whomever it refuses.
mod rule {
    use crate::ask::Row;

    pub(super) const MARK: &str = "only the keeper sets or changes this";
    pub(super) const RUN: &str = "spec: this SparkApplication is a run of a ManagedJob";
    pub(super) const HANDED_ON: &str = "only the keeper sets this, pods are counted by it";
    pub(super) const MADE: &str = "pods with this label are made by the spark-operator";
    pub(super) const POD_MARK: &str = "nobody changes this, runs are counted and read by it";

    impl Row {
        pub(super) fn by_ledger(self) -> Self {
            self.by_policy("slowlane-ledger", &["a RunLedger is written by the keeper alone"])
        }

        pub(super) fn by_status(self) -> Self {
            self.by_policy("slowlane-status", &["status is written by the keeper alone"])
        }

        pub(super) fn by_applications(self, words: &'static [&'static str]) -> Self {
            self.by_policy("slowlane-applications", words)
        }

        pub(super) fn by_pods(self, words: &'static [&'static str]) -> Self {
            self.by_policy("slowlane-pods", words)
        }

        pub(super) fn by_use_of_operation(self) -> Self {
            let words = &["spec.operation: ", "it takes the verb use on operations.slowlane.dev"];
            self.by_policy("slowlane-use-operation", words)
        }

        pub(super) fn by_use_of_account(self) -> Self {
            let words = &["spec.application.serviceAccount: ", "it takes the verb use on that ServiceAccount"];
            self.by_policy("slowlane-use-service-account", words)
        }
    }
}
