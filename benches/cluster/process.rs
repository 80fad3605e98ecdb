//! What `/proc` says of a process.

use std::fs;

/// A process that is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

/// Ticks of `utime` and `stime` a second: 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

impl Process {
    /// CPU time so far, in milliseconds.
    pub(crate) fn cpu_ms(self) -> f64 {
        let stat = self.read("stat");
        // The second field is a name in parentheses, which may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("a number of ticks");
        (ticks(11) + ticks(12)) * 1000.0 / TICKS
    }

    /// Memory that it holds, in MiB.
    pub(crate) fn resident_mib(self) -> f64 {
        self.kib("VmRSS:") / 1024.0
    }

    /// The most memory that it ever held, in MiB.
    pub(crate) fn peak_mib(self) -> f64 {
        self.kib("VmHWM:") / 1024.0
    }

    fn kib(self, field: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel says it");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).expect("the process lives")
    }
}
