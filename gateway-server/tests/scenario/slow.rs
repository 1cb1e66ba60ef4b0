//! A database that is far away, and one that does not answer for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gateway_core::id::SessionId;
use gateway_testkit::worker::{CommandKind, PhoneNetwork, Recorder};
use reqwest::StatusCode;
use serde_json::Value;

use crate::crash::{Phones, worker_of};
use crate::gateway::{Gateway, Tenant};
use crate::ground::Ground;
use crate::proxy::Proxy;
use crate::{eventually, pause};

const SENDERS: usize = 60;
/// Far more than a gateway with so few requests in flight ever needs.
const MEMORY: u64 = 300;

/// What senders were told.
#[derive(Debug, Default)]
struct Told {
    stored: BTreeSet<String>,
    unknown: usize,
    refused: BTreeMap<String, usize>,
}

/// Sends until told to stop; a sender that is refused comes back a moment later.
async fn keep_sending(
    sender: usize,
    tenant: Tenant,
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("message {n} of sender {sender}");
        let answer = tenant.raw_send("slow", &text).await;
        let retry_after = answer.headers().contains_key("retry-after");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        let kind = body["type"].as_str().unwrap_or_default().to_owned();
        match status {
            StatusCode::OK => {
                let id = body["data"]["id"].as_str().expect("an id");
                told.stored.insert(id.to_owned());
            }
            StatusCode::GATEWAY_TIMEOUT => told.unknown += 1,
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(retry_after, "{body}");
                refused.fetch_add(1, Ordering::Relaxed);
                *told.refused.entry(kind).or_default() += 1;
                pause(Duration::from_millis(20)).await;
            }
            _ => panic!("{status}: {body}"),
        }
    }
    told
}

struct Scene {
    gateway: Gateway,
    proxy: Proxy,
    phones: Phones,
    tenant: Tenant,
    session: SessionId,
    _worker: gateway_testkit::worker::http::SimHttpWorker,
    _ground: Ground,
}

/// A gateway with a short log whose database is reached over a proxy.
async fn scene() -> Scene {
    let ground = Ground::new();
    let (server, _) = ground.behind("");
    let proxy = Proxy::to(&server).await;
    let (_, url) = ground.behind(proxy.address());
    let gateway = ground.serve(&[
        ("DATABASE_URL", &url),
        ("GATEWAY_MESSAGE_LOG_CAPACITY", "2"),
        ("GATEWAY_MESSAGE_LOG_BATCH_SIZE", "2"),
        ("GATEWAY_WORKERS_SEND_TIMEOUT", "1s"),
        ("GATEWAY_ORCHESTRATION_LEASE", "60s"),
    ]);
    let phones = Phones {
        network: Arc::new(PhoneNetwork::default()),
        recorder: Arc::new(Recorder::on()),
    };
    let worker = worker_of(&gateway, "worker-1", &phones).await;
    let tenant = gateway.tenant("slow@example.com").await;
    let session = tenant.connected_session("slow").await;
    let session = session.parse().expect("an id");
    Scene {
        gateway,
        proxy,
        phones,
        tenant,
        session,
        _worker: worker,
        _ground: ground,
    }
}

/// Sends while `trouble` goes on, then lets the database recover and looks for every message.
async fn nothing_is_lost_in(scene: Scene, trouble: impl AsyncFnOnce(&Proxy, &AtomicUsize)) -> Told {
    let (stop, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (stop, refused) = (Arc::clone(&stop), Arc::clone(&refused));
            tokio::spawn(keep_sending(sender, scene.tenant.clone(), stop, refused))
        })
        .collect();
    trouble(&scene.proxy, &refused).await;
    let memory = scene.gateway.process.memory();
    assert!(memory < MEMORY, "{memory} MiB");
    stop.store(true, Ordering::Relaxed);
    scene.proxy.slow_down(Duration::ZERO);
    scene.proxy.go_on();
    let mut told = Told::default();
    for sender in senders {
        let other = sender.await.expect("a sender");
        told.stored.extend(other.stored);
        told.unknown += other.unknown;
        for (kind, count) in other.refused {
            *told.refused.entry(kind).or_default() += count;
        }
    }
    // Whoever was refused for a full log cost the worker nothing.
    let commands = scene.phones.recorder.commands();
    let sends = commands.iter().filter(|c| c.kind == CommandKind::Send);
    let asked = told.stored.len() + told.unknown;
    assert!(sends.count() <= asked, "{asked}: {:?}", told.refused);
    eventually("every message that went out is in the history", || async {
        let history = scene.tenant.history("slow").await;
        let ids: BTreeSet<&str> = history
            .iter()
            .filter_map(|row| row["id"].as_str())
            .collect();
        let lost: Vec<_> = told
            .stored
            .iter()
            .filter(|id| !ids.contains(&***id))
            .collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let shown = scene.phones.network.shown(scene.session);
        shown
            .iter()
            .all(|message| ids.contains(&*message.message_id.to_string()))
            .then_some(())
    })
    .await;
    let sent = scene.tenant.send("slow", "after all that", None).await;
    let (status, answer) = sent.expect("an answer");
    assert!(status.is_success(), "{answer}");
    told
}

pub(crate) async fn a_slow_database_fills_the_log_and_loses_nothing() {
    let told = nothing_is_lost_in(scene().await, async |proxy, refused| {
        proxy.slow_down(Duration::from_millis(100));
        eventually("sends are refused", || async {
            (refused.load(Ordering::Relaxed) > 50).then_some(())
        })
        .await;
        // What is under way when the load ends waits a little longer.
        proxy.stall();
    })
    .await;
    let refused = told.refused;
    assert!(refused.contains_key("overloaded"), "{refused:?}");
}

pub(crate) async fn a_gateway_that_was_cut_off_from_its_database_keeps_its_place() {
    let scene = scene().await;
    scene.proxy.stall();
    eventually("the lock cannot be looked after", || async {
        let log = scene.gateway.process.log();
        let mut lines = log.lines();
        let failed =
            |line: &str| line.contains("keep_replica_lock") && line.contains("a step failed");
        lines.any(failed).then_some(())
    })
    .await;
    scene.proxy.go_on();
    eventually("messages are sent again", || async {
        let sent = scene.tenant.send("slow", "here again", None).await;
        sent.filter(|(status, _)| status.is_success())
    })
    .await;
    let log = scene.gateway.process.log();
    assert!(!log.contains("another gateway runs"), "{log}");
}

pub(crate) async fn a_database_that_stops_answering_loses_nothing() {
    nothing_is_lost_in(scene().await, async |proxy, refused| {
        proxy.stall();
        eventually("sends are refused", || async {
            (refused.load(Ordering::Relaxed) > 50).then_some(())
        })
        .await;
    })
    .await;
}
