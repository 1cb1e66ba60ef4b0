//! The writer over a ledger that fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{
    Fact, Inbound, LogError, Message, MessageLog, MessageStatus, Recorded, StatusFact, WaMessageId,
};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::grouped::{Folded, Grouped};
use super::ledger::{Ledger, MessageKey};
use super::{GroupLog, GroupOptions};
use crate::telemetry::metrics::{Metrics, StalledLogs};

/// How the next write fails; whether it was made all the same.
enum Failure {
    Away,
    Ambiguous,
    Conflict,
    Strange,
}

#[derive(Debug, Default)]
struct Rows {
    rows: Mutex<BTreeMap<MessageKey, Message>>,
    events: Mutex<usize>,
    failures: Mutex<Vec<Failure>>,
    sizes: Mutex<Vec<usize>>,
    /// While locked, writes wait.
    gate: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failure")
    }
}

impl Rows {
    fn apply(&self, facts: &[Fact]) -> Vec<Recorded> {
        let mut rows = self.rows.lock().expect("no panic");
        let grouped = Grouped::new(facts);
        let fresh = grouped.fresh(Timestamp::default());
        let folded: Vec<_> = fresh
            .iter()
            .map(Folded::key)
            .filter_map(|key| grouped.folded(&key, rows.get(&key), Timestamp::from_micros(5)))
            .collect();
        for folded in &folded {
            rows.insert(folded.key(), folded.row().clone());
            *self.events.lock().expect("no panic") += folded.events.len();
        }
        grouped.answers(folded.into_iter()).expect("complete")
    }
}

#[async_trait]
impl Ledger for Rows {
    async fn write(&self, facts: &[Fact]) -> Result<Vec<Recorded>, StoreError> {
        let _open = self.gate.lock().await;
        self.sizes.lock().expect("no panic").push(facts.len());
        let failure = self.failures.lock().expect("no panic").pop();
        match failure {
            Some(Failure::Away) => return Err(StoreError::Unavailable("away".into())),
            Some(Failure::Strange) => return Err(StoreError::Internal("what?".into())),
            Some(Failure::Conflict) => return Err(StoreError::Conflict),
            Some(Failure::Ambiguous) => {
                self.apply(facts);
                return Err(StoreError::Unavailable("cut at COMMIT".into()));
            }
            None => {}
        }
        let bad = |fact: &Fact| matches!(fact, Fact::Inbound(fact) if fact.kind == "bad");
        if facts.iter().any(bad) {
            return Err(StoreError::Refused("NUL".into()));
        }
        let strange = |fact: &Fact| matches!(fact, Fact::Inbound(fact) if fact.kind == "strange");
        if facts.iter().any(strange) {
            return Err(StoreError::Internal("what?".into()));
        }
        Ok(self.apply(facts))
    }

    async fn read(&self, keys: &[MessageKey]) -> Result<Vec<Message>, StoreError> {
        let rows = self.rows.lock().expect("no panic");
        Ok(keys
            .iter()
            .filter_map(|key| rows.get(key).cloned())
            .collect())
    }
}

struct Running {
    log: GroupLog,
    rows: Arc<Rows>,
    stalled: StalledLogs,
    close: CancellationToken,
    task: JoinHandle<()>,
}

fn running(capacity: usize) -> Running {
    let rows = Arc::<Rows>::default();
    let options = GroupOptions {
        capacity,
        batch_size: 8,
        batch_wait: Duration::from_millis(1),
    };
    let metrics = Metrics::new().expect("metrics").message_log;
    let stalled = metrics.stalled.clone();
    let ledger: Arc<dyn Ledger> = Arc::<Rows>::clone(&rows);
    let (log, task) = GroupLog::new(ledger, options, metrics);
    let close = CancellationToken::new();
    let task = tokio::spawn(task.run(close.clone()));
    Running {
        log,
        rows,
        stalled,
        close,
        task,
    }
}

const TENANT: TenantId = TenantId::from_u128(1);

