//! Expressions over jobs, in the Common Expression Language (CEL): compiled once, evaluated when a job arrives or is edited.
//!
//! Whoever may edit a `ComputeCluster` writes them, whoever submits jobs feeds them: both are bounded here, since the
//! library bounds neither how deep it recurses nor how long it loops.

use std::thread;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr};
use cel::objects::Key;
use cel::{Context, ExecutionError, Program, Value};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::model::Answer;
use crate::text::clean;

/// The only variable.
const JOB: &str = "job";
/// Levels that an expression may have; evaluating recurses as deep.
const MOST_LEVELS: usize = 32;
/// Bytes that a job may have, as JSON: what an expression compares for each entry of a list is bounded by their square.
const MOST_BYTES: usize = 32 << 10;
/// How the library calls the operator `in`.
const IN: &str = "@in";
/// Parsing recurses deeper than the stack of a worker thread bears.
const PARSER_STACK: usize = 64 << 20;
const MOST_WORDS: usize = 200;
const TOO_LARGE: &str = "the job has more than 32 KiB";

/// An expression that can be evaluated.
#[derive(Debug)]
pub struct Expression {
    text: Box<str>,
    program: Program,
}

impl Expression {
    /// Compiles it.
    ///
    /// # Errors
    /// In words: it is none, refers to something else than `job`, or could take too long.
    pub fn compile(text: &str) -> Result<Self, String> {
        let source = text.to_owned();
        let parse = move || {
            let program = Program::compile(&source).map_err(|errors| {
                let words = errors.errors.first().map_or_else(|| errors.to_string(), |error| error.msg.clone());
                format!("is no CEL expression: {}", clean(&words, MOST_WORDS))
            })?;
            check(&program).map(|()| program)
        };
        let parser = thread::Builder::new().name("cel".to_owned()).stack_size(PARSER_STACK).spawn(parse);
        // A panic of the parser is its answer, too: it must not end the keeper.
        let parsed = parser.map_err(|error| error.to_string())?.join();
        let program = parsed.unwrap_or_else(|_| Err("is no CEL expression".to_owned()))?;
        Ok(Self { text: text.into(), program })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says of a job.
    #[must_use]
    pub fn of(&self, job: &Subject) -> Answer {
        let Some(job) = &job.0 else { return Answer::Failed(TOO_LARGE.into()) };
        match self.program.execute(job) {
            Ok(Value::Bool(true)) => Answer::Yes,
            Ok(Value::Bool(false)) => Answer::No,
            Ok(other) => Answer::Failed(format!("it is neither true nor false but a {}", other.type_of()).into()),
            Err(error) => Answer::Failed(self.words(&error).into()),
        }
    }

    /// What went wrong, without values: jobs that fail alike say the same. A key that was computed is a value.
    fn words(&self, error: &ExecutionError) -> String {
        let words = match error {
            ExecutionError::NoSuchKey(key) if self.text.contains(key.as_str()) => format!("no such key: {key}"),
            ExecutionError::NoSuchKey(_) => "no such key".to_owned(),
            ExecutionError::UndeclaredReference(name) => format!("no such function: {name}"),
            ExecutionError::NoSuchOverload(error) => error.to_string(),
            ExecutionError::UnexpectedType { got, want } => format!("it needs a {want}, not a {got}"),
            ExecutionError::IndexOutOfBounds(_) => "the index is out of bounds".to_owned(),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
            ExecutionError::Overflow(..) => "a number is too large".to_owned(),
            ExecutionError::FunctionError { function, .. } => format!("{function} fails"),
            _ => "types do not match".to_owned(),
        };
        clean(&words, MOST_WORDS)
    }
}

/// A job as expressions see it; `None`: it is too large to be asked.
pub struct Subject(Option<Context<'static, 'static>>);

impl Subject {
    /// `job.metadata` (name, namespace, labels, annotations) and `job.spec`, as they stand in the API: what a job leaves out is
    /// absent, whatever its Operation's defaults say.
    #[must_use]
    pub fn new(meta: &ObjectMeta, spec: &impl Serialize) -> Self {
        let metadata = json!({
            "name": meta.name.as_deref().unwrap_or_default(),
            "namespace": meta.namespace.as_deref().unwrap_or_default(),
            "labels": meta.labels.clone().unwrap_or_default(),
            "annotations": meta.annotations.clone().unwrap_or_default(),
        });
        let job = json!({"metadata": metadata, "spec": serde_json::to_value(spec).unwrap_or_default()});
        if serde_json::to_string(&job).map_or(0, |text| text.len()) > MOST_BYTES {
            return Self(None);
        }
        let mut context = Context::default();
        context.add_variable_from_value(JOB, value(job));
        Self(Some(context))
    }
}

/// Whole numbers are `int`, however large: what JSON writes has one kind of them, and `rows + 1` is to be one sum.
fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.into()),
        Json::Array(all) => Value::List(all.into_iter().map(value).collect::<Vec<_>>().into()),
        Json::Object(all) => {
            let entries = all.into_iter().map(|(key, it)| (Key::from(key), value(it)));
            Value::Map(entries.collect::<std::collections::HashMap<_, _>>().into())
        }
    }
}

