//! What the world does by itself: spark-operator, kubelet, drivers, garbage collector, namespace controller. Each thing
//! that can happen now is a [`Move`]; which one happens next is drawn.

use slowlane::model::{
    ApplicationState, DriverEnd, Name, ObjectKey, PodPhase, PodRole, Report, ReportedResult, ResultSource,
};

use crate::objects::{App, Pod};
use crate::rng::Rng;
use crate::world::World;

#[derive(Debug, Clone)]
pub(crate) enum Move {
    /// The operator sees a new application and starts `spark-submit`.
    PickUp(ObjectKey),
    /// `spark-submit` ends.
    Submit(ObjectKey),
    /// `spark-submit` ends for an application that is gone meanwhile.
    SubmitGhost(usize),
    /// `SUBMISSION_FAILED` becomes FAILED.
    GiveUp(ObjectKey),
    /// The operator says that a placeholder is suspended.
    Suspend(ObjectKey),
    /// The operator's word follows the driver.
    Follow(ObjectKey),
    /// The operator removes the driver of an application that is being deleted.
    KillDriver(ObjectKey),
    DriverRuns(ObjectKey),
    DriverEnds(ObjectKey),
    AskForExecutor(ObjectKey),
    ExecutorRuns(ObjectKey),
    ExecutorEnds(ObjectKey),
    /// A pod that was told to stop does.
    PodStops(ObjectKey),
    CollectForeground(ObjectKey),
    CollectOrphan(ObjectKey),
    CollectChild(ObjectKey),
    /// A job that is being deleted in the foreground.
    CollectJob(ObjectKey),
    EmptyNamespace(Name),
}

impl World {
    /// Everything that can happen now. `lively`: drivers ask for executors, too.
    pub(crate) fn moves(&self, lively: bool) -> Vec<Move> {
        let mut moves = Vec::new();
        for app in self.apps.values().filter(|app| !app.foreign) {
            self.moves_of_app(app, &mut moves);
        }
        moves.extend((0..self.ghosts.len()).map(Move::SubmitGhost));
        for pod in self.pods.values().filter(|pod| !pod.foreign || pod.terminating) {
            self.moves_of_pod(pod, lively, &mut moves);
        }
        for object in self.jobs.values().filter(|object| object.job.deleting) {
            let mut children = self.apps.values().filter(|app| app.owner.as_ref() == Some(&object.job.uid)).peekable();
            if children.peek().is_none() || children.any(|app| app.deleting.is_none()) {
                moves.push(Move::CollectJob(object.job.key.clone()));
            }
        }
        let terminating = self.namespaces.iter().filter(|(_, namespace)| namespace.terminating);
        moves.extend(
            terminating.filter(|(name, _)| self.can_empty(name)).map(|(name, _)| Move::EmptyNamespace(name.clone())),
        );
        moves
    }

    fn moves_of_app(&self, app: &App, moves: &mut Vec<Move>) {
        let key = || app.key.clone();
        let (driver, leaving) = (self.pods.get(&app.driver_key()), app.deleting.is_some());
        let is_served = self.operator_up && self.unwatched.as_ref() != Some(&app.key.namespace);
        if is_served && app.placeholder.is_some() && app.state == ApplicationState::New {
            moves.push(Move::Suspend(key()));
        }
        if is_served && app.placeholder.is_none() {
            match app.state {
                ApplicationState::New if app.in_hand => moves.push(Move::Submit(key())),
                ApplicationState::New if !leaving => moves.push(Move::PickUp(key())),
                ApplicationState::SubmissionFailed if !leaving => moves.push(Move::GiveUp(key())),
                ApplicationState::Submitted | ApplicationState::Running
                    if leaving && driver.is_some_and(|driver| !driver.terminating) =>
                {
                    moves.push(Move::KillDriver(key()));
                }
                ApplicationState::Submitted | ApplicationState::Running => {
                    let phase = driver.map(|driver| driver.phase);
                    let news = match phase {
                        None | Some(PodPhase::Succeeded | PodPhase::Failed) => true,
                        Some(PodPhase::Running) => app.state == ApplicationState::Submitted,
                        Some(PodPhase::Pending) => false,
                    };
                    if news {
                        moves.push(Move::Follow(key()));
                    }
                }
                _ => {}
            }
        }
        // A driver for which no operator is up any more comes up all the same.
        if !self.operator_up && app.in_hand {
            moves.push(Move::Submit(key()));
        }
        if app.foreground {
            moves.push(Move::CollectForeground(key()));
        }
        if !leaving && app.owner.as_ref().is_some_and(|owner| !self.has_job(owner)) {
            moves.push(Move::CollectChild(key()));
        }
    }

