//! What went wrong elsewhere, as stories here: each by the repository and the number under which it was told.

use slowlane::model::WaitReason;

use crate::cases::{Case, of_executors, taking, world};
use crate::rule::{Cluster, Operation};
use crate::story::Event;

fn locked(locks: &[(usize, u32)]) -> Operation {
    Operation { locks: locks.to_vec(), ..Operation::default() }
}

fn strict(executors: u64) -> Cluster {
    Cluster { strict: true, ..of_executors(executors) }
}

/// A workflow that named a mutex and a semaphore was held to the semaphore alone: two ran at once.
#[test]
fn peer_argo_workflows_11859() {
    let mut world = world(vec![locked(&[(0, 1), (1, 1)]), locked(&[(0, 1)]), locked(&[(1, 1)])], vec![of_executors(9)]);
    world.locks = [Some(1), Some(1)];
    for either in [1, 2] {
        let mut case = Case::new(world.clone());
        let one = case.comes(either, None, 1, 1);
        let both = case.comes(0, None, 1, 1);
        assert!(case.runs(one) && !case.runs(both), "one of its two locks is taken");
        assert_eq!(case.told(both).0, WaitReason::LockTaken);
        case.ends(one);
        let (orders, stock) = (case.comes(1, None, 1, 1), case.comes(2, None, 1, 1));
        assert!(case.runs(both) && !case.runs(orders) && !case.runs(stock), "it holds both");
    }
}

/// A workflow with several mutexes ended and left some of them locked.
#[test]
fn peer_argo_workflows_14461() {
    let mut world = world(vec![locked(&[(0, 1), (1, 2)]), locked(&[(0, 1)]), locked(&[(1, 2)])], vec![of_executors(9)]);
    world.locks = [Some(1), Some(2)];
    let mut case = Case::new(world);
    let both = case.comes(0, None, 1, 1);
    let (orders, stock) = (case.comes(1, None, 1, 1), case.comes(2, None, 1, 1));
    assert!(!case.runs(orders) && !case.runs(stock));
    case.ends(both);
    assert!(case.runs(orders) && case.runs(stock), "all that it held is free");
}

/// A queue that was stopped admitted one more when what ran in it ended.
#[test]
fn peer_kueue_1651() {
    let mut case = Case::new(world(vec![Operation::default()], vec![of_executors(2)]));
    let (one, other) = (case.comes(0, None, 1, 1), case.comes(0, None, 1, 1));
    let waiting = case.comes(0, None, 1, 1);
    case.world.clusters[0].held = true;
    case.happens(&Event::Cluster(0));
    case.ends(one);
    case.minutes_pass(11);
    case.ends(other);
    assert!(!case.runs(waiting), "nothing starts on a cluster that is held");
    assert_eq!(case.told(waiting).0, WaitReason::ClusterHeld);
    case.world.clusters[0].held = false;
    case.happens(&Event::Cluster(0));
    assert!(case.runs(waiting));
}

/// A large workload starved: whenever something ended, a newer small one fitted into what came free.
#[test]
fn peer_kueue_534() {
    let mut case = Case::new(world(vec![Operation::default()], vec![of_executors(10)]));
    let mut small: Vec<u32> = (0..2).map(|_| case.comes(0, None, 3, 1)).collect();
    let large = case.comes(0, None, 5, 1);
    for _ in 0..30 {
        small.push(case.comes(0, None, 3, 1));
        case.minutes_pass(1);
        let oldest = small.iter().position(|job| case.runs(*job)).unwrap();
        case.ends(small.remove(oldest));
        if case.runs(large) {
            return;
        }
    }
    panic!("it never starts");
}

/// A workload that its queue's namespace selector does not admit stood at the head and let nobody past (strict order).
#[test]
fn peer_kueue_301() {
    let foreign = Operation { namespace: 1, ..Operation::default() };
    let cluster = Cluster { namespaces: vec![0], ..strict(4) };
    let mut world = world(vec![Operation::default(), foreign], vec![of_executors(0)]);
    world.clusters = vec![Cluster { declared: true, ..cluster }];
    let mut case = Case::new(world);
    let stranger = case.comes(1, None, 1, 3);
    let ours = case.comes(0, None, 4, 0);
    assert!(case.runs(ours), "who is not admitted is nobody's first");
    assert_eq!(case.told(stranger).0, WaitReason::NoMatchingCluster);
}