fn inbound(id: u128, kind: &str) -> Fact {
    Fact::Inbound(Inbound {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SessionId::from_u128(2),
        epoch: Epoch(1),
        wa_message_id: WaMessageId::parse("WA").expect("id"),
        chat_id: "c".to_owned(),
        sender: "s".to_owned(),
        kind: kind.to_owned(),
        content: serde_json::json!({}),
        offline: false,
        alias: None,
        from_me: false,
        occurred_at: None,
    })
}

fn status(id: u128, status: MessageStatus) -> Fact {
    Fact::Status(StatusFact {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SessionId::from_u128(2),
        epoch: Epoch(1),
        wa_message_id: WaMessageId::parse("WA").expect("id"),
        status,
        error: None,
        own: None,
        age: None,
        occurred_at: None,
    })
}

type Waiting = JoinHandle<Result<Recorded, LogError>>;

fn record(log: &GroupLog, fact: Fact) -> Waiting {
    let place = log.reserve().expect("a place");
    let log = log.clone();
    tokio::spawn(async move { log.record(place, fact).await })
}

async fn done(waiting: Waiting) -> Result<Recorded, LogError> {
    waiting.await.expect("no panic")
}

#[tokio::test]
async fn a_full_log_refuses_at_once_and_gives_places_back() {
    let running = running(2);
    let one = running.log.reserve().expect("a place");
    let other = running.log.reserve().expect("a place");
    assert!(running.log.reserve().is_err(), "full");
    drop(other);
    let recorded = running.log.record(one, inbound(1, "text")).await;
    assert_eq!(recorded.expect("recorded").before, None);
    assert!(running.log.reserve().is_ok());
}

#[tokio::test]
async fn what_arrives_during_a_write_is_the_next_group() {
    let running = running(100);
    let shut = running.rows.gate.lock().await;
    let waiting: Vec<Waiting> = (0..20)
        .map(|id| record(&running.log, inbound(id, "text")))
        .collect();
    drop(shut);
    for waiting in waiting {
        done(waiting).await.expect("recorded");
    }
    let sizes = running.rows.sizes.lock().expect("no panic").clone();
    assert_eq!(sizes.iter().sum::<usize>(), 20);
    assert!(sizes.iter().all(|&size| size <= 8), "{sizes:?}");
}

