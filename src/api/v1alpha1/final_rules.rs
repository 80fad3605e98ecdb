//! CEL rules for what is final in a job's status: it ends once, and only a success has a result.
//!
//! A status that is removed gets its default (`observedGeneration: -1`) before the rules are asked, so they see its
//! removal as a change like any other. Their rows are in `tests/api/rows/job_status.rs`.

use kube::core::Rule;

use super::rules::rule;

/// The condition `Finished` was True before this write.
const WAS_FINISHED: &str =
    "has(oldSelf.conditions) && oldSelf.conditions.exists(o, o.type == 'Finished' && o.status == 'True')";

/// A state that is an end stays.
pub(super) fn state() -> Rule {
    rule(
        ".state",
        "!has(oldSelf.state) || !(oldSelf.state in ['Succeeded', 'Failed', 'Cancelled', 'Refused']) \
         || (has(self.state) && self.state == oldSelf.state)",
        "'status.state is final: the job has ended as %s'.format([oldSelf.state])",
    )
}

/// Whatever the state is when `Finished` becomes True, it stays.
pub(super) fn state_once_finished() -> Rule {
    rule(
        ".state",
        &format!(
            "!({WAS_FINISHED}) \
             || (has(self.state) == has(oldSelf.state) && (!has(self.state) || self.state == oldSelf.state))"
        ),
        "'status.state is final: the condition Finished is True with state %s'\
         .format([has(oldSelf.state) ? oldSelf.state : 'unset'])",
    )
}

/// A job that was accepted, or has had a run, is not refused.
pub(super) fn refused_before_accepted() -> Rule {
    rule(
        ".state",
        "!has(self.state) || self.state != 'Refused' \
         || ((!has(oldSelf.runs) || size(oldSelf.runs) == 0) \
         && (!has(oldSelf.conditions) || !oldSelf.conditions.exists(o, o.type == 'Accepted' && o.status == 'True')))",
        "'status.state is %s: a job that was accepted is not refused'\
         .format([has(oldSelf.state) ? oldSelf.state : 'unset'])",
    )
}

/// Once `Finished` is True, neither it nor `Succeeded` changes or goes.
pub(super) fn conditions() -> Rule {
    rule(
        ".conditions",
        &format!(
            "!({WAS_FINISHED}) || (has(self.conditions) \
             && oldSelf.conditions.all(o, !(o.type in ['Finished', 'Succeeded']) \
             || self.conditions.exists(c, c.type == o.type && c.status == o.status)))"
        ),
        "'status.conditions: Finished is True, so Finished and Succeeded are final; the job has ended as %s'\
         .format([has(oldSelf.state) ? oldSelf.state : 'unset'])",
    )
}

/// What was written to `status.FIELD` stays.
pub(super) fn unchanged(field: &str) -> Rule {
    Rule::new(stays(field)).field_path(format!(".{field}")).message(format!("status.{field} is final").as_str())
}

/// As [`unchanged`], for a string: the message names it.
pub(super) fn unchanged_text(field: &str) -> Rule {
    let message = format!("'status.{field} is final: it is %s'.format([oldSelf.{field}])");
    rule(&format!(".{field}"), &stays(field), &message)
}

/// `status.FIELD` is there only when the job has succeeded.
pub(super) fn needs_success(field: &str) -> Rule {
    rule(
        &format!(".{field}"),
        &format!("!has(self.{field}) || (has(self.state) && self.state == 'Succeeded')"),
        &format!(
            "'status.{field} is for Succeeded jobs only: the state is %s'\
             .format([has(self.state) ? self.state : 'unset'])"
        ),
    )
}

/// The result's two places say the same.
pub(super) fn one_result() -> Rule {
    rule(
        ".resultUri",
        "!has(self.result) || !has(self.resultUri) || self.result.uri == self.resultUri",
        "'status.resultUri is %s, but status.result.uri is %s'.format([self.resultUri, self.result.uri])",
    )
}

fn stays(field: &str) -> String {
    format!("!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})")
}