/// Refuses what could recurse too deep, take more than linear time, or knows of more than the job.
fn check(program: &Program) -> Result<(), String> {
    let mut waiting: Vec<(&Expr, usize, Within<'_>)> = vec![(&program.expression().expr, 1, Within::Nothing)];
    while let Some((expr, level, within)) = waiting.pop() {
        if level > MOST_LEVELS {
            return Err(format!("has more than {MOST_LEVELS} levels: write it flatter, or as several entries"));
        }
        let mut push = |expr, within| waiting.push((expr, level + 1, within));
        match expr {
            Expr::Comprehension(_) if within != Within::Nothing => {
                return Err(
                    "has a macro (all, exists, map, filter) within or after another: it could take too long".to_owned()
                );
            }
            Expr::Comprehension(it) => {
                // What a macro makes could be large: no other is applied to it.
                push(&it.iter_range.expr, Within::Range);
                let parts = [&it.accu_init, &it.loop_cond, &it.loop_step, &it.result];
                parts.into_iter().for_each(|part| push(&part.expr, Within::Loop(it)));
            }
            Expr::Call(call) if call.func_name == IN && matches!(within, Within::Loop(_)) && !is_listed(call) => {
                return Err("looks for each entry among others: it could take too long".to_owned());
            }
            Expr::Call(call) => {
                let parts = call.target.as_deref().into_iter().chain(&call.args);
                parts.for_each(|part| push(&part.expr, within));
            }
            Expr::Select(select) => push(&select.operand.expr, within),
            Expr::List(list) => list.elements.iter().for_each(|part| push(&part.expr, within)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| entry_parts(&entry.expr, |it| push(it, within))),
            Expr::Struct(it) => it.entries.iter().for_each(|entry| entry_parts(&entry.expr, |it| push(it, within))),
            Expr::Ident(name) if name != JOB && !within.has(name) => {
                return Err(format!("refers to {name:?}: only {JOB:?} is there ({JOB}.metadata, {JOB}.spec)"));
            }
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        }
    }
    Ok(())
}

/// Where a part of an expression stands.
#[derive(Clone, Copy, PartialEq)]
enum Within<'a> {
    Nothing,
    /// It is what a macro goes through.
    Range,
    /// It is done for each entry.
    Loop(&'a ComprehensionExpr),
}

impl Within<'_> {
    /// Whether it is a variable of this loop.
    fn has(&self, name: &str) -> bool {
        let Self::Loop(it) = self else { return false };
        [Some(&it.iter_var), it.iter_var2.as_ref(), Some(&it.accu_var)].into_iter().flatten().any(|own| own == name)
    }
}

/// Whether it looks for something in a list that the expression itself writes down.
fn is_listed(call: &CallExpr) -> bool {
    call.args.last().is_some_and(|list| matches!(list.expr, Expr::List(_)))
}

