//! Why a run failed, in one sentence.
//!
//! Spark's own reason is somewhere in the last lines of a log: the line of the exception, not the last line, which is
//! about some hook that was shut down. What is told is cleaned and cut: it goes into statuses, events and messages.

use super::outcome::DriverEnd;
use super::types::ApplicationState;
use crate::text::clean;

/// Longest sentence, in bytes.
pub const MAX_SENTENCE: usize = 500;

const TRACEBACK: &str = "Traceback (most recent call last):";

/// Why a run failed, from the best witness there is: the driver's pod, else what the spark-operator says.
#[must_use]
pub fn failure_sentence(state: &ApplicationState, error_message: Option<&str>, driver: Option<&DriverEnd>) -> String {
    let sentence =
        driver.and_then(of_driver).unwrap_or_else(|| of_application(state, error_message.unwrap_or_default()));
    clean(&sentence, MAX_SENTENCE)
}

fn of_driver(end: &DriverEnd) -> Option<String> {
    if end.oom_killed {
        return Some(format!(
            "driver was killed for taking more memory than it has (OOMKilled{}): give it more driver.memory or \
             driver.memoryOverhead",
            end.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default()
        ));
    }
    if end.succeeded() {
        return None;
    }
    match (end.reason.as_deref(), end.detail.as_deref(), end.exception.as_deref()) {
        (Some("Evicted"), detail, _) => Some(with_detail("driver was evicted", detail)),
        (Some("Unschedulable"), detail, _) => Some(with_detail("driver cannot be scheduled", detail)),
        (Some(reason), Some(detail), _) if end.has_ended() => Some(format!("driver was ended ({reason}): {detail}")),
        (Some(reason), Some(detail), _) => Some(format!("driver cannot start ({reason}): {detail}")),
        (_, _, Some(exception)) => Some(with_exit_code(exception, end.exit_code)),
        (reason, _, _) => of_exit(reason, end),
    }
}

fn with_detail(sentence: &str, detail: Option<&str>) -> String {
    detail.map_or_else(|| sentence.to_owned(), |detail| format!("{sentence}: {detail}"))
}

/// The exit code stands behind an exception that is cut, not cut with it.
fn with_exit_code(exception: &str, exit_code: Option<i32>) -> String {
    let exception = clean(exception, MAX_SENTENCE - 40);
    exit_code.map_or_else(|| exception.clone(), |code| format!("{exception} (driver exit code {code})"))
}

fn of_exit(reason: Option<&str>, end: &DriverEnd) -> Option<String> {
    let telling = reason.filter(|reason| !matches!(*reason, "Error" | "Completed"));
    match (end.exit_code, telling) {
        (Some(code), Some(reason)) => Some(format!("driver ended with exit code {code} ({reason})")),
        (Some(code), None) => Some(format!("driver ended with exit code {code}{}", signal(code))),
        (None, Some(reason)) if end.has_ended() => Some(format!("driver pod failed ({reason})")),
        (None, Some(reason)) => Some(format!("driver has not started ({reason})")),
        (None, None) if end.has_ended() => Some("driver pod failed without saying why".to_owned()),
        (None, None) => None,
    }
}

fn signal(code: i32) -> &'static str {
    match code {
        134 => ", aborted (SIGABRT)",
        137 => ", killed (SIGKILL)",
        139 => ", crashed (SIGSEGV)",
        143 => ", terminated (SIGTERM)",
        _ => "",
    }
}

/// What the spark-operator says when no driver can be asked: its message may be the whole log of `spark-submit`.
fn of_application(state: &ApplicationState, message: &str) -> String {
    if message.contains("driver pod already exist") {
        return "the submission was repeated and met a driver of the same name".to_owned();
    }
    if message.contains("driver pod not found") {
        return "the driver's pod was gone before its end could be read".to_owned();
    }
    if message.contains("spark-submit") || *state == ApplicationState::SubmissionFailed {
        let why = exception(message).unwrap_or_else(|| last_line(message).to_owned());
        return format!("it could not be submitted: {}", if why.is_empty() { "no reason is known" } else { &why });
    }
    match message.trim() {
        "" => format!("the application ended as {state} without saying why"),
        said => said.to_owned(),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

/// The exception that ended an application, out of the end of its log, cleaned and cut.
#[must_use]
pub fn exception(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(str::trim_end).collect();
    let found = of_python(&lines)
        .or_else(|| of_main_thread(&lines))
        .or_else(|| of_launcher(&lines))
        .or_else(|| last_cause(&lines).map(str::to_owned))
        .or_else(|| lines.iter().rfind(|line| names_exception(line)).map(|line| (*line).to_owned()))?;
    let cleaned = clean(&found, MAX_SENTENCE);
    (!cleaned.is_empty()).then_some(cleaned)
}

/// Python: the first line behind the last traceback that is not indented. Tracebacks of what the interpreter ignored
/// while it shut down do not count.
fn of_python(lines: &[&str]) -> Option<String> {
    let header = (0..lines.len()).rev().find(|at| {
        let ignored = at.checked_sub(1).is_some_and(|before| lines[before].starts_with("Exception ignored"));
        lines[*at].ends_with(TRACEBACK) && !ignored
    })?;
    let rest = &lines[header + 1..];
    let at = rest.iter().position(|line| !line.is_empty() && !line.starts_with(char::is_whitespace))?;
    let line = rest[at];
    is_dotted_name(line.split(':').next().unwrap_or_default()).then(|| with_continuation(line, &rest[at + 1..]))
}

/// What came from Java stands on the next line behind a colon; some of Spark's own errors begin with an empty line.
fn with_continuation(line: &str, rest: &[&str]) -> String {
    let next = rest.iter().map(|line| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
    if next.starts_with(": ") {
        format!("{}{next}", line.trim_end_matches('.'))
    } else if line.ends_with(':') {
        format!("{line} {next}")
    } else {
        line.to_owned()
    }
}

/// Java: what ended the main thread, and the first cause of it.
fn of_main_thread(lines: &[&str]) -> Option<String> {
    let line = lines.iter().rfind(|line| line.starts_with("Exception in thread \""))?;
    let (_, thrown) = line.split_once("\" ")?;
    match last_cause(lines).filter(|cause| !thrown.contains(cause)) {
        Some(cause) => Some(format!("{thrown}, caused by {cause}")),
        None => Some(thrown.to_owned()),
    }
}

/// What Spark's launcher and the Python interpreter say when they cannot run the file at all.
fn of_launcher(lines: &[&str]) -> Option<String> {
    let no_file = |line: &str| line.starts_with("python") && line.contains(": can't open file");
    let found = lines.iter().rfind(|line| line.starts_with("Error: ") || no_file(line))?;
    Some(found.trim_start_matches("Error: ").to_owned())
}

fn last_cause<'a>(lines: &[&'a str]) -> Option<&'a str> {
    lines.iter().rev().find_map(|line| line.strip_prefix("Caused by: "))
}

/// `some.package.SomeError: message`, from the first character of the line.
fn names_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let ends = ["Error", "Exception", "Exit", "Interrupt", "Failure"];
    is_dotted_name(name) && ends.iter().any(|end| name.ends_with(end))
}

fn is_dotted_name(name: &str) -> bool {
    let start = |c: char| c.is_alphabetic() || c == '_';
    !name.is_empty()
        && name
            .split('.')
            .all(|part| part.starts_with(start) && part.chars().all(|c| c.is_alphanumeric() || "_$".contains(c)))
}

#[cfg(test)]
mod tests;
