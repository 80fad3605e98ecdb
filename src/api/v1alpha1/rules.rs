//! CEL rules that several fields share. Each has its rows in `tests/api`, on a real API server: only it knows what a
//! rule costs and what `has()` says of a null.

use kube::core::{Message, Rule};

/// What follows a refusal to change a job.
const INSTEAD: &str = "create another job instead";

/// The optional field `spec.FIELD` stays as it was created: no change, no addition, no removal.
///
/// Stands at `.spec`, because a rule at the field itself does not see it come and go.
pub(super) fn immutable(field: &str) -> Rule {
    unchanged(field).message(format!("spec.{field} is immutable: {INSTEAD}").as_str())
}

/// As [`immutable`], for a string: the message names the value that stands.
pub(super) fn immutable_text(field: &str) -> Rule {
    let value = format!("[has(oldSelf.{field}) ? '\"' + oldSelf.{field} + '\"' : 'unset']");
    unchanged(field).message(naming(field, "%s", &value))
}

/// As [`immutable`], for an integer: the message names the value that stands.
pub(super) fn immutable_number(field: &str) -> Rule {
    let value = format!("[has(oldSelf.{field}) ? dyn(oldSelf.{field}) : dyn('unset')]");
    unchanged(field).message(naming(field, "%s", &value))
}

/// The result stays as it was created.
pub(super) fn immutable_result() -> Rule {
    let value = "[has(oldSelf.result) ? '\"' + oldSelf.result.uri + '\"' : 'unset']";
    unchanged("result").message(naming("result", "%s", value))
}

/// The bounds of executors stay as they were created.
pub(super) fn immutable_executors() -> Rule {
    let value = |name: &str| {
        format!(
            "has(oldSelf.executors) && has(oldSelf.executors.{name}) ? dyn(oldSelf.executors.{name}) : dyn('unset')"
        )
    };
    let values = format!("[{}, {}, {}]", value("min"), value("max"), value("size"));
    unchanged("executors").message(naming("executors", "min %s, max %s, size %s", &values))
}

/// The least executors are no more than the most.
pub(super) fn min_within_max() -> Rule {
    rule(
        ".min",
        "!has(self.min) || !has(self.max) || self.min <= self.max",
        "'executors.min is %d, above executors.max, which is %d'.format([self.min, self.max])",
    )
}

/// The required string `spec.FIELD` stays as it was created.
pub(super) fn immutable_required(field: &str) -> Rule {
    Rule::new(format!("self.{field} == oldSelf.{field}")).field_path(format!(".{field}")).message(naming(
        field,
        "\"%s\"",
        &format!("[oldSelf.{field}]"),
    ))
}

fn unchanged(field: &str) -> Rule {
    Rule::new(format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    ))
    .field_path(format!(".{field}"))
}

fn naming(field: &str, verb: &str, values: &str) -> Message {
    Message::Expression(format!("'spec.{field} is immutable: it is {verb}; {INSTEAD}'.format({values})"))
}

/// The texts of a list have no more than `limit` characters taken together.
pub(super) fn at_most_in_all(field: &str, limit: u32) -> Rule {
    let total = "self.map(text, size(text)).sum()";
    Rule::new(format!("{total} <= {limit}")).message(Message::Expression(format!(
        "'{field} have %d characters, at most {limit} are allowed'.format([{total}])"
    )))
}

/// A cluster is named or selected, not both.
pub(super) fn name_or_selector() -> Rule {
    Rule::new("!has(self.clusterName) || !has(self.clusterSelector)")
        .field_path(".clusterSelector")
        .message("clusterName names the cluster: leave out one of clusterName and clusterSelector")
}

/// Jobs are refused at a limit, so there has to be one.
pub(super) fn refusing_needs_a_limit() -> Rule {
    Rule::new("!has(self.whenAtLimit) || self.whenAtLimit != 'Refuse' || has(self.maxConcurrentRuns)")
        .field_path(".whenAtLimit")
        .message("whenAtLimit Refuse needs a limit at which to refuse: set maxConcurrentRuns as well")
}

/// Two fields that mean something only together; `such_as` is a value of the second.
pub(super) fn together(one: &str, other: &str, such_as: &str) -> Rule {
    Rule::new(format!("has(self.{one}) == has(self.{other})")).field_path(format!(".{one}")).message(
        format!("{one} and {other} belong together: one without the other says nothing; {other} is such as {such_as}")
            .as_str(),
    )
}

/// Every window that an entry of `accept` names is one of the cluster's.
pub(super) fn windows_exist(field: &str) -> Rule {
    let known = "has(self.windows) && self.windows.exists(w, w.name == n)";
    Rule::new(format!("!has(self.accept) || self.accept.all(a, !has(a.{field}) || a.{field}.all(n, {known}))"))
        .field_path(".accept")
        // A message that named it would cost more than a whole definition may.
        .message(format!("{field} of an entry names a window that is not among spec.windows of this cluster").as_str())
}

/// What a pool holds besides its `max` needs one.
pub(super) fn pool_has_max(field: &str) -> Rule {
    Rule::new(format!("!has(self.executors) || !has(self.executors.{field}) || has(self.executors.max)"))
        .field_path(".executors")
        .message(format!("{field} is a part of what the pool holds at most: set executors.max as well").as_str())
}

/// A pool that shrinks where it grows would never rest.
pub(super) fn shrinks_below_growing() -> Rule {
    let part = |field: &str, default: u32| {
        let own = format!("self.occupancy.{field}");
        format!("(has(self.occupancy) && has({own}) ? {own} : {default})")
    };
    let (below, above) = (part("scaleDownBelowPercent", 40), part("scaleUpAbovePercent", 80));
    let message = format!(
        "'scaleDownBelowPercent is %d, and has to be below scaleUpAbovePercent, which is %d (40 and 80 where left out)'\
         .format([{below}, {above}])"
    );
    rule(".occupancy", &format!("{below} < {above}"), &message)
}

/// A rule whose message is computed: it names what was asked for.
pub(super) fn rule(path: &str, condition: &str, message: &str) -> Rule {
    Rule::new(condition).field_path(path).message(Message::Expression(message.to_owned()))
}

/// A rule that judges a new entry by itself and a changed one by what was there: worse is refused, better is let pass.
pub(super) fn ratchet(condition: &str, message: &str) -> Rule {
    Rule::new(condition).optional_old_self(true).message(Message::Expression(message.to_owned()))
}

/// The integer never goes down.
pub(super) fn never_down(field: &str) -> Rule {
    let message = format!("'{field} never goes down: it is %d, not %d'.format([oldSelf.{field}, self.{field}])");
    rule(&format!(".{field}"), &format!("self.{field} >= oldSelf.{field}"), &message)
}

/// The optional integer never goes down, and stays once it is there.
pub(super) fn never_down_or_out(field: &str) -> Rule {
    Rule::new(format!("!has(oldSelf.{field}) || (has(self.{field}) && self.{field} >= oldSelf.{field})"))
        .field_path(format!(".{field}"))
        .message(Message::Expression(format!("'{field} never goes down: it is %d'.format([oldSelf.{field}])")))
}

/// The integer `used` stays within `max`, or at least does not grow.
pub(super) fn within(used: &str, max: &str) -> Rule {
    ratchet(
        &format!(
            "!has(self.{max}) || self.{used} <= self.{max} \
             || (oldSelf.hasValue() && self.{used} <= oldSelf.value().{used})"
        ),
        &format!("'{used} is %d, above {max}, which is %d'.format([self.{used}, self.{max}])"),
    )
}
