//! In which order commands are sent: by lane, and one at a time for each object. Pure.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::command::Command;
use crate::model::{JobState, Name, ObjectKey, Uid, child_name};

/// Classes of urgency, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The ledger: everything else follows from it.
    Ledger,
    /// Starts, and reads that an end waits for.
    Run,
    /// A job has ended, or its run is about to be.
    Terminal,
    /// A run must end.
    Delete,
    /// What goes on.
    Informational,
    /// What operations and clusters say: their accounts. It goes on under any load, or bills would pile up in the ledger.
    Account,
    /// Tombstones whose time has come.
    Tidy,
    /// Events: may be dropped.
    Event,
}

impl Lane {
    pub(super) const ALL: [Self; 8] = [
        Self::Ledger,
        Self::Run,
        Self::Terminal,
        Self::Delete,
        Self::Informational,
        Self::Account,
        Self::Tidy,
        Self::Event,
    ];

    /// The lane of a command; [`Command::CountUsage`], [`Command::StartWatches`] and [`Command::StepDown`] are not the writer's.
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::ReadLedger | Command::WriteLedger { .. } => Self::Ledger,
            Command::CreateApplication { .. } | Command::ConfirmRun { .. } | Command::WritePool { .. } => Self::Run,
            // What says how a run is ended is waited for by its deletion.
            Command::WriteJobStatus { status, .. }
                if status.state.is_terminal() || status.state == JobState::Finishing =>
            {
                Self::Terminal
            }
            Command::DeleteApplication { .. } => Self::Delete,
            Command::WriteOperationStatus { .. } | Command::WriteClusterStatus { .. } => Self::Account,
            Command::WriteJobStatus { .. } => Self::Informational,
            Command::DropTombstone { .. } => Self::Tidy,
            Command::Announce(_)
            | Command::AnnouncePool { .. }
            | Command::ReportStranger { .. }
            | Command::CountUsage { .. }
            | Command::StartWatches
            | Command::StepDown => Self::Event,
        }
    }

    /// The word in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Run => "run",
            Self::Terminal => "terminal",
            Self::Delete => "delete",
            Self::Account => "account",
            Self::Informational => "informational",
            Self::Tidy => "tidy",
            Self::Event => "event",
        }
    }
}

/// The object that a command changes. Two commands for one object are sent one after the other, as they came: a job's
/// end never overtakes what was said of it before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Ledger,
    Application(ObjectKey),
    Job(Uid),
    Operation(ObjectKey),
    Cluster(Name),
    Pool(Name),
}

impl Slot {
    fn of(command: &Command) -> Option<Self> {
        match command {
            Command::ReadLedger | Command::WriteLedger { .. } => Some(Self::Ledger),
            Command::CreateApplication { run, holder, .. } => {
                let name = child_name(&holder.job.name, &run.job, run.number);
                Some(Self::Application(ObjectKey::new(holder.job.namespace.clone(), name)))
            }
            Command::ConfirmRun { key, .. }
            | Command::DeleteApplication { key, .. }
            | Command::DropTombstone { key, .. } => Some(Self::Application(key.clone())),
            Command::WriteJobStatus { uid, .. } => Some(Self::Job(uid.clone())),
            Command::WriteOperationStatus { key, .. } => Some(Self::Operation(key.clone())),
            Command::WriteClusterStatus { name, .. } => Some(Self::Cluster(name.clone())),
            Command::WritePool { cluster, .. } => Some(Self::Pool(cluster.clone())),
            Command::Announce(_)
            | Command::AnnouncePool { .. }
            | Command::ReportStranger { .. }
            | Command::CountUsage { .. }
            | Command::StartWatches
            | Command::StepDown => None,
        }
    }
}

const EVENTS_WAITING: usize = 1000;
/// So many more urgent commands are sent before one for an account goes all the same.
const BEFORE_AN_ACCOUNT: u32 = 7;

/// Commands that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: [VecDeque<Command>; Lane::ALL.len()],
    /// Objects with a command in a lane or in flight, and the commands for them that came later.
    taken: HashMap<Slot, VecDeque<Command>>,
    /// Commands that were sent since one for an account was.
    since_account: u32,
}

