//! What one run needs next. A run is a list of facts; [`next`] is a pure table over them (rules R2 and R3 of the
//! protocol). Knows nothing of limits, queues or other runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    ApplicationSeen, ApplicationState, EndReason, Footprint, Holder, Interruption, Name, ObjectKey, Outcome,
    Placeholder, PodPhase, PodRole, PodSeen, Priority, Report, RunId, Settings, Span, Spent, Time, TimeLimits, Uid,
    Usage, child_name,
};

/// How long to wait before a command that did not work is tried again.
pub const RETRY: Span = Span::seconds(2);

/// What the job's owner wants of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Let it run.
    Run,
    /// End it; the job goes on as its next run.
    Suspend(Interruption),
    /// End it, and the job with it.
    End(Ending),
}

/// Why a run is ended that would have gone on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The job was cancelled, or it is gone.
    Cancelled,
    /// It took too long, or somebody meddled with it.
    Failed(EndReason, Box<str>),
}

impl Intent {
    /// What a run came to that ends for this.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Run => None,
            Self::Suspend(why) => Some(Outcome::Suspended(*why)),
            Self::End(Ending::Cancelled) => Some(Outcome::Cancelled),
            Self::End(Ending::Failed(reason, words)) => Some(Outcome::Failed(*reason, words.clone())),
        }
    }

    /// The intent that led to an outcome that was decided: it stands, whatever the job says now.
    #[must_use]
    pub fn behind(outcome: &Outcome) -> Option<Self> {
        match outcome {
            _ if !outcome.is_decided() => None,
            Outcome::Suspended(why) => Some(Self::Suspend(*why)),
            Outcome::Failed(reason, words) => Some(Self::End(Ending::Failed(*reason, words.clone()))),
            Outcome::Cancelled | Outcome::Succeeded(_) => Some(Self::End(Ending::Cancelled)),
        }
    }
}

/// A command of this run that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// A create.
    Create,
    /// A quorum read.
    Confirm,
    /// A deletion.
    Delete,
    /// The outcome is on its way into the job's status.
    Record,
}

/// Everything remembered of a run that holds slots, beside what the watches show of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Its place in the ledger.
    pub holder: Arc<Holder>,
    /// Namespace and derived name of its application.
    pub key: ObjectKey,
    /// A command on its way.
    pub errand: Option<Errand>,
    /// What is not tried again before this time; it holds up nothing else.
    pub not_before: Option<(Errand, Time)>,
    /// Why its creation does not get on, in the API server's words.
    pub trouble: Option<Box<str>>,
    /// Since when its create is refused, and why.
    pub denied: Option<(Time, Box<str>)>,
    /// What was granted is not what would be built any more.
    pub outdated: bool,
    /// A quorum read found its application as the watch shows it, and no live pod.
    pub confirmed: bool,
    /// When its application was first seen here; the API server's clock is not ours.
    pub sighted: Option<Time>,
    /// Its application, once that was seen.
    pub application: Option<Uid>,
    /// When its application was first seen being deleted.
    pub leaving: Option<Time>,
    /// Where its application was when it was last seen, placeholders aside.
    pub last_state: Option<ApplicationState>,
    /// Since when its application is terminal or on its way out with no driver alive.
    pub settled: Option<Time>,
    /// Since when its driver has ended while its application does not say so.
    pub unconfirmed_since: Option<Time>,
    /// Since when no pod of it was seen while its application was being deleted.
    pub podless: Option<Time>,
    /// We asked for its deletion.
    pub deleted: bool,
    /// The outcome stands in the job's status, so that the pods may go.
    pub recorded: bool,
    /// How it ended, as far as that is known.
    pub outcome: Option<Outcome>,
    /// When its driver was first seen running.
    pub running_since: Option<Time>,
    /// How long it may take where its job does not say: its operation's word when it was last there.
    pub default_limits: TimeLimits,
    /// The class that it started with, as far as that is known: a later one is a matter of order, not of who is accepted.
    pub class: Option<Priority>,
    /// When it was closed: nothing of it runs, and nothing ever will.
    pub closed: Option<Time>,
    /// What its pods took that are gone, as far as this keeper has seen them.
    pub spent: Spent,
    /// The most executors that ran at once.
    pub peak: u64,
    /// What it took, once it was closed with an outcome: what its job's status, the ledger and the accounts say.
    pub usage: Option<Usage>,
    /// This leader granted it: no leader before can have written anything about it, so what a status says of it is our
    /// own word or a forged one.
    pub own_grant: bool,
}

