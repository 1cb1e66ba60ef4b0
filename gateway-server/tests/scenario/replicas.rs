//! Two replicas on PostgreSQL and Redis, of which one dies or stands still.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_testkit::services::PrivateRedis;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::crash::assert_dense;
use crate::gateway::{Gateway, Tenant};
use crate::ground::Ground;
use crate::process::Process;
use crate::{eventually, pause};

const NAMES: [&str; 3] = ["one", "two", "three"];
/// By each of two tenants.
const MESSAGES: usize = 100;

/// Two replicas and what they stand on.
pub(crate) struct Pair {
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) redis: PrivateRedis,
    pub(crate) ground: Ground,
}

impl Pair {
    pub(crate) fn new(more: &[(&str, &str)]) -> Self {
        let ground = Ground::new();
        let redis = PrivateRedis::start().unwrap_or_else(|missing| panic!("{missing}"));
        let url = redis.url();
        let mut options = vec![("REDIS_URL", url.as_str())];
        options.extend(more);
        let gateways = vec![ground.serve(&options), ground.serve(&options)];
        Self {
            gateways,
            redis,
            ground,
        }
    }

    /// Simulated workers, each a process that knows one of the replicas.
    fn workers(&self, more: &[&str]) -> Vec<Process> {
        let worker = |n: usize| {
            let gateway = &self.gateways[n % self.gateways.len()];
            gateway.worker(&format!("worker-{n}"), more)
        };
        (1..=3).map(worker).collect()
    }
}

/// Sends every message until it is acknowledged, as a client with keys does, by turns through all replicas.
async fn send_all(at: Vec<Tenant>, done: Arc<AtomicUsize>) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    for n in 0..MESSAGES {
        let (session, text) = (NAMES[n % NAMES.len()], format!("message {n}"));
        let turn = AtomicUsize::new(n);
        let id = eventually(&format!("{text} is acknowledged"), || async {
            let replica = &at[turn.fetch_add(1, Ordering::Relaxed) % at.len()];
            let (status, answer) = replica.send(session, &text, Some(&text)).await?;
            let later = status.is_server_error();
            assert!(status.is_success() || later, "{status}: {answer}");
            answer["data"]["id"].as_str().map(str::to_owned)
        })
        .await;
        done.fetch_add(1, Ordering::Relaxed);
        acknowledged.insert(text, id);
    }
    acknowledged
}

/// Each acknowledged message is delivered once and stands once in the history.
async fn delivered_once(tenant: &Tenant, acknowledged: &BTreeMap<String, String>) {
    let wanted: BTreeSet<&str> = acknowledged.values().map(String::as_str).collect();
    assert_eq!(wanted.len(), MESSAGES, "every message has an id of its own");
    eventually("every message is delivered", || async {
        let mut delivered = Vec::new();
        for name in NAMES {
            for row in tenant.history(name).await {
                let id = row["id"].as_str().expect("an id").to_owned();
                delivered.extend((row["status"] == "delivered").then_some(id));
            }
        }
        (delivered.len() == MESSAGES && delivered.iter().all(|id| wanted.contains(&**id)))
            .then_some(())
    })
    .await;
    let told = eventually("every delivery is told", || async {
        let events = tenant.events().await;
        let deliveries = events.iter().filter(|event| {
            event["type"] == "message.status" && event["data"]["status"] == "delivered"
        });
        (deliveries.count() >= MESSAGES).then_some(events)
    })
    .await;
    assert_dense(&told);
    let mut deliveries = BTreeMap::<&str, usize>::new();
    for event in &told {
        if event["type"] == "message.status" && event["data"]["status"] == "delivered" {
            let id = event["data"]["id"].as_str().expect("an id");
            *deliveries.entry(id).or_default() += 1;
        }
    }
    assert!(
        deliveries.values().all(|times| *times == 1),
        "{deliveries:?}"
    );
}

pub(crate) async fn every_message_is_delivered_once_while_redis_and_a_replica_restart() {
    let mut pair = Pair::new(&[("GATEWAY_ORCHESTRATION_LEASE", "30s")]);
    let _workers = pair.workers(&[]);
    let mut tenants = Vec::new();
    for email in ["one@example.com", "two@example.com"] {
        let tenant = pair.gateways[0].tenant(email).await;
        for name in NAMES {
            tenant.connected_session(name).await;
        }
        tenants.push(tenant);
    }
    let done = Arc::<AtomicUsize>::default();
    let at = |tenant: &Tenant| pair.gateways.iter().map(|g| tenant.at(g)).collect();
    let senders: Vec<_> = tenants
        .iter()
        .map(|tenant| tokio::spawn(send_all(at(tenant), Arc::clone(&done))))
        .collect();
    let until = |count: usize| {
        let done = &done;
        eventually("messages are under way", move || async move {
            (done.load(Ordering::Relaxed) >= count).then_some(())
        })
    };
    until(40).await;
    pair.redis.restart().expect("it starts again, empty");
    until(80).await;
    pair.gateways[1].process.kill();
    until(120).await;
    pair.gateways[1].start_again();
    for (tenant, sender) in tenants.iter().zip(senders) {
        let acknowledged = sender.await.expect("a sender");
        delivered_once(tenant, &acknowledged).await;
    }
    let counted = "SELECT (SELECT sum(sent + failed) FROM usage_hours) \
        = (SELECT count(*) FROM messages)";
    eventually("the counters equal the log", || async {
        (pair.ground.ask(counted).await == "true").then_some(())
    })
    .await;
}