    fn moves_of_pod(&self, pod: &Pod, lively: bool, moves: &mut Vec<Move>) {
        let key = || pod.key.clone();
        if pod.terminating {
            moves.push(Move::PodStops(key()));
        } else if self.is_orphan(pod) {
            moves.push(Move::CollectOrphan(key()));
        }
        match (pod.role, pod.phase) {
            (PodRole::Driver, PodPhase::Pending) if pod.stuck => {}
            (PodRole::Driver, PodPhase::Pending) => moves.push(Move::DriverRuns(key())),
            (PodRole::Driver, PodPhase::Running) => {
                moves.push(Move::DriverEnds(key()));
                if lively && self.wants_executor(pod) {
                    moves.push(Move::AskForExecutor(key()));
                }
            }
            (PodRole::Executor, PodPhase::Pending)
                if self.driver_of(pod).is_some_and(|driver| driver.phase.is_live()) =>
            {
                moves.push(Move::ExecutorRuns(key()));
            }
            // An executor that runs ends with its driver; one that is pending then stays.
            (PodRole::Executor, PodPhase::Running)
                if self.driver_of(pod).is_none_or(|driver| !driver.phase.is_live()) =>
            {
                moves.push(Move::ExecutorEnds(key()));
            }
            _ => {}
        }
    }

    fn driver_of(&self, pod: &Pod) -> Option<&Pod> {
        self.pods.values().find(|driver| Some(&driver.uid) == pod.driver.as_ref())
    }

    fn is_orphan(&self, pod: &Pod) -> bool {
        !self.apps.values().any(|app| app.uid == pod.app) && (pod.driver.is_none() || self.driver_of(pod).is_none())
    }

    fn wants_executor(&self, driver: &Pod) -> bool {
        let most = self.apps.values().find(|app| app.uid == driver.app).map_or(0, |app| app.executors);
        let has = self.pods.values().filter(|pod| pod.driver.as_ref() == Some(&driver.uid)).count();
        (has as u64) < most && self.takes_pods(&driver.key)
    }

    pub(crate) fn make(&mut self, a_move: Move, rng: &mut Rng) {
        match a_move {
            Move::PickUp(key) => {
                if let Some(app) = self.apps.get_mut(&key) {
                    app.in_hand = true;
                }
            }
            Move::Submit(key) => self.submit(&key, rng),
            Move::SubmitGhost(number) => {
                let ghost = self.ghosts.swap_remove(number);
                let may = self.now < ghost.until && self.takes_pods(&ghost.app.key);
                if may && rng.chance(500) && !self.pods.contains_key(&ghost.app.driver_key()) {
                    self.start_driver(&ghost.app, false);
                }
            }
            Move::GiveUp(key) => self.end_app(&key, ApplicationState::Failed, Some("submission failed")),
            Move::Suspend(key) => self.edit_app(&key, |app| app.state = ApplicationState::Suspended),
            Move::Follow(key) => self.follow(&key),
            Move::KillDriver(key) => {
                if let Some(driver) = self.apps.get(&key).map(App::driver_key) {
                    self.edit_pod(&driver, |pod| pod.terminating = true);
                }
            }
            Move::DriverRuns(key) | Move::ExecutorRuns(key) => {
                self.edit_pod(&key, |pod| pod.phase = PodPhase::Running);
            }
            Move::DriverEnds(key) => self.end_driver(&key, rng),
            Move::AskForExecutor(key) => self.ask_for_executor(&key),
            Move::ExecutorEnds(key) => {
                if rng.chance(700) {
                    self.remove_pod(&key);
                } else {
                    self.edit_pod(&key, |pod| pod.phase = PodPhase::Failed);
                }
            }
            Move::PodStops(key) => self.stop_pod(&key, rng),
            Move::CollectForeground(key) => self.collect_foreground(&key),
            Move::CollectOrphan(key) => self.edit_pod(&key, |pod| pod.terminating = true),
            Move::CollectChild(key) => _ = self.delete_app(&key, None, false),
            Move::CollectJob(key) => self.collect_job(&key, rng),
            Move::EmptyNamespace(name) => self.empty_namespace(&name),
        }
    }

