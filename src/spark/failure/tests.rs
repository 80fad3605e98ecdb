use super::*;
use crate::spark::PodPhase;
use proptest::prelude::*;

/// A Python driver that failed in its own code, as its log ends with `FallbackToLogsOnError`.
const PYTHON: &str = r#"25/11/22 10:00:01 WARN NativeCodeLoader: Unable to load native-hadoop library
Traceback (most recent call last):
  File "/app/report.py", line 12, in <module>
    main(sys.argv[1])
    ~~~~^^^^^^^^^^^^^
  File "/app/report.py", line 8, in main
    raise ValueError(f"no rows for {day}")
ValueError: no rows for 2025-11-01
25/11/22 10:00:02 INFO ShutdownHookManager: Shutdown hook called
25/11/22 10:00:02 INFO ShutdownHookManager: Deleting directory /tmp/spark-1"#;

const PY4J: &str = r#"Traceback (most recent call last):
  File "/app/report.py", line 3, in <module>
    df.write.parquet(out)
  File "/opt/spark/python/lib/py4j-0.10.9.9-src.zip/py4j/protocol.py", line 327, in get_return_value
py4j.protocol.Py4JJavaError: An error occurred while calling o60.parquet.
: org.apache.hadoop.fs.s3a.UnknownStoreException: s3a://nowhere/: getFileStatus on s3a://nowhere/
	at org.apache.hadoop.fs.s3a.S3AUtils.translateException(S3AUtils.java:272)
Caused by: com.amazonaws.NoSuchBucket: nowhere
	... 42 more"#;

const PYTHON_WORKER: &str = r#"Traceback (most recent call last):
  File "/app/report.py", line 9, in <module>
pyspark.errors.exceptions.captured.PythonException:
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/opt/spark/python/lib/pyspark.zip/pyspark/worker.py", line 1964, in main
ZeroDivisionError: division by zero

"#;

const CHAINED: &str = r#"Traceback (most recent call last):
  File "/app/a.py", line 2, in <module>
KeyError: 'day'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/a.py", line 4, in <module>
my_company.errors.MissingDay: there is no day
25/11/22 10:00:02 INFO SparkContext: Successfully stopped SparkContext
Exception ignored in: <function JavaModelWrapper.__del__ at 0x7f>
Traceback (most recent call last):
  File "/opt/spark/python/x.py", line 3, in __del__
ImportError: sys.meta_path is None, Python is likely shutting down"#;

const JAVA: &str = r#"25/11/22 10:00:01 ERROR SparkContext: something
Exception in thread "main" java.lang.IllegalStateException: no input
	at com.example.Report$.main(Report.scala:12)
	at org.apache.spark.deploy.SparkSubmit.main(SparkSubmit.scala)
Caused by: java.io.FileNotFoundException: s3a://lake/in
	... 12 more"#;

const JAVA_CUT: &str = "\tat org.apache.spark.rdd.RDD.collect(RDD.scala:1048)
Caused by: java.lang.OutOfMemoryError: Java heap space
\tat java.util.Arrays.copyOf(Arrays.java:1)
25/11/22 10:00:02 WARN ShutdownHookManager: bye";

