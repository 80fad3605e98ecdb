//! Stories that somebody has told us, each as short as can be: by name, so that they are never forgotten.

use std::collections::BTreeMap;

use slowlane::model::WaitReason;

use crate::drive::Driven;
use crate::rule::{Cluster, Job, Operation, Size, World};
use crate::story::Event;

const MINUTE: i64 = 60_000;
const BOUND: i64 = 10 * MINUTE;

/// Operations and clusters that set no bounds but those that a case gives them; a run of one executor takes a core for it and one
/// for its driver.
pub(crate) fn world(operations: Vec<Operation>, clusters: Vec<Cluster>) -> World {
    let declared = |it: Operation| Operation { declared: true, cores: 1, ..it };
    let open = |it: Cluster| Cluster { declared: true, namespaces: vec![0, 1], ..it };
    World {
        now: 1_700_000_000_000,
        aging: 86_400_000,
        bound: BOUND,
        most_runs: 1000,
        served: true,
        terminating: vec![false; 2],
        operations: operations.into_iter().map(declared).collect(),
        clusters: clusters.into_iter().map(open).collect(),
        ..World::default()
    }
}

pub(crate) fn of_executors(executors: u64) -> Cluster {
    Cluster { capacity: [executors, u64::MAX, u64::MAX], ..Cluster::default() }
}

pub(crate) fn backfilling(executors: u64) -> Cluster {
    Cluster { backfill: true, ..of_executors(executors) }
}

/// Its runs are expected to take so long.
pub(crate) fn taking(minutes: i64) -> Operation {
    Operation { expected: Some(minutes * MINUTE), ..Operation::default() }
}

/// The gate and the rule side by side.
pub(crate) struct Case {
    pub(crate) world: World,
    driven: Driven,
    born: u32,
    running: BTreeMap<u32, usize>,
}

impl Case {
    pub(crate) fn new(world: World) -> Self {
        let driven = Driven::new(&world);
        Self { world, driven, born: 0, running: BTreeMap::new() }
    }

    /// A job comes that needs so many executors, of a class (0 is Low), and may go to one cluster only. Its number.
    pub(crate) fn comes(&mut self, operation: usize, cluster: Option<usize>, executors: u64, class: i64) -> u32 {
        self.comes_for(operation, cluster, (executors, executors), class)
    }

    /// Of the least and the most executors.
    pub(crate) fn comes_for(
        &mut self,
        operation: usize,
        cluster: Option<usize>,
        (min, max): (u64, u64),
        class: i64,
    ) -> u32 {
        let job = self.job(operation, cluster, (min, max), class);
        self.submit(job)
    }

    /// Of a size that clusters declare.
    fn comes_of_size(&mut self, size: usize, cluster: Option<usize>) -> u32 {
        let job = self.job(0, cluster, (0, 0), 1);
        self.submit(Job { size: Some(size), ..job })
    }

    fn job(&mut self, operation: usize, cluster: Option<usize>, (min, max): (u64, u64), class: i64) -> Job {
        let number = self.born;
        self.born += 1;
        Job {
            number,
            arrival: number,
            operation,
            class,
            created: self.world.now,
            cluster,
            selected: None,
            min,
            max,
            size: None,
            own_limit: None,
            answers: Default::default(),
            defect: false,
        }
    }

    fn submit(&mut self, job: Job) -> u32 {
        let number = job.number;
        self.world.jobs.push(job.clone());
        self.happens(&Event::Comes(job));
        number
    }

    fn edited(&mut self, cluster: usize, declared: Cluster) {
        self.world.clusters[cluster] = Cluster { declared: true, namespaces: vec![0, 1], ..declared };
        self.happens(&Event::Cluster(cluster));
    }

    pub(crate) fn ends(&mut self, job: u32) {
        assert!(self.running.remove(&job).is_some(), "{job} does not run");
        self.world.runs.retain(|run| run.job != job);
        self.happens(&Event::Ends(job));
    }

