//! `kill -9` of a gateway at random moments under load, over and over.
//!
//! Half of the senders repeat a message with its `Idempotency-Key` until it is acknowledged; the others
//! never repeat, so a message that went out just before a kill is known from its worker's reports alone.
//! The seed that is printed makes the same moments again (`SCENARIO_SEED`); more kills are
//! `SCENARIO_KILLS=500 cargo test -p gateway-server --test scenario -- kills`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::SessionId;
use gateway_server::system::OsEntropy;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::worker::PhoneNetwork;
use reqwest::StatusCode;

use crate::crash::{Phones, assert_dense, worker_of};
use crate::gateway::{Gateway, Tenant};
use crate::ground::Ground;
use crate::replicas::Pair;
use crate::{eventually, pause};

/// Of the two replicas together.
const KILLS: usize = 50;
/// Of the gateway without Redis, which differs in how it starts and not in what it writes.
const KILLS_ALONE: usize = 20;
const SENDERS: usize = 8;
/// The longest time between two kills, from the first answer after the start on.
const LOAD: u64 = 300;

/// A plan that the story cannot use up: every kill forfeits the requests that were drawn ahead.
const PLAN: &str = "[tiers.MAX]\nsessions = 20\nrequests_per_hour = 1000000000\n\
    webhook_endpoints = 20\nhistory_days = 90\npriority = 3\n";

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "the length of a test run")]
    std::env::var(name).ok()?.parse().ok()
}

/// What one sender knows.
#[derive(Debug, Default)]
struct Told {
    /// The ids that were acknowledged, by text.
    stored: BTreeMap<String, BTreeSet<String>>,
}

/// The replicas of a story; some may be dead at the moment.
#[derive(Clone, Debug)]
struct Load {
    tenants: Vec<Tenant>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    fn start(&self, session: &'static str) -> Vec<tokio::task::JoinHandle<Told>> {
        (0..SENDERS)
            .map(|sender| tokio::spawn(self.clone().send(sender, session)))
            .collect()
    }