/// A low workload that was kept at the head while room was made for it kept a more important one waiting.
#[test]
fn peer_kueue_7301() {
    let mut case = Case::new(world(vec![taking(60)], vec![of_executors(3)]));
    let running: Vec<u32> = (0..3).map(|_| case.comes(0, None, 1, 1)).collect();
    let low = case.comes(0, None, 3, 0);
    case.minutes_pass(11);
    let (_, words) = case.told(low);
    assert!(words.contains("expected at"), "it has a reservation: {words}");
    case.ends(running[0]);
    let high = case.comes(0, None, 1, 2);
    assert!(case.runs(high) && !case.runs(low), "a reservation binds those below only");
}

/// More was taken of a pool than it had, its free slots were below zero, and "none left" was asked of zero alone: all started.
#[test]
fn peer_airflow_1275() {
    let mut world = world(vec![locked(&[(0, 1)]), locked(&[(1, 1)])], vec![of_executors(20)]);
    world.locks = [Some(4), Some(1)];
    let mut case = Case::new(world);
    let running: Vec<u32> = (0..4).map(|_| case.comes(0, None, 1, 1)).collect();
    case.world.locks[0] = Some(2);
    case.happens(&Event::Limits);
    let waiting = [case.comes(0, None, 1, 1), case.comes(0, None, 1, 1)];
    for ended in &running[..2] {
        case.ends(*ended);
        assert!(!waiting.iter().any(|job| case.runs(*job)), "no fewer are taken than there are");
    }
    let other = case.comes(1, None, 1, 1);
    assert!(case.runs(other), "it stops nobody who needs another");
    case.ends(running[2]);
    assert!(case.runs(waiting[0]) && !case.runs(waiting[1]), "one has ended too many for one more");
}

/// The scheduler looked at the first 32 only: all of them needed a pool that was full, and nobody behind them ever ran.
#[test]
fn peer_airflow_45636() {
    let one = Operation { limit: Some(1), ..Operation::default() };
    let mut world = world(vec![one, locked(&[(0, 1)]), Operation::default()], vec![of_executors(9)]);
    world.locks = [Some(1), None];
    let mut case = Case::new(world);
    for operation in [0, 1] {
        (0..50).for_each(|_| _ = case.comes(operation, None, 1, 3));
    }
    let behind = case.comes(2, None, 1, 0);
    assert!(case.runs(behind), "however many wait for something else");
}

/// Ten applications came at once, their drivers took all there was, and none got an executor: none ever ended.
#[test]
fn peer_spark_operator_594() {
    // Eleven cores: for eleven drivers, or for five of them with an executor each.
    let cores = Cluster { capacity: [u64::MAX, 11_000, u64::MAX], ..Cluster::default() };
    let mut case = Case::new(world(vec![Operation::default()], vec![cores]));
    let jobs: Vec<u32> = (0..10).map(|_| case.comes(0, None, 1, 1)).collect();
    let running = jobs.iter().filter(|job| case.runs(**job)).count();
    assert_eq!(running, 5, "a driver starts with its executors or not at all");
}

/// A job that no node could ever take was let into its queue all the same, and what it asked for was kept from the next.
#[test]
fn peer_volcano_2814() {
    let mut case = Case::new(world(vec![Operation::default()], vec![strict(4)]));
    let large = case.comes(0, None, 5, 3);
    let (reason, words) = case.told(large);
    assert_eq!(reason, WaitReason::ExceedsClusterMaximum, "{words}");
    case.minutes_pass(11);
    let small = case.comes(0, None, 4, 0);
    assert!(case.runs(small), "it holds up nobody, not even in strict order");
    case.ends(small);
    case.world.clusters[0].capacity[0] = 5;
    case.happens(&Event::Cluster(0));
    assert!(case.runs(large));
}