impl Queue {
    /// Takes a command in. Gives it back when it may be dropped and too many wait.
    pub(super) fn push(&mut self, command: Command) -> Option<Command> {
        let Some(slot) = Slot::of(&command) else {
            if self.lane(Lane::Event).len() >= EVENTS_WAITING {
                return Some(command);
            }
            self.enter(command);
            return None;
        };
        match self.taken.entry(slot) {
            Entry::Occupied(mut behind) => behind.get_mut().push_back(command),
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                self.enter(command);
            }
        }
        None
    }

    /// The most urgent command whose object is free; and for an account now and then, whatever else waits.
    pub(super) fn next(&mut self) -> Option<(Option<Slot>, Command)> {
        let is_owed = self.since_account >= BEFORE_AN_ACCOUNT && !self.has_ledger();
        let owed = if is_owed { self.lanes[Lane::Account as usize].pop_front() } else { None };
        let command = owed.or_else(|| self.lanes.iter_mut().find_map(VecDeque::pop_front))?;
        let is_account = Lane::of(&command) == Lane::Account;
        self.since_account = if is_account { 0 } else { self.since_account.saturating_add(1) };
        Some((Slot::of(&command), command))
    }

    /// The command for this object is done.
    pub(super) fn done(&mut self, slot: &Slot) {
        match self.taken.get_mut(slot).and_then(VecDeque::pop_front) {
            Some(next) => self.enter(next),
            None => {
                self.taken.remove(slot);
            }
        }
    }

    /// Whether a ledger command can go now: those do not wait for the window.
    pub(super) fn has_ledger(&self) -> bool {
        !self.lane(Lane::Ledger).is_empty()
    }

    /// Commands in a lane.
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.lane(lane).len()
    }

    fn lane(&self, lane: Lane) -> &VecDeque<Command> {
        &self.lanes[lane as usize]
    }

    fn enter(&mut self, command: Command) {
        self.lanes[Lane::of(&command) as usize].push_back(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Announcement;
    use crate::model::{JobState, JobStatus, Time};

    fn status(uid: &str, state: JobState) -> Command {
        let status = JobStatus {
            observed_generation: 1,
            state,
            reason: "R",
            message: String::new(),
            created: Time(0),
            since: Time(0),
            accepted: Some(Time::default()),
            let_in: true,
            cluster: None,
            queue: None,
            runs: vec![],
            start: None,
            completion: None,
            waited: None,
            took: None,
            executors: None,
            usage: None,
            result: None,
            declared_result: false,
        };
        Command::WriteJobStatus { key: ObjectKey::new("ns", uid), uid: uid.into(), status: Box::new(status) }
    }

    #[test]
    fn an_account_is_written_now_and_then_under_any_load() {
        let mut queue = Queue::default();
        let cluster =
            |name: &str| Command::WriteClusterStatus { name: name.into(), uid: name.into(), status: Box::default() };
        (0..40).for_each(|number| _ = queue.push(status(&format!("j{number}"), JobState::Failed)));
        ["a", "b"].into_iter().for_each(|name| _ = queue.push(cluster(name)));
        let sent: Vec<Command> = (0..20).filter_map(|_| queue.next()).map(|(_, command)| command).collect();
        let at: Vec<usize> = (0..20).filter(|at| matches!(sent[*at], Command::WriteClusterStatus { .. })).collect();
        assert_eq!(at, [7, 15]);
    }

    fn announce() -> Command {
        let job = ObjectKey::new("ns", "a");
        let (state, reason, message) = (JobState::Queued, "R", String::new());
        Command::Announce(Box::new(Announcement { job, uid: "u".into(), state, reason, message, warning: false }))
    }

    fn drop_tombstone(name: &str) -> Command {
        Command::DropTombstone { key: ObjectKey::new("ns", name), uid: "u".into() }
    }

    #[test]
    fn the_ledger_goes_first_and_events_go_last() {
        let mut queue = Queue::default();
        for command in [
            announce(),
            drop_tombstone("t"),
            status("a", JobState::Queued),
            status("b", JobState::Failed),
            Command::ReadLedger,
        ] {
            assert_eq!(queue.push(command), None);
        }
        let order: Vec<Lane> = std::iter::from_fn(|| queue.next()).map(|(_, command)| Lane::of(&command)).collect();
        assert_eq!(order, [Lane::Ledger, Lane::Terminal, Lane::Informational, Lane::Tidy, Lane::Event]);
    }

    #[test]
    fn an_end_does_not_overtake_what_was_said_of_the_same_job_before() {
        let mut queue = Queue::default();
        queue.push(status("a", JobState::Running));
        queue.push(status("a", JobState::Succeeded));
        let (slot, first) = queue.next().unwrap();
        assert_eq!(first, status("a", JobState::Running));
        assert_eq!(queue.next(), None);
        queue.done(&slot.unwrap());
        let (slot, second) = queue.next().unwrap();
        assert_eq!(second, status("a", JobState::Succeeded));
        queue.done(&slot.unwrap());
        assert!(queue.taken.is_empty());
    }

    #[test]
    fn events_are_given_back_when_too_many_wait() {
        let mut queue = Queue::default();
        (0..EVENTS_WAITING).for_each(|_| assert_eq!(queue.push(announce()), None));
        assert_eq!(queue.push(announce()), Some(announce()));
    }
}
