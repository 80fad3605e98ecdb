//! A run's place in the ledger as a line of text, and names as they stand in texts and keys.

use std::fmt::Write as _;

use crate::model::{Footprint, Holder, Locks, Name, ObjectKey, PodSize, Span, Time, are_in_order};

/// What was granted to a run, and when.
pub(super) fn text(holder: &Holder) -> String {
    let Footprint { driver, executor } = holder.footprint;
    format!(
        "{} driver={}m/{}Mi executor={}m/{}Mi executors={}..{}{}{} granted={} seen={}",
        escaped(&holder.job.name),
        driver.milli_cores,
        driver.memory_mib,
        executor.milli_cores,
        executor.memory_mib,
        holder.min_executors,
        holder.max_executors,
        locks_text(&holder.locks),
        holder.expected.map(|expected| format!(" expected={}", expected.0)).unwrap_or_default(),
        holder.granted.0,
        holder.seen,
    )
}

/// ` locks=lake:2,mail:1`; nothing where there is none.
fn locks_text(locks: &Locks) -> String {
    let mut text = String::new();
    for (lock, permits) in locks.iter() {
        text.push_str(if text.is_empty() { " locks=" } else { "," });
        // Writing to a String cannot fail.
        let _ = write!(text, "{}:{permits}", escaped(lock));
    }
    text
}

/// The holder; its cluster stands elsewhere. `None` when no keeper writes such a text.
pub(super) fn parse(operation: &ObjectKey, text: &str) -> Option<Holder> {
    let mut words = text.split(' ').peekable();
    let job = ObjectKey { namespace: operation.namespace.clone(), name: unescaped(words.next()?)? };
    let driver = pod_size(words.next()?.strip_prefix("driver=")?)?;
    let executor = pod_size(words.next()?.strip_prefix("executor=")?)?;
    let (min, max) = words.next()?.strip_prefix("executors=")?.split_once("..")?;
    // A run that has no locks has no word for them.
    let locks = match words.next_if(|word| word.starts_with("locks=")) {
        Some(word) => locks_of(word.strip_prefix("locks=")?)?,
        None => Locks::default(),
    };
    let expected = match words.next_if(|word| word.starts_with("expected=")) {
        Some(word) => Some(Span(word.strip_prefix("expected=")?.parse().ok().filter(|expected| *expected >= 0)?)),
        None => None,
    };
    let granted = Time(words.next()?.strip_prefix("granted=")?.parse().ok()?);
    let seen = words.next()?.strip_prefix("seen=")?.parse().ok()?;
    Some(Holder {
        job,
        operation: operation.name.clone(),
        cluster: "".into(),
        footprint: Footprint { driver, executor },
        min_executors: min.parse().ok()?,
        max_executors: max.parse().ok()?,
        locks,
        expected,
        granted,
        seen,
    })
}

fn locks_of(text: &str) -> Option<Locks> {
    let lock = |word: &str| {
        let (lock, permits) = word.split_once(':')?;
        Some((unescaped(lock)?, permits.parse().ok()?))
    };
    let locks: Locks = text.split(',').map(lock).collect::<Option<_>>()?;
    are_in_order(&locks).then_some(locks)
}

fn pod_size(text: &str) -> Option<PodSize> {
    let (cores, memory) = text.split_once("m/")?;
    Some(PodSize { milli_cores: cores.parse().ok()?, memory_mib: memory.strip_suffix("Mi")?.parse().ok()? })
}

/// A name as it stands in keys and texts: what no object is called by is percent-encoded, so that nothing that is written
/// can be read as something else, or not at all.
pub(super) fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The name that was [`escaped`].
pub(super) fn unescaped(text: &str) -> Option<Name> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, code)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let digits = code.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &code[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok().map(Into::into)
}
