//! URIs: of the files that Spark is given, and of the results that come back.
//!
//! Both are somebody's text. A file without a scheme, or with `file:`, would be taken from the spark-operator's own pod
//! and uploaded (its API token is such a file); a comma would smuggle a second one in. A result is put into
//! statuses, tables, messages and web pages.

use super::error::BuildError;

/// Longest URI, in bytes.
pub const MAX_URI: usize = 1024;

const FILE_SCHEMES: [&str; 19] = [
    "local", "s3a", "s3", "s3n", "gs", "abfs", "abfss", "wasb", "wasbs", "hdfs", "viewfs", "webhdfs", "swebhdfs",
    "oss", "cosn", "obs", "oci", "http", "https",
];

/// Object stores and distributed file systems. `https` is the console or catalogue page of a result: never a signed
/// address, so no query. Not `http` (a link that anybody on the way may change), not `file` or `local` (nobody could
/// read it once the pod is gone).
const RESULT_SCHEMES: [&str; 16] = [
    "s3a", "s3", "s3n", "gs", "abfs", "abfss", "wasb", "wasbs", "hdfs", "viewfs", "oss", "cosn", "obs", "oci", "dbfs",
    "https",
];

const FILE: &str = "a URI that the driver can read, such as local:///app/job.py (in the image) or s3a://bucket/job.py";

/// A file of the application as a URI that only the run's own pods read.
pub(super) fn check_file(path: &str, value: &str) -> Result<(), BuildError> {
    let scheme = value.split_once("://").map(|(scheme, _)| scheme);
    let known = scheme.is_some_and(|scheme| FILE_SCHEMES.contains(&scheme));
    let plain = value.len() <= MAX_URI && !value.contains([',', '$']) && value.chars().all(is_uri_char);
    if known && plain { Ok(()) } else { Err(BuildError::malformed(path, value, FILE)) }
}

/// Why a text is not taken for a result's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriRefused {
    /// Longer than [`MAX_URI`] bytes, or empty.
    #[error("it is empty or longer than 1024 bytes")]
    Length,
    /// Spaces, control characters, quotes, direction marks.
    #[error("it has characters that no URI has")]
    Characters,
    /// A scheme that is not an object store's or distributed file system's.
    #[error("its scheme is not one of an object store or distributed file system")]
    Scheme,
    /// Nothing behind the scheme, or a user name, password or query in it.
    #[error("it is not a plain object URI (scheme://bucket/key, without user, password or signature)")]
    NotPlain,
}

/// Checks a result's URI: a plain object URI of a known scheme, of at most [`MAX_URI`] bytes.
///
/// # Errors
/// Why it is refused.
pub fn check_result_uri(uri: &str) -> Result<(), UriRefused> {
    if !(1..=MAX_URI).contains(&uri.len()) {
        return Err(UriRefused::Length);
    }
    if !uri.chars().all(is_uri_char) {
        return Err(UriRefused::Characters);
    }
    let (scheme, rest) = uri.split_once("://").ok_or(UriRefused::Scheme)?;
    if !RESULT_SCHEMES.contains(&scheme) {
        return Err(UriRefused::Scheme);
    }
    if is_plain(scheme, rest) { Ok(()) } else { Err(UriRefused::NotPlain) }
}

/// What may be said of a URI that is refused: its scheme and host. All else of it may be a key or a signature.
pub(super) fn shown(uri: &str) -> String {
    let withheld = || format!("a text of {} characters", uri.chars().count());
    let Some((scheme, rest)) = uri.split_once("://") else { return withheld() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let known = RESULT_SCHEMES.contains(&scheme) || FILE_SCHEMES.contains(&scheme) || scheme == "file";
    let is_plain = host.len() <= 253 && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
    // A secret may hold a slash: then what looks like a host is the beginning of it.
    let is_whole = !rest[authority.len()..].contains('@') && is_host(host);
    if known && is_plain && is_whole { format!("{scheme}://{host}/...") } else { withheld() }
}

/// A host, perhaps with a port: a colon before anything else is a password's.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    text.starts_with('[') || text.split_once(':').is_none_or(|(_, port)| is_port(port))
}

fn is_plain(scheme: &str, rest: &str) -> bool {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let default_store = matches!(scheme, "hdfs" | "viewfs" | "dbfs") && authority.is_empty() && !path.is_empty();
    let container = matches!(scheme, "abfs" | "abfss" | "wasb" | "wasbs");
    let user_free = match authority.split_once('@') {
        Some((container_name, account)) => container && !container_name.contains(':') && is_host(account),
        None => is_host(authority),
    };
    let signed = (scheme == "https" || container) && rest.contains('?');
    (default_store || !authority.is_empty()) && user_free && !signed
}

