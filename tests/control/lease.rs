//! Who leads, on a real API server: one at a time, the next one after the time has passed or at once when the lease was
//! given back, and never again after it was lost.

use std::time::Duration;

use http::Method;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, Config};
use serde_json::json;
use slowlane::clock::Clock;
use slowlane::lease::{Elector, Fence, Leadership, LeaseError, Outcome, Term, Timing};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::proxy::{Fault, Proxy};
use crate::world::{PATIENCE, server_stays, unique};

const TIMING: Timing =
    Timing { lease: Duration::from_secs(3), renew_deadline: Duration::from_secs(2), retry: Duration::from_millis(300) };

struct Candidate {
    leadership: watch::Receiver<Leadership>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<Outcome, LeaseError>>,
}

impl Candidate {
    fn start(client: Client, lease: &str, identity: &str) -> Self {
        let term = Term { namespace: "default".into(), name: lease.into(), identity: identity.into(), timing: TIMING };
        let (elector, leadership) = Elector::new(client, Clock::start(), term);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(elector.run(stopped));
        Self { leadership, stop: Some(stop), running }
    }

    async fn leads(&mut self) -> Leadership {
        let led = timeout(PATIENCE, self.leadership.wait_for(|leadership| leadership.leading)).await;
        *led.expect("it leads in time").expect("it runs")
    }

    fn is_leading(&self) -> bool {
        self.leadership.borrow().leading
    }

    async fn release(mut self) -> Outcome {
        drop(self.stop.take());
        self.running.await.expect("it does not break").expect("nothing was lost")
    }

    async fn ends(self) -> LeaseError {
        let Self { running, stop, .. } = self;
        let ended = timeout(PATIENCE, running).await.expect("it ends in time").expect("it does not break");
        drop(stop);
        ended.expect_err("it lost the lease")
    }
}

async fn client() -> Client {
    let mut config = Config::infer().await.expect("KUBECONFIG names a running API server");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

fn leases(client: Client) -> Api<Lease> {
    Api::namespaced(client, "default")
}

async fn steal(client: Client, lease: &str) {
    let patch = Patch::Merge(json!({"spec": {"holderIdentity": "thief"}}));
    leases(client).patch(lease, &PatchParams::default(), &patch).await.expect("it can be stolen");
}

#[tokio::test]
async fn the_first_leader_knows_that_nobody_led_before() {
    let _stays = server_stays().await;
    let lease = unique("lease");
    let mut first = Candidate::start(client().await, &lease, "one");
    assert!(first.leads().await.first);
    assert_eq!(first.release().await, Outcome::Released);
    let mut second = Candidate::start(client().await, &lease, "two");
    assert!(!second.leads().await.first);
}

#[tokio::test]
async fn only_one_leads_and_a_released_lease_is_taken_at_once() {
    let _stays = server_stays().await;
    let lease = unique("lease");
    let mut one = Candidate::start(client().await, &lease, "one");
    one.leads().await;
    let mut two = Candidate::start(client().await, &lease, "two");
    tokio::time::sleep(TIMING.lease + TIMING.retry * 3).await;
    assert!(one.is_leading() && !two.is_leading());
    assert!(two.leadership.borrow().seen.is_some());
    one.release().await;
    let released = Instant::now();
    two.leads().await;
    assert!(released.elapsed() < TIMING.lease / 2, "{:?}", released.elapsed());
}

#[tokio::test]
async fn the_lease_of_a_killed_leader_is_taken_after_its_time() {
    let _stays = server_stays().await;
    let lease = unique("lease");
    let mut one = Candidate::start(client().await, &lease, "one");
    one.leads().await;
    let mut two = Candidate::start(client().await, &lease, "two");
    tokio::time::sleep(TIMING.retry * 2).await;
    one.running.abort();
    let killed = Instant::now();
    two.leads().await;
    assert!(killed.elapsed() > TIMING.lease.checked_sub(TIMING.retry * 2).unwrap(), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_leader_whose_lease_is_stolen_ends_at_once() {
    let _stays = server_stays().await;
    let lease = unique("lease");
    let mut one = Candidate::start(client().await, &lease, "one");
    one.leads().await;
    let fence = Fence::new(one.leadership.clone());
    steal(client().await, &lease).await;
    let stolen = Instant::now();
    let error = one.ends().await;
    assert!(matches!(&error, LeaseError::Taken { holder } if holder == "thief"), "{error}");
    assert!(stolen.elapsed() < TIMING.renew_deadline);
    assert_eq!(fence.remaining(Instant::now()), None);
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_before_another_may_lead() {
    let _stays = server_stays().await;
    let (lease, proxy) = (unique("lease"), Proxy::start().await);
    let mut one = Candidate::start(proxy.client(), &lease, "one");
    one.leads().await;
    let fence = Fence::new(one.leadership.clone());
    proxy.fail(Method::PUT, &lease, Fault::Hang, 1000);
    proxy.fail(Method::GET, &lease, Fault::Hang, 1000);
    let broken = Instant::now();
    let error = one.ends().await;
    assert!(matches!(error, LeaseError::Expired { .. }), "{error}");
    assert!(broken.elapsed() < TIMING.lease, "{:?}", broken.elapsed());
    assert_eq!(fence.remaining(Instant::now()), None);
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_no_loss() {
    let _stays = server_stays().await;
    let (lease, proxy) = (unique("lease"), Proxy::start().await);
    let mut one = Candidate::start(proxy.client(), &lease, "one");
    one.leads().await;
    proxy.fail(Method::PUT, &lease, Fault::CutAnswer, 1);
    tokio::time::sleep(TIMING.lease).await;
    assert!(one.is_leading());
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_still_the_first() {
    let _stays = server_stays().await;
    let (lease, proxy) = (unique("lease"), Proxy::start().await);
    proxy.fail(Method::POST, "leases", Fault::CutAnswer, 1);
    let mut one = Candidate::start(proxy.client(), &lease, "one");
    assert!(one.leads().await.first);
}

#[tokio::test]
async fn a_deleted_lease_is_made_anew_by_its_leader() {
    let _stays = server_stays().await;
    let lease = unique("lease");
    let mut one = Candidate::start(client().await, &lease, "one");
    one.leads().await;
    let leases = leases(client().await);
    leases.delete(&lease, &DeleteParams::default()).await.expect("it can be deleted");
    tokio::time::sleep(TIMING.retry * 4).await;
    assert!(one.is_leading());
    let spec = leases.get(&lease).await.expect("it is there again").spec.expect("it is held");
    assert_eq!(spec.holder_identity.as_deref(), Some("one"));
}