    // ---- the operator -----------------------------------------------------------------------------------------

    fn submit(&mut self, key: &ObjectKey, rng: &mut Rng) {
        let Some(app) = self.apps.get(key).cloned() else { return };
        let leaving = app.deleting.is_some();
        let too_late = app.settles_by.is_some_and(|until| self.now >= until);
        if leaving && (too_late || rng.chance(200)) {
            // What was in hand came to nothing.
            return self.lay_down(key);
        }
        let fails = rng.chance(60) || self.pods.contains_key(&app.driver_key()) || !self.takes_pods(key);
        if !fails {
            let stuck = rng.chance(30);
            self.start_driver(&app, stuck);
        }
        if app.disturbed && rng.chance(600) {
            // The operator's own status write met a conflict: it submits once more.
            if let Some(app) = self.apps.get_mut(key) {
                app.disturbed = false;
                app.in_hand = true;
            }
        } else if leaving {
            self.lay_down(key);
        } else {
            let driver: Box<str> = (&*app.driver_key().name).into();
            self.edit_app(key, |app| {
                (app.in_hand, app.disturbed) = (false, false);
                if fails {
                    app.state = ApplicationState::SubmissionFailed;
                } else {
                    (app.state, app.driver_pod) = (ApplicationState::Submitted, Some(driver));
                }
            });
        }
    }

    /// Nothing is created in a namespace that is being deleted.
    fn takes_pods(&self, app: &ObjectKey) -> bool {
        self.namespaces.get(&app.namespace).is_some_and(|namespace| !namespace.terminating)
    }

    fn lay_down(&mut self, key: &ObjectKey) {
        if let Some(app) = self.apps.get_mut(key) {
            (app.in_hand, app.disturbed) = (false, false);
        }
    }

    fn follow(&mut self, key: &ObjectKey) {
        let Some(app) = self.apps.get(key) else { return };
        match self.pods.get(&app.driver_key()).map(|driver| driver.phase) {
            None => self.end_app(key, ApplicationState::Failed, Some("driver pod lost")),
            Some(PodPhase::Failed) => self.end_app(key, ApplicationState::Failed, Some("driver failed")),
            Some(PodPhase::Succeeded) => self.end_app(key, ApplicationState::Completed, None),
            Some(PodPhase::Pending) => {}
            Some(PodPhase::Running) => self.edit_app(key, |app| app.state = ApplicationState::Running),
        }
    }

    pub(crate) fn end_app(&mut self, key: &ObjectKey, state: ApplicationState, message: Option<&str>) {
        let now = self.now;
        self.edit_app(key, |app| {
            (app.state, app.terminated) = (state, Some(now));
            app.message = message.map(Into::into);
        });
    }

    // ---- drivers ----------------------------------------------------------------------------------------------

    fn end_driver(&mut self, key: &ObjectKey, rng: &mut Rng) {
        let Some(pod) = self.pods.get(key).cloned() else { return };
        let well = rng.chance(650);
        let reports = rng.chance(500);
        let uri: Box<str> = format!("s3a://lake/{}", pod.uid).into();
        let result = ReportedResult { uri, source: ResultSource::TerminationMessage };
        let report = if well && reports { Report::Result(result) } else { Report::None };
        let (failure, out_of_memory) = if well { (None, false) } else { (Some("boom".into()), rng.chance(200)) };
        self.edit_pod(key, |pod| {
            pod.phase = if well { PodPhase::Succeeded } else { PodPhase::Failed };
            pod.end = Some(DriverEnd { report, failure, out_of_memory, lost: false });
        });
        // A driver that ends well takes most of its executors with it.
        let executors: Vec<ObjectKey> =
            self.pods.values().filter(|it| it.driver.as_ref() == Some(&pod.uid)).map(|it| it.key.clone()).collect();
        for executor in executors.into_iter().filter(|_| well) {
            if rng.chance(700) {
                self.remove_pod(&executor);
            }
        }
    }

