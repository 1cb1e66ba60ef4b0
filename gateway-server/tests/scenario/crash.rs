//! `kill -9`, of whatever, at the worst moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway_core::id::{MessageId, WorkerId};
use gateway_server::system::{OsEntropy, SystemClock};
use gateway_testkit::worker::http::{Options, SimHttpWorker};
use gateway_testkit::worker::{PhoneNetwork, Recorder, Script};
use reqwest::Method;
use serde_json::Value;

use crate::eventually;
use crate::gateway::{BOOTSTRAP, Gateway};

const SENDERS: usize = 8;

fn id(answer: &Value) -> String {
    answer["data"]["id"].as_str().expect("an id").to_owned()
}

/// The events of each session are numbered without a gap.
pub(crate) fn assert_dense(events: &[Value]) {
    let mut seen = BTreeMap::<&str, u64>::new();
    for event in events {
        let session = event["session"]["id"].as_str().expect("about a session");
        let last = seen.entry(session).or_insert(0);
        assert_eq!(event["seq"].as_u64(), Some(*last + 1), "a gap in {session}");
        *last += 1;
    }
}

pub(crate) async fn nothing_acknowledged_is_lost_when_the_gateway_is_killed_during_writes() {
    kill_during_writes(Gateway::serve(&[])).await;
}

/// Kills the gateway while eight senders write; what they were told is in the history afterwards.
pub(crate) async fn kill_during_writes(mut gateway: Gateway) {
    let _worker = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("writes@example.com").await;
    tenant.connected_session("writes").await;
    let done = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (tenant, done) = (tenant.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let text = format!("message {n} of sender {sender}");
                    match tenant.send("writes", &text, None).await {
                        Some((status, answer)) if status.is_success() => {
                            acknowledged.push(id(&answer));
                        }
                        Some((status, answer)) => panic!("{status}: {answer}"),
                        None => break,
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                acknowledged
            })
        })
        .collect();
    eventually("writes are under way", || async {
        (done.load(Ordering::Relaxed) >= 40).then_some(())
    })
    .await;
    gateway.process.kill();
    let mut acknowledged = BTreeSet::new();
    for sender in senders {
        acknowledged.extend(sender.await.expect("a sender"));
    }
    gateway.start_again();

    let history = tenant.history("writes").await;
    let history: BTreeSet<String> = history
        .iter()
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&history).collect();
    let all = acknowledged.len();
    assert!(lost.is_empty(), "{} of {all} lost: {lost:?}", lost.len());
    assert_dense(&tenant.events().await);
}

pub(crate) async fn the_sessions_of_a_killed_worker_live_on_another_one_without_a_scan() {
    let gateway = Gateway::serve(&[]);
    let mut first = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("failover@example.com").await;
    let names = ["one", "two", "three"];
    for name in names {
        tenant.connected_session(name).await;
    }
    let before = tenant.events().await.len();
    let _second = gateway.worker("worker-2", &[]);
    first.kill();
    for name in names {
        eventually(&format!("{name} has moved"), || async {
            let path = format!("/sessions/{name}/history");
            let (_, history) = tenant.call(Method::GET, &path, None).await?;
            (history["data"][0]["epoch"] == 2).then_some(())
        })
        .await;
        tenant.until_connected(name).await;
        let sent = tenant.send(name, "after the move", None).await;
        let (status, answer) = sent.expect("an answer");
        assert!(status.is_success(), "{answer}");
    }
    let events = tenant.events().await;
    assert_dense(&events);
    let scans: Vec<_> = events[before..]
        .iter()
        .filter(|event| event["type"] == "session.qr")
        .collect();
    assert!(scans.is_empty(), "asked to scan again: {scans:?}");
}

/// What recipients see of a story's messages, and what its workers were asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phones {
    pub(crate) network: Arc<PhoneNetwork>,
    pub(crate) recorder: Arc<Recorder>,
}

/// A worker of this process, whose phones can be asked what they show.
pub(crate) async fn worker_of(gateway: &Gateway, id: &str, phones: &Phones) -> SimHttpWorker {
    let mut script = Script::default();
    script.auto_scan_ms = Some(200);
    scripted_worker(gateway, id, phones, script).await
}

pub(crate) async fn scripted_worker(
    gateway: &Gateway,
    id: &str,
    phones: &Phones,
    script: Script,
) -> SimHttpWorker {
    let id = WorkerId::parse(id).expect("an id");
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let mut options = Options::new(id, &gateway.url, BOOTSTRAP, clock, entropy);
    options.script = script;
    options.network = Arc::clone(&phones.network);
    options.recorder = Arc::clone(&phones.recorder);
    SimHttpWorker::start(options).await.expect("a worker")
}

/// A worker whose messages nobody acknowledges.
async fn quiet_worker(gateway: &Gateway, phones: &Phones) -> SimHttpWorker {
    let mut script = Script::default();
    script.auto_scan_ms = Some(200);
    script.receipts.sent_ms = None;
    script.receipts.delivered_ms = None;
    script.receipts.read_ms = None;
    scripted_worker(gateway, "worker-1", phones, script).await
}

pub(crate) async fn a_crash_between_the_workers_answer_and_the_commit_sends_once() {
    let mut gateway = Gateway::serve(&[]);
    let phones = Phones::default();
    let network = &phones.network;
    let worker = quiet_worker(&gateway, &phones).await;
    let tenant = gateway.tenant("once@example.com").await;
    tenant.connected_session("once").await;
    // From here on the worker sends at once and takes its time to say so.
    worker.with(|worker, _| worker.change_script(|script| script.latency_ms = 3_000));
    let sending = {
        let tenant = tenant.clone();
        tokio::spawn(async move { tenant.send("once", "exactly once", Some("order-17")).await })
    };
    eventually("the phone shows the message", || async {
        (network.shown_in_all() == 1).then_some(())
    })
    .await;
    gateway.process.kill();
    assert!(sending.await.expect("a task").is_none(), "nobody was told");
    worker.with(|worker, _| worker.change_script(|script| script.latency_ms = 0));
    gateway.start_again();
    tenant.until_connected("once").await;
    assert!(
        tenant.history("once").await.is_empty(),
        "the crash came before the commit"
    );

    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let sent = tenant.send("once", "exactly once", Some("order-17")).await;
        let (status, answer) = sent.expect("an answer");
        assert!(status.is_success(), "{answer}");
        ids.insert(id(&answer));
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(tenant.history("once").await.len(), 1);
    let message: MessageId = ids.first().expect("one").parse().expect("an id");
    assert_eq!(network.times_shown(message), 1, "shown once");
    assert_eq!(network.shown_in_all(), 1);
}