/// Printable ASCII but quotes, angle brackets, back-slashes and the like; letters and digits of other scripts, which
/// object keys may hold, but none of their invisible marks.
fn is_uri_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_graphic() && !"\"'`<>\\^{|}".contains(c) } else { c.is_alphanumeric() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_in_the_image_and_in_stores_are_taken() {
        for file in [
            "local:///app/report.py",
            "s3a://lake/jobs/a.jar",
            "https://repo/a.jar",
            "hdfs:///a.zip#env",
            "gs://b/a.py",
        ] {
            assert_eq!(check_file("p", file), Ok(()), "{file}");
        }
    }

    #[test]
    fn files_of_the_operators_pod_are_not() {
        for file in [
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "file:///var/run/secrets/kubernetes.io/serviceaccount/token",
            "FILE:///etc/passwd",
            "report.py",
            "--conf",
            "--properties-file",
            "spark-internal",
            "pyspark-shell",
            "",
            "local:///a.jar,file:///etc/passwd",
            "local:///a.jar /etc/passwd",
            "local:///a\n.jar",
            "jar:file:///a.jar!/x",
            "local:/app/report.py",
            "ftp://x/a.jar",
            "${env:HOME}://x",
            "local:///$(cat)",
        ] {
            let error = check_file("application.mainApplicationFile", file).unwrap_err().to_string();
            assert!(error.starts_with("application.mainApplicationFile is "), "{file}: {error}");
        }
    }

    #[test]
    fn plain_object_uris_are_results() {
        for uri in [
            "s3a://lake/daily/2025-11-01",
            "s3://lake",
            "gs://b/x?generation=1",
            "abfss://box@account.dfs.core.windows.net/a",
            "hdfs:///out",
            "hdfs://nn:8020/out",
            "https://catalogue.example.com/tables/a#v2",
            "s3a://lake/täglich/日報",
            "s3a://lake/day=2025-11-01/part-0.parquet",
        ] {
            assert_eq!(check_result_uri(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn of_a_refused_uri_its_place_is_said_and_nothing_that_may_be_a_secret() {
        for (uri, words) in [
            ("s3a://key:secret@lake/x", "s3a://lake/..."),
            ("https://lake.example.com?X-Amz-Signature=1", "https://lake.example.com/..."),
            ("abfss://a:b@c@d.net/x#y", "abfss://d.net/..."),
            ("javascript:alert(1)", "a text of 19 characters"),
            ("s3a://key:sec/ret@lake/a b", "a text of 26 characters"),
            ("s3a://key/sec/ret@lake/a b", "a text of 26 characters"),
            ("hdfs://name.node:8020/a b", "hdfs://name.node:8020/..."),
            ("secret://a/b", "a text of 12 characters"),
            ("key:secret@lake", "a text of 15 characters"),
            ("s3a://la\nke/", "a text of 12 characters"),
        ] {
            assert_eq!(shown(uri), words);
        }
    }

    #[test]
    fn everything_else_is_not() {
        use UriRefused::{Characters, Length, NotPlain, Scheme};
        let long = format!("s3a://{}", "x".repeat(1024));
        for (uri, why) in [
            ("", Length),
            (long.as_str(), Length),
            ("javascript:alert(1)", Scheme),
            ("javascript://x/%0aalert(1)", Scheme),
            ("file:///etc/passwd", Scheme),
            ("local:///app/x", Scheme),
            ("data:text/html;base64,x", Scheme),
            ("http://x/y", Scheme),
            ("S3A://lake/x", Scheme),
            ("/tmp/x", Scheme),
            ("s3a:lake", Scheme),
            ("s3a://", NotPlain),
            ("s3a:///x", NotPlain),
            ("hdfs://", NotPlain),
            ("s3a://key:secret@lake/x", NotPlain),
            ("s3a://key:sec/ret@lake/x", NotPlain),
            ("abfss://box@account.net/x?sig=1", NotPlain),
            ("https://user@host/x", NotPlain),
            ("abfss://a:b@c/x", NotPlain),
            ("https://lake.s3.amazonaws.com/x?X-Amz-Signature=1", NotPlain),
            ("s3a://lake/a b", Characters),
            ("s3a://lake/a\nb", Characters),
            ("s3a://lake/\u{1b}[31m", Characters),
            ("s3a://lake/\u{202e}gpj.exe", Characters),
            ("s3a://lake/\u{200b}", Characters),
            ("s3a://lake/\"><script>", Characters),
            ("s3a://lake/\0", Characters),
        ] {
            assert_eq!(check_result_uri(uri), Err(why), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,40}", scheme in "(s3a|hdfs|abfs|https)://") {
            let _ = (check_result_uri(&text), check_file("p", &text), check_result_uri(&format!("{scheme}{text}")));
        }
    }
}