    /// The gate is only asked when it would wake the engine; the rule is asked always.
    pub(crate) fn minutes_pass(&mut self, minutes: i64) {
        for _ in 0..minutes {
            self.world.now += MINUTE;
            if self.driven.would_wake(self.world.now) {
                self.happens(&Event::Later);
            } else {
                assert_eq!(self.world.decide(), [], "could start, and nobody would have woken the engine");
            }
        }
    }

    pub(crate) fn happens(&mut self, event: &Event) {
        self.driven.apply(event, &self.world);
        self.world.window = self.driven.longest_line();
        let said = self.driven.starts(&self.world);
        let ruled: Vec<_> = self.world.decide().iter().map(|it| (it.job, it.cluster, it.executors)).collect();
        assert_eq!(said, ruled, "the gate and the rule start others");
        self.running.extend(said.into_iter().map(|(job, cluster, _)| (job, cluster)));
    }

    pub(crate) fn runs(&self, job: u32) -> bool {
        self.running.contains_key(&job)
    }

    /// What the job is told.
    pub(crate) fn told(&mut self, job: u32) -> (WaitReason, String) {
        self.driven.told(job, &self.world)
    }
}

#[test]
fn a_claim_keeps_the_slot_of_its_operation() {
    let limited = Operation { limit: Some(1), ..Operation::default() };
    let mut case = Case::new(world(vec![limited, Operation::default()], vec![of_executors(10), of_executors(10)]));
    let k = case.comes(0, Some(1), 1, 1);
    let m = case.comes(1, Some(0), 5, 1);
    let large = case.comes(0, Some(0), 10, 1);
    case.minutes_pass(11);
    let next_k = case.comes(0, Some(1), 1, 1);
    let next_m = case.comes(1, Some(0), 5, 1);
    assert!(case.runs(next_m), "nothing is kept for who does not contend");
    case.ends(k);
    assert!(!case.runs(next_k), "the operation's slot is kept for the job that came first");
    case.ends(m);
    case.ends(next_m);
    assert!(case.runs(large));
}

#[test]
fn a_claim_keeps_every_lock_and_room_only_once_it_has_them() {
    let locks = |locks: Vec<(usize, u32)>| Operation { locks, ..Operation::default() };
    let operations = vec![locks(vec![(0, 1), (1, 1)]), locks(vec![(0, 1)]), locks(vec![(1, 1)]), locks(vec![])];
    let mut world = world(operations, vec![of_executors(4)]);
    world.locks = [Some(1), Some(1)];
    let mut case = Case::new(world);
    let (a, b) = (case.comes(1, None, 1, 1), case.comes(2, None, 1, 1));
    let both = case.comes(0, None, 2, 1);
    case.minutes_pass(11);
    let (next_a, next_b) = (case.comes(1, None, 1, 1), case.comes(2, None, 1, 1));
    case.ends(a);
    assert!(!case.runs(next_a), "the first lock is kept, though the second is lacking");
    let (reason, words) = case.told(next_a);
    assert_eq!(
        (reason, &*words),
        (WaitReason::HigherPriorityFirst, "permits of lock orders are kept for a job ranked above")
    );
    let free = case.comes(3, None, 3, 1);
    assert!(case.runs(free), "room is not kept for who waits for a lock");
    case.ends(b);
    assert!(!case.runs(next_b) && !case.runs(both), "now room is kept");
    case.ends(free);
    assert!(case.runs(both) && !case.runs(next_a) && !case.runs(next_b));
}

#[test]
fn one_job_claims_one_cluster() {
    let mut case = Case::new(world(vec![Operation::default()], vec![of_executors(2), of_executors(2)]));
    let (first, second) = (case.comes(0, Some(0), 1, 1), case.comes(0, Some(1), 1, 1));
    let large = case.comes(0, None, 2, 1);
    case.minutes_pass(11);
    let small = case.comes(0, None, 1, 1);
    assert_eq!(case.running.get(&small), Some(&1), "the first by name drains, the other does not");
    case.ends(first);
    assert_eq!(case.running.get(&large), Some(&0));
    case.ends(second);
}