    fn ask_for_executor(&mut self, key: &ObjectKey) {
        let Some(driver) = self.pods.get(key).cloned() else { return };
        let uid = self.new_uid("executor");
        self.put_pod(Pod {
            key: ObjectKey::new(driver.key.namespace.clone(), uid.to_string()),
            uid: uid.clone(),
            role: PodRole::Executor,
            phase: PodPhase::Pending,
            started: None,
            ended: None,
            end: None,
            driver: Some(driver.uid.clone()),
            stuck: false,
            ..driver
        });
    }

    fn stop_pod(&mut self, key: &ObjectKey, rng: &mut Rng) {
        if self.pods.get(key).is_some_and(|pod| pod.phase == PodPhase::Running) && rng.chance(400) {
            self.edit_pod(key, |pod| pod.phase = PodPhase::Failed);
        } else {
            self.remove_pod(key);
        }
    }

    // ---- the garbage collector --------------------------------------------------------------------------------

    fn collect_foreground(&mut self, key: &ObjectKey) {
        let Some(uid) = self.apps.get(key).map(|app| app.uid.clone()) else { return };
        let dependents: Vec<_> = self.pods.values().filter(|pod| pod.app == uid).map(|pod| pod.key.clone()).collect();
        if dependents.is_empty() {
            return self.edit_app(key, |app| app.foreground = false);
        }
        for pod in dependents {
            if self.pods.get(&pod).is_some_and(|pod| !pod.terminating) {
                self.edit_pod(&pod, |pod| pod.terminating = true);
            }
        }
    }

    fn collect_job(&mut self, key: &ObjectKey, rng: &mut Rng) {
        let Some(uid) = self.jobs.get(key).map(|object| object.job.uid.clone()) else { return };
        let children: Vec<_> =
            self.apps.values().filter(|app| app.owner.as_ref() == Some(&uid)).map(|app| app.key.clone()).collect();
        if children.is_empty() {
            return self.remove_job(key);
        }
        for child in children {
            if self.apps.get(&child).is_some_and(|app| app.deleting.is_none()) {
                let _ = self.delete_app(&child, None, rng.chance(500));
            }
        }
    }

    // ---- namespaces -------------------------------------------------------------------------------------------

    fn can_empty(&self, name: &Name) -> bool {
        let inside = |key: &ObjectKey| key.namespace == *name;
        let leaving = self.apps.values().all(|app| !inside(&app.key) || app.deleting.is_some());
        let stopping = self.pods.values().all(|pod| !inside(&pod.key) || pod.terminating);
        let waits_for_somebody = leaving && stopping && (self.apps.keys().any(inside) || self.pods.keys().any(inside));
        !waits_for_somebody || self.jobs.keys().any(inside) || self.operations.keys().any(inside)
    }

    fn empty_namespace(&mut self, name: &Name) {
        let inside = |key: &&ObjectKey| key.namespace == *name;
        let jobs: Vec<_> = self.jobs.keys().filter(inside).cloned().collect();
        jobs.iter().for_each(|key| self.remove_job(key));
        let operations: Vec<_> = self.operations.keys().filter(inside).cloned().collect();
        operations.iter().for_each(|key| self.remove_operation(key));
        let strangers: Vec<_> = self.strangers.keys().filter(inside).cloned().collect();
        strangers.iter().for_each(|key| self.remove_stranger(key));
        let apps: Vec<_> = self.apps.keys().filter(inside).cloned().collect();
        for key in &apps {
            if self.apps.get(key).is_some_and(|app| app.deleting.is_none()) {
                let _ = self.delete_app(key, None, false);
            }
        }
        let pods: Vec<_> = self.pods.keys().filter(inside).cloned().collect();
        for key in &pods {
            if self.pods.get(key).is_some_and(|pod| !pod.terminating) {
                self.edit_pod(key, |pod| pod.terminating = true);
            }
        }
        if apps.is_empty() && pods.is_empty() {
            self.remove_namespace(name);
        }
    }
}
