//! The API server and its store killed with -9, and back. They are the cluster's own processes, so nothing else may use it
//! meanwhile.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::daemon::{self, server_is_ready};
use crate::keeper::Keeper;
use crate::operator::{Operator, Play};
use crate::scene::{all_is_well_since, one_runs_and_one_waits};
use crate::world::{World, server_may_go};

/// Longer than any lease here is good for without a renewal.
const AWHILE: Duration = Duration::from_secs(5);

/// What the kubelet does with one that has ended.
fn restarted(world: &World, keeper: Keeper) -> Keeper {
    let mut keeper = keeper;
    if keeper.has_ended() {
        println!("the leader could not renew its lease and has ended: it is started again");
        drop(keeper);
        return Keeper::start(world);
    }
    keeper
}

/// The end of a fault during which the run has ended.
async fn all_ends_well(fault: &str, world: World, keeper: Keeper, operator: Operator) {
    operator.play("first", Play::Succeed(String::new()));
    server_is_ready(&world).await;
    let ended = Instant::now();
    world.job("third", "other", json!({})).await;
    all_is_well_since(ended, fault, &world, &operator).await;
    drop(keeper);
    world.remove().await;
}

#[tokio::test]
async fn the_api_server_can_be_away_for_longer_than_a_lease_is_good_for() {
    let (world, mut keeper, operator) = one_runs_and_one_waits().await;
    let alone = server_may_go().await;
    let killed = daemon::kill("apiserver").await;
    assert_eq!(keeper.ended().await.code(), Some(1), "no leader outlives its lease");
    // One that starts now waits for the API server.
    let mut next = Keeper::start(&world);
    tokio::time::sleep(AWHILE).await;
    assert!(!next.has_ended(), "{}", next.log());
    killed.start();
    all_ends_well("an API server that was away", world, next, operator).await;
    drop((alone, keeper));
}

#[tokio::test]
async fn etcd_can_be_killed_and_come_back() {
    let (world, keeper, operator) = one_runs_and_one_waits().await;
    let alone = server_may_go().await;
    let killed = daemon::kill("etcd").await;
    tokio::time::sleep(AWHILE).await;
    let keeper = restarted(&world, keeper);
    killed.start();
    all_ends_well("an etcd that was killed", world, keeper, operator).await;
    drop(alone);
}