impl Run {
    /// A run that was just granted, or is found in the ledger.
    #[must_use]
    pub fn new(id: RunId, holder: Arc<Holder>) -> Self {
        let name = child_name(&holder.job.name, &id.job, id.number);
        let key = ObjectKey { namespace: holder.job.namespace.clone(), name: name.into() };
        Self {
            id,
            holder,
            key,
            errand: None,
            not_before: None,
            trouble: None,
            denied: None,
            outdated: false,
            confirmed: false,
            sighted: None,
            application: None,
            leaving: None,
            last_state: None,
            settled: None,
            unconfirmed_since: None,
            podless: None,
            deleted: false,
            recorded: false,
            outcome: None,
            running_since: None,
            default_limits: TimeLimits::default(),
            class: None,
            closed: None,
            spent: Spent::default(),
            peak: 0,
            usage: None,
            own_grant: false,
        }
    }

    /// What it is billed for with the ledger write that lets go of it. One whose slot was given back before, and that is only
    /// brought to its end once more, is not billed again: it has no size, or was closed before it came back.
    #[must_use]
    pub fn bill(&self) -> Option<Usage> {
        // What comes back from a status has whole seconds.
        let second = |time: Time| time.0.div_euclid(1000);
        let came_before = self.closed.is_some_and(|closed| second(closed) >= second(self.holder.granted));
        let is_first = self.holder.footprint != Footprint::default() && came_before;
        self.usage.filter(|usage| is_first && *usage != Usage::default())
    }

    /// Its application exists, or nothing is to take its name: from now on it is never created again.
    pub fn see(&mut self) {
        if !self.holder.seen {
            Arc::make_mut(&mut self.holder).seen = true;
        }
    }

    /// Whether a pod is its driver. A label can be put on any pod: the spark-operator's name for it counts, which no other
    /// pod can have, and an application can give its driver any name: one that another application owns is not ours.
    #[must_use]
    pub fn is_driver(&self, pod: &PodSeen, application: Option<&ApplicationSeen>) -> bool {
        let own = self.application.as_ref().or(application.map(|it| &it.uid));
        pod.role == PodRole::Driver
            && pod.key.name.strip_suffix("-driver") == Some(&*self.key.name)
            && (pod.owner.is_none() || pod.owner.as_ref() == own)
    }
}

/// What the world shows of a run.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its application, if there is one.
    pub application: Option<&'a ApplicationSeen>,
    /// Its pods.
    pub pods: &'a BTreeMap<Name, Box<PodSeen>>,
    /// The one among them that is its driver.
    pub driver: Option<&'a PodSeen>,
    /// Pods are being listed anew: what a list has not named yet may be there.
    pub listing: bool,
}

impl View<'_> {
    fn has_live_pod(&self) -> bool {
        self.pods.values().any(|pod| pod.phase.is_live())
    }

    /// Whether a driver is there that has not finished.
    #[must_use]
    pub fn has_live_driver(&self) -> bool {
        self.driver.is_some_and(|driver| driver.phase.is_live())
    }
}

/// What a run needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something happens or this time comes.
    Wait(Option<Time>),
    /// Create its application, or a placeholder in its stead.
    Create(Option<Placeholder>),
    /// Look with a quorum read.
    Confirm,
    /// Write the outcome into the job's status: its pods are about to be deleted.
    Record,
    /// Delete its application in the foreground.
    Delete,
    /// It is over.
    Close(Outcome),
    /// It is over and never started; the job queues again.
    CloseForReplan,
}

/// Takes in what the world shows: moments and the outcome are remembered, since pods and applications go.
pub fn observe(run: &mut Run, view: &View<'_>, now: Time) {
    if let Some(application) = view.application {
        run.denied = None;
        run.trouble = None;
        run.sighted.get_or_insert(now);
        run.application.get_or_insert_with(|| application.uid.clone());
        if application.placeholder.is_none() {
            run.see();
            run.last_state = Some(application.state);
        }
        run.leaving = application.deleting.map(|_| run.leaving.unwrap_or(now));
    }
    if let Some(driver) = view.driver {
        match driver.phase {
            PodPhase::Running => _ = run.running_since.get_or_insert(now),
            // A driver that fails while its application is being deleted, or was edited, was killed by that: no outcome of
            // its own.
            PodPhase::Failed if run.deleted || view.application.is_none_or(ends_its_driver) => {}
            PodPhase::Succeeded | PodPhase::Failed => take_end(run, driver),
            PodPhase::Pending => {}
        }
    }
    let over = view.application.is_none_or(|it| it.state.is_terminal() || it.deleting.is_some());
    run.settled = (over && !view.has_live_driver()).then(|| run.settled.unwrap_or(now));
    let ended = view.driver.is_some_and(|driver| !driver.phase.is_live());
    run.unconfirmed_since = (ended && !over).then(|| run.unconfirmed_since.unwrap_or(now));
    let leaving = view.application.is_none_or(|it| it.deleting.is_some() || it.placeholder.is_some());
    run.podless = (leaving && !view.has_live_pod()).then(|| run.podless.unwrap_or(now));
    if view.has_live_pod() {
        run.confirmed = false;
    }
}