pub(crate) async fn a_frozen_replica_holds_up_nobody_else() {
    let pair = Pair::new(&[("GATEWAY_ORCHESTRATION_LEASE", "30s")]);
    let (frozen, other) = (&pair.gateways[0], &pair.gateways[1]);
    let _worker = other.worker("worker-1", &[]);
    let tenant = other.tenant("frozen@example.com").await;
    tenant.connected_session("before").await;
    // Sends through the replica that is about to stand still, so that it does so inside a group.
    let at_frozen = tenant.at(frozen);
    let busy: Vec<_> = (0..8)
        .map(|sender| {
            let tenant = at_frozen.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let text = format!("message {n} of sender {sender}");
                    if tenant.send("before", &text, None).await.is_none() {
                        return;
                    }
                }
            })
        })
        .collect();
    eventually("the replica is busy", || async {
        (tenant.history("before").await.len() >= 20).then_some(())
    })
    .await;
    frozen.process.freeze();
    for n in 0..20 {
        let sent = tenant.send("before", &format!("meanwhile {n}"), None).await;
        let (status, answer) = sent.expect("an answer");
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    // Placements and ticks go on, and the sequencer once the server has ended the frozen transaction.
    tenant.connected_session("after").await;
    let sent = tenant.send("after", "the last one", None).await;
    let (status, answer) = sent.expect("an answer");
    assert_eq!(status, StatusCode::OK, "{answer}");
    let last = answer["data"]["id"].clone();
    eventually("its delivery is told", || async {
        let events = tenant.events().await;
        let told = events
            .iter()
            .any(|event| event["data"]["id"] == last && event["data"]["status"] == "delivered");
        told.then_some(())
    })
    .await;
    for sender in busy {
        sender.abort();
    }
    frozen.process.thaw();
    eventually("the frozen one serves again", || async {
        let sent = at_frozen.send("after", "back again", None).await;
        sent.filter(|(status, _)| status.is_success())
    })
    .await;
    assert_dense(&tenant.events().await);
}

pub(crate) async fn connects_through_all_replicas_never_overfill_a_worker() {
    let pair = Pair::new(&[("GATEWAY_ORCHESTRATION_NO_CAPACITY_RETRY", "1s")]);
    let _workers = pair.workers(&["--max-sessions", "2"]);
    let tenant = pair.gateways[0].tenant("crowd@example.com").await;
    let at: Vec<Tenant> = pair.gateways.iter().map(|g| tenant.at(g)).collect();
    let names: Vec<String> = (0..10).map(|n| format!("card-{n}")).collect();
    for name in &names {
        let body = Some(json!({ "name": name }));
        let made = tenant.call(Method::POST, "/sessions", body).await;
        assert_eq!(made.expect("an answer").0, StatusCode::CREATED);
    }
    let connects = names.iter().enumerate().map(|(n, name)| {
        let replica = &at[n % at.len()];
        async move {
            let path = format!("/sessions/{name}/connect");
            let answer = replica.call(Method::POST, &path, None).await;
            let (status, answer) = answer.expect("an answer");
            assert!(status.is_success(), "{status}: {answer}");
        }
    });
    futures_util::future::join_all(connects).await;
    let held = "SELECT coalesce(max(n), 0) FROM \
        (SELECT count(*) AS n FROM sessions WHERE worker_id IS NOT NULL GROUP BY worker_id) AS w";
    let placed = "SELECT count(*) FROM sessions WHERE worker_id IS NOT NULL";
    eventually("all six places are taken", || async {
        let most: usize = pair.ground.ask(held).await.parse().expect("a number");
        assert!(most <= 2, "a worker holds {most}");
        (pair.ground.ask(placed).await == "6").then_some(())
    })
    .await;
    for _ in 0..20 {
        let most: usize = pair.ground.ask(held).await.parse().expect("a number");
        assert!(most <= 2, "a worker holds {most}");
        pause(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn a_plan_is_never_exceeded_through_two_replicas() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.toml");
    let text = "[tiers.MAX]\nsessions = 1\nrequests_per_hour = 60\n\
        webhook_endpoints = 1\nhistory_days = 1\npriority = 1\n";
    std::fs::write(&plan, text).expect("written");
    let pair = Pair::new(&[("GATEWAY_CONFIG", plan.to_str().expect("a name"))]);
    let tenant = pair.gateways[0].tenant("plan@example.com").await;
    let at: Vec<Tenant> = pair.gateways.iter().map(|g| tenant.at(g)).collect();
    let asked = (0..120).map(|n| at[n % at.len()].call(Method::GET, "/sessions", None));
    let answers: Vec<Option<(StatusCode, Value)>> = futures_util::future::join_all(asked).await;
    let mut served = 0;
    for answer in answers {
        let (status, answer) = answer.expect("an answer");
        match status {
            StatusCode::OK => served += 1,
            StatusCode::TOO_MANY_REQUESTS => assert_eq!(answer["limit"], 60, "{answer}"),
            _ => panic!("{status}: {answer}"),
        }
    }
    // An hour may have ended meanwhile, and each has its own row.
    let hours = "SELECT count(*) FROM quota_hours";
    let hours: usize = pair.ground.ask(hours).await.parse().expect("a number");
    assert!((1..=60 * hours).contains(&served), "{served} of 60");
}