    async fn send(self, sender: usize, session: &'static str) -> Told {
        let mut told = Told::default();
        for n in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let text = format!("message {n} of sender {sender}");
            let key = sender.is_multiple_of(2).then_some(&*text);
            for attempt in 0.. {
                let tenant = &self.tenants[(sender + n + attempt) % self.tenants.len()];
                if let Some((status, answer)) = tenant.send(session, &text, key).await {
                    assert!(is_allowed(status), "{status}: {answer}");
                    if status.is_success() {
                        let id = answer["data"]["id"].as_str().expect("an id").to_owned();
                        told.stored.entry(text.clone()).or_default().insert(id);
                        self.answered.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
                if key.is_none() {
                    break;
                }
                pause(Duration::from_millis(20)).await;
            }
        }
        told
    }
}

/// Answers of a gateway that has just started, or is about to die.
fn is_allowed(status: StatusCode) -> bool {
    status.is_success()
        || [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
            StatusCode::BAD_GATEWAY,
        ]
        .contains(&status)
}

/// Kills one gateway after the other, each a random moment after somebody was answered again.
async fn kill(gateways: &mut [Gateway], load: &Load) {
    let usual = match gateways {
        [_] => KILLS_ALONE,
        _ => KILLS,
    };
    let kills = variable("SCENARIO_KILLS").unwrap_or(usual);
    let seed = variable("SCENARIO_SEED").unwrap_or_else(|| OsEntropy.next_u64());
    eprintln!("{kills} kills, SCENARIO_SEED={seed}");
    let moments = SeededEntropy::new(seed);
    for _ in 0..kills {
        let before = load.answered.load(Ordering::Relaxed);
        eventually("sends are answered", || async {
            (load.answered.load(Ordering::Relaxed) > before).then_some(())
        })
        .await;
        pause(Duration::from_millis(moments.below(LOAD))).await;
        let victim = usize::try_from(moments.below(gateways.len() as u64)).expect("few");
        gateways[victim].process.kill();
        gateways[victim].start_again();
    }
    load.stop.store(true, Ordering::Relaxed);
}

/// Nothing acknowledged is lost, nothing that went out is unknown, and nothing is shown twice.
async fn judge(ground: &Ground, network: &PhoneNetwork, session: SessionId, told: Vec<Told>) {
    let mut stored = BTreeSet::new();
    for (text, ids) in told.into_iter().flat_map(|told| told.stored) {
        assert_eq!(ids.len(), 1, "{text} has several ids: {ids:?}");
        stored.extend(ids);
    }
    let mut texts = BTreeMap::<String, usize>::new();
    let shown = network.shown(session);
    for message in &shown {
        let text = message.content["text"].as_str().expect("a text");
        *texts.entry(text.to_owned()).or_default() += 1;
    }
    texts.retain(|_, times| *times > 1);
    assert!(texts.is_empty(), "shown twice: {texts:?}");
    let seen: BTreeSet<String> = shown.iter().map(|m| m.message_id.to_string()).collect();
    let unseen: Vec<_> = stored.difference(&seen).collect();
    assert!(
        unseen.is_empty(),
        "acknowledged and never shown: {unseen:?}"
    );
    let rows = || ids(ground);
    let lost: Vec<_> = { stored.difference(&rows().await).cloned().collect() };
    let all = stored.len();
    assert!(lost.is_empty(), "{} of {all} lost: {lost:?}", lost.len());
    eventually("everything that was shown has a row", || async {
        seen.is_subset(&rows().await).then_some(())
    })
    .await;
    let stubs = "SELECT count(*) FROM messages WHERE content IS NULL";
    let stubs = ground.ask(stubs).await;
    eprintln!("{all} acknowledged, {} shown, {stubs} stubs", seen.len());
}

/// The ids of all rows, as the API writes them.
async fn ids(ground: &Ground) -> BTreeSet<String> {
    let rows = ground.column("SELECT id FROM messages").await;
    rows.iter()
        .map(|id| {
            let digits = id.replace('-', "");
            let number = u128::from_str_radix(&digits, 16).expect("a UUID");
            gateway_core::id::MessageId::from_u128(number).to_string()
        })
        .collect()
}

async fn tell(ground: Ground, mut gateways: Vec<Gateway>) {
    let phones = Phones::default();
    let _worker = worker_of(&gateways[0], "worker-1", &phones).await;
    let tenant = gateways[0].tenant("kills@example.com").await;
    let session = tenant.connected_session("kills").await;
    let session: SessionId = session.parse().expect("an id");
    let load = Load {
        tenants: gateways.iter().map(|gateway| tenant.at(gateway)).collect(),
        stop: Arc::default(),
        answered: Arc::default(),
    };
    let senders = load.start("kills");
    kill(&mut gateways, &load).await;
    let mut told = Vec::new();
    for sender in senders {
        told.push(sender.await.expect("a sender"));
    }
    judge(&ground, &phones.network, session, told).await;
    assert_dense(&tenant.events().await);
}

/// The variables of a replica that is killed often.
fn patient(plan: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("GATEWAY_CONFIG", plan),
        ("GATEWAY_ORCHESTRATION_LEASE", "60s"),
        ("GATEWAY_WORKERS_SEND_TIMEOUT", "2s"),
    ]
}

pub(crate) async fn a_gateway_killed_again_and_again_loses_and_repeats_nothing() {
    let ground = Ground::new();
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, PLAN).expect("written");
    let gateway = ground.serve(&patient(plan.to_str().expect("a name")));
    tell(ground, vec![gateway]).await;
}

pub(crate) async fn two_replicas_killed_by_turns_lose_and_repeat_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, PLAN).expect("written");
    let Pair {
        gateways,
        redis,
        ground,
    } = Pair::new(&patient(plan.to_str().expect("a name")));
    tell(ground, gateways).await;
    drop(redis);
}