fn ends_its_driver(application: &ApplicationSeen) -> bool {
    application.deleting.is_some() || application.edited
}

/// A driver that has finished says how its run ended, where that is not known; and work that is done is not done again, nor called
/// late, whatever was decided meanwhile.
pub fn take_end(run: &mut Run, driver: &PodSeen) {
    let yields = |outcome: &Outcome| outcome.is_decided() && *outcome != Outcome::Cancelled;
    let is_done = driver.phase == PodPhase::Succeeded && run.outcome.as_ref().is_some_and(yields);
    if run.outcome.is_none() || is_done {
        run.outcome = Some(outcome_of(driver));
    }
}

/// What a finished driver says.
#[must_use]
pub fn outcome_of(driver: &PodSeen) -> Outcome {
    let end = driver.end.clone().unwrap_or_default();
    if driver.phase == PodPhase::Succeeded {
        return Outcome::Succeeded(end.report);
    }
    let reason = match () {
        () if end.out_of_memory => EndReason::OutOfMemory,
        () if end.lost => EndReason::DriverLost,
        () => EndReason::ApplicationFailed,
    };
    Outcome::Failed(reason, end.failure.unwrap_or_else(|| "the driver failed without a word".into()))
}

/// What the run needs next. [`observe`] has taken in the same view before.
#[must_use]
pub fn next(run: &Run, view: &View<'_>, intent: &Intent, settings: &Settings, now: Time) -> Step {
    if run.closed.is_some() || run.errand.is_some() {
        return Step::Wait(None);
    }
    let step = match view.application {
        None => without_application(run, view, intent, settings, now),
        Some(application) => with_application(run, application, view, intent, settings, now),
    };
    match run.not_before {
        Some((errand, until)) if until > now && errand_of(&step) == Some(errand) => Step::Wait(Some(until)),
        _ => step,
    }
}

fn errand_of(step: &Step) -> Option<Errand> {
    match step {
        Step::Create(_) => Some(Errand::Create),
        Step::Confirm => Some(Errand::Confirm),
        Step::Record => Some(Errand::Record),
        Step::Delete => Some(Errand::Delete),
        Step::Wait(_) | Step::Close(_) | Step::CloseForReplan => None,
    }
}

fn without_application(run: &Run, view: &View<'_>, intent: &Intent, settings: &Settings, now: Time) -> Step {
    if let Some((since, words)) = &run.denied {
        let until = *since + settings.quarantine;
        if now >= until {
            let outcome = run.outcome.clone().or_else(|| intent.outcome());
            let outcome = outcome.unwrap_or_else(|| Outcome::Failed(EndReason::SubmissionFailed, words.clone()));
            return match () {
                () if view.has_live_pod() => Step::Wait(None),
                // One that landed late may stand already: the watch may not have shown it yet.
                () if !run.confirmed => Step::Confirm,
                () => Step::Close(outcome),
            };
        }
    }
    let placeholder = match intent {
        _ if run.holder.seen => Some(Placeholder::End),
        Intent::End(_) => Some(Placeholder::End),
        Intent::Suspend(_) => Some(Placeholder::Replan),
        Intent::Run => run.outdated.then_some(Placeholder::Replan),
    };
    Step::Create(placeholder)
}

fn with_application(
    run: &Run,
    application: &ApplicationSeen,
    view: &View<'_>,
    intent: &Intent,
    settings: &Settings,
    now: Time,
) -> Step {
    if let Some(placeholder) = application.placeholder {
        return with_placeholder(run, placeholder, view, intent, settings, now);
    }
    if application.state.is_terminal() {
        return with_terminal(run, application, view, intent, settings, now);
    }
    if application.deleting.is_some() {
        return with_deleted(run, application, view, intent, settings, now);
    }
    match (intent, run.unconfirmed_since) {
        (Intent::Suspend(_) | Intent::End(_), _) => end(run, application, settings, now),
        (Intent::Run, None) => Step::Wait(None),
        // The spark-operator is away, it seems. What its driver said stands; its slot shall not wait for more.
        (Intent::Run, Some(since)) => match since + settings.operator_absent {
            patience if now < patience => Step::Wait(Some(patience)),
            _ => end(run, application, settings, now),
        },
    }
}