#[test]
fn the_line_of_the_exception_is_found() {
    for (log, expected) in [
        (PYTHON, "ValueError: no rows for 2025-11-01"),
        (
            PY4J,
            "py4j.protocol.Py4JJavaError: An error occurred while calling o60.parquet: \
             org.apache.hadoop.fs.s3a.UnknownStoreException: s3a://nowhere/: getFileStatus on s3a://nowhere/",
        ),
        (PYTHON_WORKER, "ZeroDivisionError: division by zero"),
        (CHAINED, "my_company.errors.MissingDay: there is no day"),
        (JAVA, "java.lang.IllegalStateException: no input, caused by java.io.FileNotFoundException: s3a://lake/in"),
        (JAVA_CUT, "java.lang.OutOfMemoryError: Java heap space"),
        ("Traceback (most recent call last):\n  File \"x\"\nAssertionError", "AssertionError"),
        (
            "Traceback (most recent call last):\n  x\npyspark.errors.exceptions.captured.AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table `a` cannot be found.\n'Project [*]",
            "pyspark.errors.exceptions.captured.AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table `a` cannot be found.",
        ),
        (
            "Traceback (most recent call last):\n  x\na.PythonException:\n\n  An exception was thrown",
            "a.PythonException: An exception was thrown",
        ),
        (
            "  File \"/app/x.py\", line 1\n    foo(\n       ^\nSyntaxError: '(' was never closed",
            "SyntaxError: '(' was never closed",
        ),
        ("Error: Failed to load class com.example.Nope.\nlog4j: bye", "Failed to load class com.example.Nope."),
        (
            "python3: can't open file '/app/no.py': [Errno 2] No such file or directory",
            "python3: can't open file '/app/no.py': [Errno 2] No such file or directory",
        ),
        ("Exception in thread \"main\" java.lang.NullPointerException", "java.lang.NullPointerException"),
        (
            "org.apache.spark.SparkException: Job aborted\n\tat x\n25/11/22 INFO x: y",
            "org.apache.spark.SparkException: Job aborted",
        ),
    ] {
        assert_eq!(exception(log).as_deref(), Some(expected));
    }
}

#[test]
fn a_log_without_an_exception_has_none() {
    for log in [
        "",
        "\n\n",
        "25/11/22 10:00:02 INFO ShutdownHookManager: Shutdown hook called",
        "all good: Error",
        "Traceback (most recent call last):",
        "Traceback (most recent call last):\n  File",
        "{\"resultUri\": \"x\"}",
        "Exception in thread \"main",
        "ERROR: no",
        " ValueError: indented",
    ] {
        assert_eq!(exception(log), None, "{log}");
    }
}

fn driver(exit_code: i32) -> DriverEnd {
    DriverEnd {
        phase: PodPhase::Failed,
        exit_code: Some(exit_code),
        reason: Some("Error".into()),
        ..DriverEnd::default()
    }
}

fn said(end: &DriverEnd) -> String {
    failure_sentence(
        &ApplicationState::Failed,
        Some("driver container failed with ExitCode: 1, Reason: Error"),
        Some(end),
    )
}

#[test]
fn the_driver_is_the_best_witness() {
    let pending = DriverEnd { phase: PodPhase::Pending, ..DriverEnd::default() };
    for (end, sentence) in [
        (
            DriverEnd { exception: Some("ValueError: no rows".into()), ..driver(1) },
            "ValueError: no rows (driver exit code 1)",
        ),
        (driver(7), "driver ended with exit code 7"),
        (driver(137), "driver ended with exit code 137, killed (SIGKILL)"),
        (driver(143), "driver ended with exit code 143, terminated (SIGTERM)"),
        (
            DriverEnd { reason: Some("ContainerStatusUnknown".into()), ..driver(137) },
            "driver ended with exit code 137 (ContainerStatusUnknown)",
        ),
        (
            DriverEnd {
                oom_killed: true,
                reason: Some("OOMKilled".into()),
                exception: Some("MemoryError".into()),
                ..driver(137)
            },
            "driver was killed for taking more memory than it has (OOMKilled, exit code 137): give it more driver.memory or driver.memoryOverhead",
        ),
        (
            DriverEnd {
                reason: Some("Evicted".into()),
                detail: Some("The node was low on resource: memory.".into()),
                exception: Some("XError".into()),
                ..driver(137)
            },
            "driver was evicted: The node was low on resource: memory.",
        ),
        (
            DriverEnd {
                reason: Some("PreemptionByScheduler".into()),
                detail: Some("preempting".into()),
                ..driver(143)
            },
            "driver was ended (PreemptionByScheduler): preempting",
        ),
        (
            DriverEnd {
                reason: Some("ImagePullBackOff".into()),
                detail: Some("Back-off pulling image \"nope\"".into()),
                ..pending.clone()
            },
            "driver cannot start (ImagePullBackOff): Back-off pulling image \"nope\"",
        ),
        (
            DriverEnd {
                reason: Some("Unschedulable".into()),
                detail: Some("0/1 nodes are available: 1 Insufficient cpu.".into()),
                ..pending.clone()
            },
            "driver cannot be scheduled: 0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            DriverEnd { reason: Some("ContainerCreating".into()), ..pending },
            "driver has not started (ContainerCreating)",
        ),
        (
            DriverEnd { phase: PodPhase::Failed, reason: Some("NodeLost".into()), ..DriverEnd::default() },
            "driver pod failed (NodeLost)",
        ),
        (DriverEnd { phase: PodPhase::Failed, ..DriverEnd::default() }, "driver pod failed without saying why"),
    ] {
        assert_eq!(said(&end), sentence);
    }
}

