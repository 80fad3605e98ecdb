//! `$(params.x)` and its like: finding them, naming what is wrong with them, and replacing them.
//!
//! `$$(` stands for a plain `$(`. Text that comes in with a value is never looked at again, so a parameter cannot smuggle
//! a reference in. What the kubelet would expand in turn is escaped at the very end, with [`for_kubelet`].

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::{BuildError, shown};

/// Longest text after replacing: one argument of a process holds 128 KiB on Linux, and `spark-submit` gets them all.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// Something that `$(...)` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    Parameter(&'a str),
    JobName,
    JobNamespace,
    JobUid,
    CorrelationId,
    RunNumber,
    OperationName,
    ResultUri,
}

impl<'a> Reference<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        match name {
            "job.name" => Some(Self::JobName),
            "job.namespace" => Some(Self::JobNamespace),
            "job.uid" => Some(Self::JobUid),
            "job.correlationId" => Some(Self::CorrelationId),
            "run.number" => Some(Self::RunNumber),
            "operation.name" => Some(Self::OperationName),
            "result.uri" => Some(Self::ResultUri),
            _ => name.strip_prefix("params.").filter(|parameter| !parameter.is_empty()).map(Self::Parameter),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Reference(Reference<'a>),
}

/// Values of one run.
pub(super) struct Values<'a> {
    pub parameters: &'a Map<String, Value>,
    pub job_name: &'a str,
    pub job_namespace: &'a str,
    pub job_uid: &'a str,
    pub correlation_id: &'a str,
    pub run: u32,
    pub operation: &'a str,
    /// None inside the result's own template, and where there is none.
    pub result_uri: Option<&'a str>,
}

/// Checks that every reference in a text is one that is known, and that a process could take the rest.
pub(super) fn check(path: &str, text: &str) -> Result<(), BuildError> {
    if text.contains('\0') {
        return Err(BuildError::malformed(path, text, WITHOUT_NULLS));
    }
    pieces(path, text).map(|_| ())
}

const WITHOUT_NULLS: &str = "a text without null characters";

/// Adds the parameters that a text refers to; a text that cannot be read has none.
pub(super) fn parameters_of(text: &str, found: &mut BTreeSet<String>) {
    for piece in pieces("", text).unwrap_or_default() {
        if let Piece::Reference(Reference::Parameter(name)) = piece {
            found.insert(name.to_owned());
        }
    }
}

/// Whether a text refers to the run's declared result.
pub(super) fn refers_to_result(text: &str) -> bool {
    pieces("", text).unwrap_or_default().contains(&Piece::Reference(Reference::ResultUri))
}

/// Replaces the references in a text.
pub(super) fn replace(path: &str, text: &str, values: &Values<'_>) -> Result<String, BuildError> {
    let mut replaced = String::with_capacity(text.len());
    for piece in pieces(path, text)? {
        match piece {
            Piece::Text(plain) => replaced.push_str(plain),
            Piece::Reference(reference) => push_value(&mut replaced, path, reference, values)?,
        }
        if replaced.len() > MAX_TEXT {
            return Err(BuildError::TooLong { path: path.to_owned(), length: replaced.len(), limit: MAX_TEXT });
        }
    }
    if replaced.contains('\0') { Err(BuildError::malformed(path, &replaced, WITHOUT_NULLS)) } else { Ok(replaced) }
}

fn push_value(out: &mut String, path: &str, reference: Reference<'_>, values: &Values<'_>) -> Result<(), BuildError> {
    match reference {
        Reference::Parameter(name) => out.push_str(&parameter(path, name, values.parameters)?),
        Reference::JobName => out.push_str(values.job_name),
        Reference::JobNamespace => out.push_str(values.job_namespace),
        Reference::JobUid => out.push_str(values.job_uid),
        Reference::CorrelationId => out.push_str(values.correlation_id),
        Reference::RunNumber => out.push_str(&values.run.to_string()),
        Reference::OperationName => out.push_str(values.operation),
        Reference::ResultUri => match values.result_uri {
            Some(uri) => out.push_str(uri),
            None => return Err(BuildError::conflict(path, "refers to $(result.uri), but no result.uri is declared")),
        },
    }
    Ok(())
}

/// Strings as they are, everything else as compact JSON.
fn parameter(path: &str, name: &str, parameters: &Map<String, Value>) -> Result<String, BuildError> {
    match parameters.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
        None => Err(BuildError::NoSuchParameter { path: path.to_owned(), parameter: shown(name) }),
    }
}

/// A text cut into plain pieces and references.
fn pieces<'a>(path: &str, text: &'a str) -> Result<Vec<Piece<'a>>, BuildError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        if rest[..at].ends_with('$') {
            found.extend([Piece::Text(&rest[..at - 1]), Piece::Text("$(")]);
            rest = &rest[at + 2..];
            continue;
        }
        let (name, after) = rest[at + 2..].split_once(')').ok_or_else(|| unknown(path, &rest[at + 2..]))?;
        let reference = Reference::parse(name).ok_or_else(|| unknown(path, name))?;
        found.extend([Piece::Text(&rest[..at]), Piece::Reference(reference)]);
        rest = after;
    }
    found.push(Piece::Text(rest));
    Ok(found)
}