#[test]
fn backfill_lets_those_pass_that_delay_nobody_and_tells_when() {
    let mut case = Case::new(world(vec![taking(60), taking(20), taking(90)], vec![backfilling(4)]));
    let running = case.comes(0, None, 3, 1);
    let first = case.comes(0, None, 3, 1);
    let (_, words) = case.told(first);
    assert_eq!(words, "needs 3 executors, cluster-0 has free: 1; expected at 2023-11-14 23:13 UTC");
    let beside = case.comes(2, None, 1, 1);
    assert!(case.runs(beside), "it fits beside");
    case.ends(beside);
    let short = case.comes(1, None, 1, 1);
    assert!(case.runs(short));
    case.minutes_pass(61);
    let (_, words) = case.told(first);
    assert_eq!(
        words,
        "needs 3 executors, cluster-0 has free: 0; expected at 2023-11-15 00:13 UTC (first said: 2023-11-14 23:13 UTC)"
    );
    case.ends(running);
    assert!(case.runs(first));
}

#[test]
fn backfill_keeps_its_word_over_longer_jobs() {
    let mut case = Case::new(world(vec![taking(60), taking(20), taking(90)], vec![backfilling(4)]));
    let running = case.comes(0, None, 3, 1);
    let all = case.comes(0, None, 4, 1);
    let long = case.comes(2, None, 1, 1);
    let (reason, words) = case.told(long);
    assert_eq!(reason, WaitReason::HigherPriorityFirst);
    assert_eq!(words, "it would delay a job ranked above that has a reservation on cluster-0");
    let short = case.comes(1, None, 1, 1);
    assert!(case.runs(short) && !case.runs(long));
    case.ends(short);
    case.minutes_pass(45);
    let late = case.comes(1, None, 1, 1);
    assert!(!case.runs(late), "it would end after the reservation");
    case.ends(running);
    assert!(case.runs(all));
}

#[test]
fn a_run_that_is_late_is_expected_anew_until_patience_ends() {
    let mut case = Case::new(world(vec![taking(60), taking(20)], vec![backfilling(4)]));
    let running = case.comes(0, None, 3, 1);
    let all = case.comes(0, None, 4, 1);
    case.minutes_pass(45);
    let short = case.comes(1, None, 1, 1);
    assert!(!case.runs(short), "it would end after the reservation");
    case.minutes_pass(15);
    assert!(case.runs(short), "the run that is waited for is late: it is expected to take an hour more");
    case.ends(short);
    // The bound, and sixteen times the hour that it was expected to take.
    case.minutes_pass(16 * 60);
    let short = case.comes(1, None, 1, 1);
    assert!(!case.runs(short), "nobody passes any more");
    let (_, words) = case.told(all);
    assert_eq!(
        words,
        "needs 4 executors, cluster-0 has free: 1; expected at 2023-11-14 23:13 UTC, but runs take longer than expected"
    );
    case.ends(running);
    assert!(case.runs(all));
}

#[test]
fn patience_is_of_each_run_by_itself() {
    let mut case = Case::new(world(vec![taking(30 * 24 * 60), taking(1)], vec![backfilling(4)]));
    let (month, minutes) = (case.comes(0, None, 1, 1), case.comes(1, None, 2, 1));
    let waiting = case.comes(0, None, 3, 1);
    case.minutes_pass(5);
    let short = case.comes(1, None, 1, 1);
    assert!(case.runs(short), "the run that is waited for is expected to take eight minutes by now");
    case.ends(short);
    case.minutes_pass(35);
    let short = case.comes(1, None, 1, 1);
    assert!(!case.runs(short), "that another run takes a month is no reason to let more pass");
    case.ends(minutes);
    assert!(case.runs(waiting) && case.runs(month) && !case.runs(short));
}