#[test]
fn without_a_driver_the_operator_is_asked() {
    let submit = "failed to submit spark application: failed to run spark-submit: failed to run spark-submit: 25/11/22 WARN x: y\n\
        Exception in thread \"main\" io.fabric8.kubernetes.client.KubernetesClientException: pods \"a-driver\" is forbidden: exceeded quota\n\tat x";
    for (state, message, sentence) in [
        (
            ApplicationState::SubmissionFailed,
            submit,
            "it could not be submitted: io.fabric8.kubernetes.client.KubernetesClientException: pods \"a-driver\" is forbidden: exceeded quota",
        ),
        (
            ApplicationState::Failed,
            "failed to run spark-submit: exit status 1",
            "it could not be submitted: failed to run spark-submit: exit status 1",
        ),
        (ApplicationState::SubmissionFailed, "", "it could not be submitted: no reason is known"),
        (
            ApplicationState::SubmissionFailed,
            "failed to submit: driver pod already exist",
            "the submission was repeated and met a driver of the same name",
        ),
        (ApplicationState::Failed, "driver pod not found", "the driver's pod was gone before its end could be read"),
        (
            ApplicationState::Failed,
            "driver container failed with ExitCode: 3, Reason: Error",
            "driver container failed with ExitCode: 3, Reason: Error",
        ),
        (ApplicationState::Failed, "", "the application ended as FAILED without saying why"),
    ] {
        assert_eq!(failure_sentence(&state, Some(message), None), sentence);
    }
}

#[test]
fn a_driver_that_knows_nothing_is_no_witness() {
    let message = "driver container failed with ExitCode: 1, Reason: Error";
    let running = DriverEnd { phase: PodPhase::Running, ..DriverEnd::default() };
    let good = DriverEnd { phase: PodPhase::Succeeded, exit_code: Some(0), ..DriverEnd::default() };
    for end in [running, good] {
        assert_eq!(failure_sentence(&ApplicationState::Failed, Some(message), Some(&end)), message);
    }
}

#[test]
fn sentences_are_clean_and_short() {
    let noisy = format!("ValueError: \u{1b}[31mred\u{1b}[0m\u{7}\u{202e}x\u{200b}y\tz {}", "a".repeat(5000));
    let sentence = said(&DriverEnd { exception: Some(noisy), ..driver(1) });
    assert!(sentence.starts_with("ValueError: red xy z aaa"), "{sentence}");
    assert!(sentence.ends_with("... (driver exit code 1)"), "{sentence}");
    assert!(sentence.chars().count() <= MAX_SENTENCE);
}

proptest! {
    #[test]
    fn any_log_gets_an_answer(
        head in "\\PC{0,20}",
        lines in proptest::collection::vec("(Traceback \\(most recent call last\\):|Caused by: |Exception in thread \"x\" |: |  )?[\\PC\\n\\x00\\x1b]{0,30}", 0..12),
    ) {
        let log = format!("{head}\n{}", lines.join("\n"));
        let sentence = failure_sentence(&ApplicationState::Failed, Some(&log), None);
        prop_assert!(sentence.chars().count() <= MAX_SENTENCE && !sentence.chars().any(char::is_control));
        let found = exception(&log);
        prop_assert!(found.is_none_or(|line| !line.is_empty() && !line.chars().any(char::is_control)));
    }
}