/// Ends a living run, once the spark-operator has let go of it: an application that is deleted before its state has
/// left "" is submitted twice.
fn end(run: &Run, application: &ApplicationSeen, settings: &Settings, now: Time) -> Step {
    let patience = run.sighted.unwrap_or(now) + settings.operator_absent;
    if application.state == ApplicationState::New && now < patience {
        return Step::Wait(Some(patience));
    }
    if run.recorded { Step::Delete } else { Step::Record }
}

fn with_placeholder(
    run: &Run,
    placeholder: Placeholder,
    view: &View<'_>,
    intent: &Intent,
    settings: &Settings,
    now: Time,
) -> Step {
    if view.has_live_pod() {
        return Step::Wait(None);
    }
    if placeholder == Placeholder::Replan && !matches!(intent, Intent::End(_)) {
        return Step::CloseForReplan;
    }
    // An application stood here before and vanished: its pods may live on, or be about to come.
    if run.holder.seen {
        if let Some(patience) = submission_may_follow(run, settings, now) {
            return Step::Wait(Some(patience));
        }
        if !run.confirmed {
            return Step::Confirm;
        }
    }
    Step::Close(outcome_of_vanished(run, intent))
}

/// Until when a submission that was in hand may still bring a driver, although the application is gone or going.
fn submission_may_follow(run: &Run, settings: &Settings, now: Time) -> Option<Time> {
    let submitted = matches!(
        run.last_state,
        Some(
            ApplicationState::Submitted
                | ApplicationState::Running
                | ApplicationState::Completed
                | ApplicationState::Failed
        )
    );
    let patience = run.podless.unwrap_or(now) + settings.operator_absent;
    (!submitted && now < patience).then_some(patience)
}

/// How a run ended whose application is gone, or was deleted before it ended.
fn outcome_of_vanished(run: &Run, intent: &Intent) -> Outcome {
    let deleted = "its SparkApplication was deleted by somebody else before it ended";
    let outcome = run.outcome.clone().or_else(|| intent.outcome());
    outcome.unwrap_or_else(|| Outcome::Failed(EndReason::ApplicationDeleted, deleted.into()))
}

fn with_terminal(
    run: &Run,
    application: &ApplicationSeen,
    view: &View<'_>,
    intent: &Intent,
    settings: &Settings,
    now: Time,
) -> Step {
    if view.has_live_driver() {
        // The application's word is not the truth; what is wanted of the run still holds.
        return match intent {
            Intent::Run => Step::Wait(None),
            Intent::Suspend(_) | Intent::End(_) if application.deleting.is_some() && application.foreground => {
                Step::Wait(None)
            }
            Intent::Suspend(_) | Intent::End(_) => end(run, application, settings, now),
        };
    }
    if view.has_live_pod() {
        let patience = run.settled.unwrap_or(now) + settings.lingering;
        return match () {
            () if run.deleted && application.deleting.is_some() && application.foreground => Step::Wait(None),
            () if now < patience => Step::Wait(Some(patience)),
            () if !run.recorded => Step::Record,
            () => Step::Delete,
        };
    }
    // The two watches are not ordered: without a finished driver in sight its pods may simply not have been seen yet.
    // In a list a driver may come before its executors.
    let finished = !view.listing && view.driver.is_some_and(|driver| !driver.phase.is_live());
    if !finished && !run.confirmed {
        return Step::Confirm;
    }
    Step::Close(run.outcome.clone().unwrap_or_else(|| outcome_without_driver(application)))
}

/// The application's own word, where no finished driver was ever seen.
fn outcome_without_driver(application: &ApplicationSeen) -> Outcome {
    if application.state == ApplicationState::Completed {
        return Outcome::Succeeded(Report::None);
    }
    // Spark's own id comes with the driver: without one there never was any, whatever name the status gives.
    let submitted = application.application_id.is_some();
    let reason = if submitted { EndReason::DriverLost } else { EndReason::SubmissionFailed };
    let words = application.message.clone();
    Outcome::Failed(reason, words.unwrap_or_else(|| "the spark-operator reports FAILED without a reason".into()))
}

fn with_deleted(
    run: &Run,
    application: &ApplicationSeen,
    view: &View<'_>,
    intent: &Intent,
    settings: &Settings,
    now: Time,
) -> Step {
    if view.has_live_pod() {
        // Somebody deleted it in the background: its pods stay until it is deleted in the foreground as well. Should it
        // have been untouched, a second submission may follow; the wait without pods below sees to that.
        return match () {
            () if application.foreground => Step::Wait(None),
            () if !run.recorded => Step::Record,
            () => Step::Delete,
        };
    }
    if let Some(patience) = submission_may_follow(run, settings, now) {
        return Step::Wait(Some(patience));
    }
    if !run.confirmed {
        return Step::Confirm;
    }
    Step::Close(outcome_of_vanished(run, intent))
}