#[tokio::test]
async fn facts_of_one_message_are_folded_in_their_order() {
    let facts = [
        status(1, MessageStatus::Sent),
        inbound(2, "text"),
        status(1, MessageStatus::Sending),
        status(1, MessageStatus::Read),
    ];
    let now = Timestamp::from_micros(9);
    let grouped = Grouped::new(&facts);
    let mut folded = grouped.fresh(Timestamp::default());
    assert_eq!(folded.len(), 2);
    let of_first = &folded[0];
    assert_eq!(of_first.key(), (TENANT, MessageId::from_u128(1)));
    assert_eq!(of_first.row().status, MessageStatus::Read);
    assert_eq!(of_first.events.len(), 2, "sending changes nothing");
    folded.iter_mut().for_each(|folded| folded.restamp(now));
    let answers = grouped.answers(folded.into_iter()).expect("complete");
    let before: Vec<_> = answers.iter().map(|answer| answer.before).collect();
    let sent = Some(MessageStatus::Sent);
    assert_eq!(before, [None, None, sent, sent]);
    assert_eq!(
        answers,
        grouped
            .answers(grouped.fresh(now).into_iter())
            .expect("complete")
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_fact_fails_alone() {
    let running = running(100);
    let waiting: Vec<Waiting> = (0..8)
        .map(|id| {
            record(
                &running.log,
                inbound(id, if id == 5 { "bad" } else { "text" }),
            )
        })
        .collect();
    for (id, waiting) in waiting.into_iter().enumerate() {
        let outcome = done(waiting).await;
        let refused = matches!(outcome, Err(LogError::Refused(StoreError::Refused(_))));
        assert_eq!(refused, id == 5, "{id}: {outcome:?}");
        assert_eq!(outcome.is_ok(), id != 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_group_is_written_again_while_no_place_is_given() {
    let running = running(100);
    let failures = [Failure::Conflict, Failure::Away, Failure::Away];
    *running.rows.failures.lock().expect("no panic") = failures.into();
    let waiting = record(&running.log, inbound(1, "text"));
    // The group is cut after a moment; then the first write fails.
    while running.log.reserve().is_ok() {
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(running.log.reserve().is_err(), "not keeping up");
    assert!(running.stalled.any());
    assert!(done(waiting).await.is_ok());
    assert!(running.log.reserve().is_ok(), "keeping up again");
    assert!(!running.stalled.any());
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_commit_tells_nothing_twice() {
    let running = running(100);
    running
        .rows
        .failures
        .lock()
        .expect("no panic")
        .push(Failure::Ambiguous);
    let recorded = done(record(&running.log, status(1, MessageStatus::Sent))).await;
    let recorded = recorded.expect("recorded");
    assert_eq!(recorded.before, Some(MessageStatus::Sent), "it stood there");
    assert_eq!(*running.rows.events.lock().expect("no panic"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_takes_nothing_loses_nothing() {
    let running = running(100);
    let strange = (0..500).map(|_| Failure::Strange).collect();
    *running.rows.failures.lock().expect("no panic") = strange;
    let waiting: Vec<Waiting> = (0..6)
        .map(|id| record(&running.log, inbound(id, "text")))
        .collect();
    for waiting in waiting {
        done(waiting).await.expect("recorded in the end");
    }
    assert!(running.log.reserve().is_ok(), "keeping up again");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_understands_is_given_up_once_others_are_taken() {
    let running = running(100);
    let strange = record(&running.log, inbound(1, "strange"));
    let (good, late) = (inbound(2, "text"), running.log.reserve().expect("a place"));
    while running.log.reserve().is_ok() {
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    // Alone it is kept, for as long as it takes.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!strange.is_finished());
    running.log.record(late, good).await.expect("recorded");
    let outcome = done(strange).await;
    assert!(matches!(outcome, Err(LogError::Refused(_))), "{outcome:?}");
    assert!(running.log.reserve().is_ok(), "others may try");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_leaves_its_fact() {
    let running = running(100);
    let shut = running.rows.gate.lock().await;
    let waiting = record(&running.log, inbound(1, "text"));
    tokio::task::yield_now().await;
    waiting.abort();
    drop(shut);
    running.close.cancel();
    running.task.await.expect("the log ends");
    assert_eq!(running.rows.rows.lock().expect("no panic").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_writes_what_is_left_and_takes_nothing_more() {
    let running = running(100);
    let shut = running.rows.gate.lock().await;
    let late = running.log.reserve().expect("a place");
    let waiting: Vec<Waiting> = (0..30)
        .map(|id| record(&running.log, inbound(id, "text")))
        .collect();
    tokio::task::yield_now().await;
    running.close.cancel();
    drop(shut);
    for waiting in waiting {
        done(waiting).await.expect("recorded");
    }
    running.task.await.expect("the log ends");
    let refused = running.log.record(late, inbound(99, "text")).await;
    assert!(matches!(refused, Err(LogError::Unavailable)));
    assert!(running.log.reserve().is_err());
    let found = running.log.find(TENANT, MessageId::from_u128(1)).await;
    assert!(matches!(found, Err(LogError::Unavailable)));
}

#[tokio::test]
async fn rows_are_found_under_their_tenant_alone() {
    let running = running(100);
    let id = MessageId::from_u128(1);
    done(record(&running.log, inbound(1, "text")))
        .await
        .expect("recorded");
    let found = running.log.find(TENANT, id).await.expect("read");
    assert_eq!(found.map(|row| row.id), Some(id));
    let foreign = running.log.find(TenantId::from_u128(9), id).await;
    assert_eq!(foreign.expect("read"), None);
}