fn unknown(path: &str, name: &str) -> BuildError {
    BuildError::UnknownReference { path: path.to_owned(), name: shown(name) }
}

/// A text that the kubelet leaves as it is: in `env` and `args` of a container it expands `$(NAME)` and halves `$$`.
pub(super) fn for_kubelet(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn with<T>(parameters: &Value, then: impl FnOnce(&Values<'_>) -> T) -> T {
        let parameters = parameters.as_object().unwrap();
        then(&Values {
            parameters,
            job_name: "monday",
            job_namespace: "jobs",
            job_uid: "u-1",
            correlation_id: "c-1",
            run: 2,
            operation: "daily-report",
            result_uri: Some("s3a://lake/x"),
        })
    }

    fn replaced(text: &str) -> String {
        let parameters = json!({
            "day": "2025-11-01", "n": 3, "on": true, "none": null, "list": [1, "a"], "map": {"b": [1, 2]},
            "evil": "$(job.uid) $$(x) $(", "a.b": "dotted",
        });
        with(&parameters, |values| replace("p", text, values)).unwrap()
    }

    #[test]
    fn replaces_what_it_knows() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$(params.day)", "2025-11-01"),
            ("--day=$(params.day)!", "--day=2025-11-01!"),
            ("$(job.namespace)/$(job.name)/$(job.uid)", "jobs/monday/u-1"),
            ("$(job.correlationId) $(run.number) $(operation.name) $(result.uri)", "c-1 2 daily-report s3a://lake/x"),
            ("$(params.a.b)", "dotted"),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    #[test]
    fn values_that_are_not_strings_become_compact_json() {
        for (text, expected) in [
            ("$(params.n)", "3"),
            ("$(params.on)", "true"),
            ("$(params.none)", "null"),
            ("$(params.list)", r#"[1,"a"]"#),
            ("$(params.map)", r#"{"b":[1,2]}"#),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    #[test]
    fn a_double_dollar_stands_for_a_plain_one() {
        for (text, expected) in [
            ("$$(params.day)", "$(params.day)"),
            ("$$(x) $(run.number)", "$(x) 2"),
            ("$$$(x)", "$$(x)"),
            ("$$", "$$"),
            ("cost $5 (net)", "cost $5 (net)"),
            ("$", "$"),
            ("$$(", "$("),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        assert_eq!(replaced("$(params.evil)"), "$(job.uid) $$(x) $(");
    }

    #[test]
    fn an_unknown_reference_names_the_field() {
        for text in
            ["$(x)", "$()", "$(params.)", "$(params)", "$(job.owner)", "$( job.name)", "$(unclosed", "a$(JOB.NAME)"]
        {
            let error = check("application.arguments[0]", text).unwrap_err().to_string();
            assert!(error.starts_with("application.arguments[0] refers to $("), "{text}: {error}");
        }
    }

    #[test]
    fn a_parameter_that_the_job_lacks_is_named() {
        let error = with(&json!({}), |values| replace("application.env[DAY]", "$(params.day)", values)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "application.env[DAY] refers to $(params.day), but the job has no parameter \"day\""
        );
    }

    #[test]
    fn texts_that_a_process_cannot_take_are_refused() {
        let error = with(&json!({"x": "y".repeat(40_000)}), |values| replace("p", "$(params.x)$(params.x)", values));
        assert!(matches!(error, Err(BuildError::TooLong { length: 80_000, .. })), "{error:?}");
        let error = with(&json!({"x": "a\0b"}), |values| replace("p", "$(params.x)", values));
        assert!(matches!(error, Err(BuildError::Malformed { .. })), "{error:?}");
    }

    #[test]
    fn finds_references_to_the_result() {
        for (text, refers) in [("--to=$(result.uri)", true), ("$$(result.uri)", false), ("$(params.result.uri)", false)]
        {
            assert_eq!(refers_to_result(text), refers, "{text}");
        }
    }

    #[test]
    fn finds_the_parameters_of_a_text() {
        let mut found = BTreeSet::new();
        for text in ["$(params.b) $(job.name) $(params.a)$(params.b)", "$$(params.c)", "$(broken"] {
            parameters_of(text, &mut found);
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    /// What the kubelet makes of a text (`k8s.io/kubernetes/third_party/forked/golang/expansion`), all names unknown.
    fn kubelet_expands(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('$', Some('$')) => {
                    out.push('$');
                    chars.next();
                }
                ('$', Some('(')) => out.push_str("<expanded>"),
                (c, _) => out.push(c),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn text_without_references_stays_as_it_is(text in "[^$\\x00]{0,60}") {
            prop_assert_eq!(replaced(&text), text);
        }

        #[test]
        fn any_text_gets_an_answer(text in "[$()a-z.]{0,30}") {
            let _ = check("p", &text);
        }

        #[test]
        fn the_kubelet_sees_the_text_itself(text in "[$()A-Z]{0,20}") {
            prop_assert_eq!(kubelet_expands(&for_kubelet(&text)), text);
        }
    }
}