fn entry_parts<'a>(entry: &'a EntryExpr, mut push: impl FnMut(&'a Expr)) {
    match entry {
        EntryExpr::StructField(field) => push(&field.value.expr),
        EntryExpr::MapEntry(entry) => [&entry.key, &entry.value].into_iter().for_each(|part| push(&part.expr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Answer {
        let meta: ObjectMeta =
            serde_json::from_value(json!({"name": "daily-7", "namespace": "jobs", "labels": {"team": "data"}}))
                .unwrap();
        let spec = json!({"operation": "report", "priority": "High", "submittedBy": "ann",
            "parameters": {"rows": 2000, "share": 2.5, "regions": ["north", "south"], "name": "daily-7"},
            "context": {"tenant": "t1"}});
        Expression::compile(text).unwrap().of(&Subject::new(&meta, &spec))
    }

    #[test]
    fn what_a_job_says_is_compared() {
        for text in [
            "job.spec.parameters.rows > 1000 && job.spec.operation == 'report'",
            "job.spec.parameters.rows + 1 == 2001",
            "job.spec.parameters.share > 2",
            "job.metadata.labels.team == 'data' && job.metadata.name.startsWith('daily-')",
            "'team' in job.metadata.labels && !('shift' in job.metadata.labels)",
            "has(job.spec.priority) && job.spec.priority in ['High', 'Critical']",
            "!has(job.spec.clusterName) || job.spec.clusterName == 'night'",
            "job.spec.parameters.regions.exists(region, region == 'south')",
            "job.spec.parameters.regions.all(region, region in ['north', 'south', 'east'])",
            "size(job.spec.parameters.regions) == 2 && job.metadata.annotations == {}",
            "job.spec.context.tenant.matches('^t[0-9]+$')",
        ] {
            assert_eq!(ask(text), Answer::Yes, "{text}");
        }
        assert_eq!(ask("job.spec.parameters.rows < 1000"), Answer::No);
    }

    #[test]
    fn what_cannot_be_said_is_told_without_values() {
        for (text, words) in [
            ("job.spec.parameters.size > 7", "no such key: size"),
            ("job.spec.parameters[job.metadata.namespace] > 7", "no such key"),
            ("job.spec.parameters.rows", "it is neither true nor false but a int"),
            ("job.spec.parameters.rows > 'a'", "found no matching overload for '_>_' applied to '(int, string)'"),
            ("job.spec.parameters.regions[job.spec.parameters.rows] == ''", "the index is out of bounds"),
            ("job.spec.parameters.rows / 0 == 1", "division by zero"),
            ("'a'.matches(job.spec.parameters.name + '(')", "matches fails"),
            ("now() > 1", "no such function: now"),
        ] {
            assert_eq!(ask(text), Answer::Failed(words.into()), "{text}");
        }
    }

    #[test]
    fn a_job_that_is_too_large_is_not_asked() {
        let spec = json!({"parameters": {"text": "x".repeat(MOST_BYTES)}});
        let large = Subject::new(&ObjectMeta::default(), &spec);
        let said = Expression::compile("has(job.spec.parameters)").unwrap().of(&large);
        assert_eq!(said, Answer::Failed("the job has more than 32 KiB".into()));
    }

    #[test]
    fn what_is_no_expression_or_could_take_too_long_is_refused() {
        for (text, words) in [
            ("job.spec.rows >", "is no CEL expression: Syntax error: "),
            ("", "is no CEL expression: "),
            ("jobs.spec.rows > 1", "refers to \"jobs\": only \"job\" is there (job.metadata, job.spec)"),
            ("job.a.all(x, job.b.exists(y, x == y))", "has a macro (all, exists, map, filter) within or after another"),
            (
                "[job.a].map(v, v + v).map(v, v + v)[0] == ''",
                "has a macro (all, exists, map, filter) within or after another",
            ),
            ("job.a.all(x, x in job.b)", "looks for each entry among others"),
            (&format!("1{} > 0", "+1".repeat(400)), "has more than 32 levels"),
            (&format!("job{} == 1", "[0]".repeat(300)), "has more than 32 levels"),
            (&"(".repeat(1000), "is no CEL expression"),
            (&format!("{}true{}", "(".repeat(400), ")".repeat(400)), "is no CEL expression"),
        ] {
            let error = Expression::compile(text).unwrap_err();
            assert!(error.starts_with(words), "{text}: {error}");
        }
    }

    /// On the stack of a test, which is that of a worker.
    #[test]
    fn the_deepest_that_is_taken_is_evaluated() {
        let deep = format!("1{} > 0", "+1".repeat(MOST_LEVELS - 2));
        assert_eq!(ask(&deep), Answer::Yes);
        assert!(Expression::compile(&deep.replace("> 0", "+ 1 > 0")).is_err());
        let lists = format!("{}1{} != []", "[".repeat(MOST_LEVELS - 2), "]".repeat(MOST_LEVELS - 2));
        assert_eq!(ask(&lists), Answer::Yes);
    }
}
