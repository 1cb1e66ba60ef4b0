//! The two shapes of many servers: what one step does is done in one place.

use std::time::Duration;

use futures_util::StreamExt;
use gateway_core::coord::{Coordinator, Notice, PairingSecret, ReplicaNumbers};
use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::ChallengeKind;
use gateway_core::time::Timestamp;
use gateway_testkit::services::{PrivateCluster, PrivateSentinel};

use crate::{connect, eventually, own};

const MINUTE: Duration = Duration::from_secs(60);
const QR: ChallengeKind = ChallengeKind::Qr;

pub(crate) async fn scripts_and_hints_work_behind_a_sentinel() {
    let sentinel = own(PrivateSentinel::start());
    everything_works(&sentinel.url()).await;
}

pub(crate) async fn scripts_and_hints_work_again_after_a_failover() {
    let mut sentinel = own(PrivateSentinel::start_with_replica());
    let url = sentinel.url();
    let a = connect(&url, "a").await.expect("connected");
    let b = connect(&url, "b").await.expect("connected");
    assert_eq!(a.count("key", MINUTE).await.expect("counted").count, 1);
    sentinel.server.kill();
    let replica = sentinel.replica.as_ref().expect("a second server");
    eventually("the second server is the master", || async {
        let role = replica.command(&["ROLE"]).ok()?;
        role.contains("master").then_some(())
    })
    .await;
    eventually("it counts", || async {
        b.count("other", MINUTE).await.ok()
    })
    .await;
    let size = replica.command(&["EXISTS", "test:count:other"]);
    assert_eq!(size.expect("an answer"), ":1\r\n", "the new one counts");
    eventually("a hint goes from one to the other", || async {
        let mut heard = b.notices().await.expect("a stream");
        let _ = a.notify(&Notice::Due).await;
        let next = tokio::time::timeout(Duration::from_secs(1), heard.next()).await;
        next.ok().flatten().filter(|notice| *notice == Notice::Due)
    })
    .await;
}

pub(crate) async fn scripts_and_hints_work_on_a_cluster() {
    let cluster = own(PrivateCluster::start());
    everything_works(&cluster.url()).await;
    for node in &cluster.nodes {
        let size = node.command(&["DBSIZE"]).expect("an answer");
        assert_ne!(size, ":0\r\n", "keys are spread over all nodes");
    }
}

fn code(index: u32) -> PairingSecret {
    PairingSecret {
        epoch: Epoch(1),
        kind: QR,
        index,
        text: format!("code {index}"),
        expires_at: Timestamp::from_micros(0),
    }
}

/// Enough sessions that a cluster's nodes have some each.
async fn everything_works(url: &str) {
    let a = connect(url, "a").await.expect("connected");
    let b = connect(url, "b").await.expect("connected");
    for n in 0..64 {
        let session = SessionId::from_u128(n);
        for index in [1, 0] {
            let put = a.put_secret(session, &code(index), MINUTE).await;
            put.expect("put");
        }
        assert_eq!(b.secret(session, QR).await.expect("read"), Some(code(1)));
        b.drop_secrets(session).await.expect("dropped");
        assert_eq!(a.secret(session, QR).await.expect("read"), None);
        let key = format!("key {n}");
        for count in 1..=2 {
            let counted = b.count(&key, MINUTE).await.expect("counted");
            assert_eq!(counted.count, count);
        }
    }
    for replica in ["a", "b"] {
        let live = ReplicaNumbers {
            replica: replica.to_owned(),
            numbers: [].into(),
        };
        a.publish_numbers(&live, MINUTE).await.expect("shown");
    }
    assert_eq!(b.replica_numbers().await.expect("read").len(), 2);
    eventually("a hint goes from one to the other", || async {
        let mut heard = b.notices().await.expect("a stream");
        a.notify(&Notice::Due).await.expect("said");
        let next = tokio::time::timeout(Duration::from_secs(1), heard.next()).await;
        next.ok().flatten().filter(|notice| *notice == Notice::Due)
    })
    .await;
}

pub(crate) async fn a_frozen_node_of_a_cluster_makes_nobody_wait_in_line() {
    let cluster = own(PrivateCluster::start());
    let coordinator = connect(&cluster.url(), "a").await.expect("connected");
    let last = cluster.nodes.last().expect("a node");
    last.freeze().expect("frozen");
    // A third of the keys lie there. One by one, their calls would take some three hundred time limits of
    // 250 ms; behind the breaker it is one per probe, and the rest fail at once.
    let calls = async {
        for n in 0..1_000 {
            let _ = coordinator.count(&format!("key {n}"), MINUTE).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), calls).await;
    in_time.expect("an outage of a part is no outage of requests");
    last.thaw().expect("thawed");
    for n in 0..20 {
        eventually("every key is counted again", || async {
            let counted = coordinator.count(&format!("key {n}"), MINUTE).await;
            counted.ok().map(|_| ())
        })
        .await;
    }
}