#[test]
fn an_urgent_job_is_not_held_up_by_what_is_kept_for_a_lesser_one() {
    let mut case = Case::new(world(vec![Operation::default()], vec![of_executors(10)]));
    let (half, rest) = (case.comes(0, None, 5, 1), case.comes(0, None, 5, 1));
    let low = case.comes(0, None, 8, 0);
    case.minutes_pass(11);
    let critical = case.comes(0, None, 5, 3);
    case.ends(half);
    assert!(case.runs(critical) && !case.runs(low), "what is kept is kept from those below only");
    case.ends(rest);
    case.ends(critical);
    assert!(case.runs(low));
}

#[test]
fn an_overdue_job_is_granted_before_others_are_granted_more_than_their_least() {
    let mut case = Case::new(world(vec![Operation::default()], vec![of_executors(10)]));
    let (half, rest) = (case.comes(0, None, 5, 1), case.comes(0, None, 5, 1));
    let waiting = case.comes(0, None, 6, 0);
    case.minutes_pass(11);
    let greedy = case.comes_for(0, None, (1, 10), 3);
    assert!(!case.runs(greedy));
    case.ends(half);
    assert!(case.runs(greedy));
    let taken = case.world.runs.iter().find(|run| run.job == greedy).unwrap().takes[0];
    assert_eq!(taken, 1, "more than its least would be taken from what is kept");
    case.ends(rest);
    assert!(case.runs(waiting));
}

#[test]
fn a_claim_keeps_no_place_of_its_cluster_as_long_as_it_lacks_a_lock() {
    let locked = Operation { locks: vec![(0, 1)], ..Operation::default() };
    let one_at_a_time = Cluster { most_jobs: Some(1), ..of_executors(10) };
    let mut world = world(vec![locked, Operation::default()], vec![one_at_a_time, of_executors(10)]);
    world.locks = [Some(1), None];
    let mut case = Case::new(world);
    let elsewhere = case.comes(0, Some(1), 1, 1);
    let claimant = case.comes(0, Some(0), 1, 1);
    case.minutes_pass(11);
    let other = case.comes(1, Some(0), 1, 1);
    assert!(case.runs(other), "the cluster does not stand empty for a lock that is held elsewhere");
    case.ends(other);
    case.ends(elsewhere);
    assert!(case.runs(claimant));
}

#[test]
fn backfill_keeps_room_by_the_claim_where_nothing_is_known_of_the_ends_of_runs() {
    let mut case = Case::new(world(vec![Operation::default()], vec![backfilling(10)]));
    let (one, other) = (case.comes(0, None, 5, 1), case.comes(0, None, 5, 1));
    let large = case.comes(0, None, 8, 1);
    case.minutes_pass(11);
    let next = case.comes(0, None, 5, 1);
    case.ends(one);
    assert!(!case.runs(next), "what is free is kept");
    let (reason, words) = case.told(next);
    assert_eq!(
        (reason, &*words),
        (WaitReason::HigherPriorityFirst, "room on cluster-0 is kept for a job ranked above")
    );
    case.ends(other);
    assert!(case.runs(large) && !case.runs(next));
}

#[test]
fn priority_fifo_reserves_for_whom_it_keeps_room_where_it_is_known_when_that_comes() {
    let mut case = Case::new(world(vec![taking(60), taking(20), taking(90)], vec![of_executors(4)]));
    let running = case.comes(0, None, 3, 1);
    let all = case.comes(0, None, 4, 1);
    let long = case.comes(2, None, 1, 1);
    assert!(case.runs(long), "before the bound whatever fits passes");
    case.ends(long);
    case.minutes_pass(11);
    let (_, words) = case.told(all);
    assert_eq!(words, "needs 4 executors, cluster-0 has free: 1; expected at 2023-11-14 23:13 UTC");
    let long = case.comes(2, None, 1, 1);
    let (reason, words) = case.told(long);
    assert_eq!(reason, WaitReason::HigherPriorityFirst);
    assert_eq!(words, "it would delay a job ranked above that has a reservation on cluster-0");
    let short = case.comes(1, None, 1, 1);
    assert!(case.runs(short) && !case.runs(long), "who ends before passes");
    case.ends(short);
    case.ends(running);
    assert!(case.runs(all));
}

fn of_size(executors: u64, cores: u64) -> Size {
    Size { min: executors, max: executors, cores: [None, Some(cores)], heap: None }
}

#[test]
fn a_size_costs_what_the_cluster_says_and_an_edit_is_for_those_who_wait() {
    let sized = |of: Size| Cluster { sizes: [Some(of), None], capacity: [10, 8000, u64::MAX], ..Cluster::default() };
    let clusters = vec![sized(of_size(2, 3)), sized(of_size(4, 1)), of_executors(10)];
    let mut case = Case::new(world(vec![Operation::default()], clusters));
    let (first, second) = (case.comes_of_size(0, None), case.comes_of_size(0, None));
    let takes = |case: &Case, job: u32| case.world.runs.iter().find(|run| run.job == job).map(|run| run.takes);
    assert_eq!(takes(&case, first), Some([2, 7000, 3 * 1408]));
    assert_eq!(takes(&case, second), Some([4, 5000, 5 * 1408]));
    let third = case.comes_of_size(0, None);
    let (reason, words) = case.told(third);
    assert_eq!((reason, &*words), (WaitReason::ClusterOccupied, "needs 7 cores, cluster-0 has free: 1"));
    case.edited(1, sized(of_size(1, 2)));
    assert_eq!(takes(&case, third), Some([1, 3000, 2 * 1408]), "it waited for room, and needs less now");
    assert_eq!(takes(&case, second), Some([4, 5000, 5 * 1408]), "what runs keeps what it was granted");
}

#[test]
fn who_wants_a_size_that_nobody_declares_is_told_which_there_are() {
    let small = Cluster { sizes: [Some(of_size(1, 1)), None], ..of_executors(4) };
    let mut case = Case::new(world(vec![Operation::default()], vec![of_executors(4), small]));
    let (middle, small) = (case.comes_of_size(1, None), case.comes_of_size(0, Some(0)));
    let (reason, words) = case.told(middle);
    assert_eq!(reason, WaitReason::NoMatchingCluster);
    assert_eq!(words, "no cluster that it may use declares the size M: cluster-0 has none; cluster-1 has S");
    let (_, words) = case.told(small);
    assert_eq!(words, "no cluster that it may use declares the size S: cluster-0 has none");
    case.edited(0, Cluster { sizes: [None, Some(of_size(2, 1))], ..of_executors(4) });
    assert!(case.runs(middle) && !case.runs(small));
    let (_, words) = case.told(small);
    assert_eq!(words, "no cluster that it may use declares the size S: cluster-0 has M");
}

#[test]
fn a_first_run_goes_by_what_is_known_of_others() {
    let mut case = Case::new(world(vec![taking(60), Operation::default()], vec![backfilling(4)]));
    let running = case.comes(0, None, 3, 1);
    let all = case.comes(0, None, 4, 1);
    let new = case.comes(1, None, 1, 1);
    assert_eq!(case.told(new).0, WaitReason::HigherPriorityFirst, "nothing is known of its end");
    case.world.expected_of_unknown = Some(20 * MINUTE);
    case.happens(&Event::Unknown);
    assert!(case.runs(new), "it is expected to end before the reservation");
    case.ends(running);
    let (_, words) = case.told(all);
    assert_eq!(words, "needs 4 executors, cluster-0 has free: 3; expected at 2023-11-14 22:33 UTC");
}

#[test]
fn who_waits_for_a_lock_that_only_a_cluster_declares_is_told_so() {
    let locked = || Operation { locks: vec![(0, 1)], ..Operation::default() };
    let cluster = Cluster { locks: [Some(1), None], ..of_executors(10) };
    let mut case = Case::new(world(vec![locked(), locked()], vec![cluster]));
    let holder = case.comes(0, None, 1, 1);
    let waits = case.comes(1, None, 1, 1);
    assert!(case.runs(holder));
    let (reason, words) = case.told(waits);
    assert_eq!(reason, WaitReason::LockTaken);
    assert!(words.ends_with(": 1 of 1 permits taken, needs 1: job-0"), "{words}");
}
