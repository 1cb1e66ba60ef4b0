//! The message log over both engines, and what only one of them can do to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::event::{Event, OutboxRow, Sequenced, sequence};
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{
    Fact, Inbound, LogError, MessageError, MessageLog, MessageStatus, Outgoing, Recorded,
    StatusFact, WaMessageId,
};
use gateway_core::store::PlatformStore;
use gateway_server::message_log::{GroupLog, GroupOptions, Ledger as _};
use gateway_server::store::sql::{PostgresOptions, SqlStore};
use gateway_server::system::SystemClock;
use gateway_server::telemetry::metrics::Metrics;
use gateway_testkit::services;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const TENANT: TenantId = TenantId::from_u128(1);
const SESSION: SessionId = SessionId::from_u128(2);

struct Fixture {
    store: SqlStore,
    log: GroupLog,
    _keep: Box<dyn std::any::Any>,
}

fn log(store: &SqlStore) -> GroupLog {
    let options = GroupOptions {
        capacity: 10_000,
        batch_size: 500,
        batch_wait: Duration::from_millis(1),
    };
    let metrics = Metrics::new().expect("metrics").message_log;
    let (log, task) = GroupLog::new(Arc::new(store.ledger()), options, metrics);
    tokio::spawn(task.run(CancellationToken::new()));
    log
}

async fn sqlite() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gateway.db");
    let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
    let store = store.expect("opened");
    store.migrate().await.expect("migrated");
    let log = log(&store);
    Fixture {
        store,
        log,
        _keep: Box::new(folder),
    }
}

async fn postgres() -> Option<Fixture> {
    let Ok(server) = services::postgres() else {
        assert!(!services::in_ci(), "PostgreSQL is missing");
        return None;
    };
    let database = server.fresh_database().expect("a database");
    let store = SqlStore::postgres(database.url(), &PostgresOptions::default()).await;
    let store = store.expect("connected");
    store.migrate().await.expect("migrated");
    let log = log(&store);
    Some(Fixture {
        store,
        log,
        _keep: Box::new(database),
    })
}

async fn both() -> Vec<Fixture> {
    let mut all = vec![sqlite().await];
    all.extend(postgres().await);
    all
}

fn wa(id: u128) -> WaMessageId {
    WaMessageId::parse(&format!("WA{id}")).expect("id")
}

fn outgoing(id: u128, status: MessageStatus, hash: u8) -> Fact {
    Fact::Outgoing(Outgoing {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(3),
        wa_message_id: wa(id),
        chat_id: "49@c.us".to_owned(),
        kind: "text".to_owned(),
        content: json!({"text": "a \"quoted\" line\n", "n": 1.5}),
        body_hash: [hash; 32],
        status,
        error: None,
        refused_status: None,
        alias: None,
    })
}

fn status(id: u128, status: MessageStatus) -> Fact {
    let failed = status == MessageStatus::Failed;
    Fact::Status(StatusFact {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(3),
        wa_message_id: wa(id),
        status,
        error: failed.then(|| MessageError {
            code: "refused".to_owned(),
            message: Some("by the phone".to_owned()),
        }),
        own: None,
        age: None,
        occurred_at: None,
    })
}

fn inbound(id: u128, kind: &str, text: &str) -> Fact {
    Fact::Inbound(Inbound {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(3),
        wa_message_id: wa(id),
        chat_id: "49@c.us".to_owned(),
        sender: "49@c.us".to_owned(),
        kind: kind.to_owned(),
        content: json!({ "text": text }),
        offline: false,
        alias: None,
        from_me: false,
        occurred_at: None,
    })
}

async fn record(log: &GroupLog, fact: Fact) -> Result<Recorded, LogError> {
    let place = log.reserve().expect("a place");
    log.record(place, fact).await
}

/// Records all at once and answers in order.
async fn together(log: &GroupLog, facts: Vec<Fact>) -> Vec<Result<Recorded, LogError>> {
    let recording = facts.into_iter().map(|fact| record(log, fact));
    futures_util::future::join_all(recording).await
}

async fn outbox(store: &SqlStore) -> Vec<OutboxRow> {
    let mut tx = store.read_platform().await.expect("a read");
    tx.outbox(10_000).await.expect("rows")
}

#[tokio::test]
async fn what_is_recorded_is_what_is_found() {
    for Fixture { log, store, _keep } in both().await {
        let facts = vec![
            outgoing(1, MessageStatus::Sending, 7),
            inbound(2, "text", "hello"),
            status(3, MessageStatus::Failed),
            status(1, MessageStatus::Delivered),
        ];
        let recorded = together(&log, facts).await;
        let first = recorded[0].as_ref().expect("recorded");
        assert_eq!(first.message.status, MessageStatus::Sending);
        assert_eq!(first.before, None);
        for (place, recorded) in recorded.iter().enumerate().skip(1) {
            let recorded = recorded.as_ref().expect("recorded");
            let found = log.find(TENANT, recorded.message.id).await.expect("read");
            assert_eq!(found.as_ref(), Some(&recorded.message), "{place}");
            assert!(recorded.message.created_at.as_micros() > 1_700_000_000_000_000);
        }
        let last = recorded[3].as_ref().expect("recorded");
        assert_eq!(last.before, Some(MessageStatus::Sending));
        let foreign = log
            .find(TenantId::from_u128(9), MessageId::from_u128(1))
            .await;
        assert_eq!(foreign.expect("read"), None);
        let told: Vec<_> = outbox(&store).await;
        assert_eq!(told.len(), 4);
        assert!(told.iter().all(|row| row.event.tenant == Some(TENANT)));
    }
}

#[tokio::test]
async fn repetitions_and_other_bodies_change_nothing() {
    for Fixture { log, store, _keep } in both().await {
        for fact in [
            outgoing(1, MessageStatus::Sending, 7),
            status(1, MessageStatus::Read),
        ] {
            record(&log, fact).await.expect("recorded");
        }
        let before = log
            .find(TENANT, MessageId::from_u128(1))
            .await
            .expect("read");
        let told = outbox(&store).await;
        for fact in [
            outgoing(1, MessageStatus::Sending, 7),
            status(1, MessageStatus::Read),
            status(1, MessageStatus::Sent),
        ] {
            let again = record(&log, fact).await.expect("recorded");
            assert_eq!(again.message.status, MessageStatus::Read);
            assert!(!again.mismatch);
        }
        let other = record(&log, outgoing(1, MessageStatus::Sending, 8)).await;
        assert!(other.expect("recorded").mismatch);
        let mut after = log
            .find(TENANT, MessageId::from_u128(1))
            .await
            .expect("read");
        if let (Some(before), Some(after)) = (&before, &mut after) {
            after
                .timeline
                .sent
                .take()
                .expect("the late report is in the timeline");
            assert_eq!(before, after);
        }
        assert_eq!(outbox(&store).await, told);
    }
}

#[tokio::test]
async fn a_stub_is_filled_by_its_send() {
    for Fixture { log, _keep, .. } in both().await {
        let stub = record(&log, status(1, MessageStatus::Delivered)).await;
        assert!(stub.expect("recorded").message.is_stub());
        let filled = record(&log, outgoing(1, MessageStatus::Sending, 7)).await;
        let filled = filled.expect("recorded");
        assert_eq!(filled.before, Some(MessageStatus::Delivered));
        assert_eq!(filled.message.status, MessageStatus::Delivered);
        assert_eq!(filled.message.body_hash, Some([7; 32]));
        let found = log
            .find(TENANT, MessageId::from_u128(1))
            .await
            .expect("read");
        assert_eq!(found, Some(filled.message));
    }
}

#[tokio::test]
async fn a_group_of_any_size_is_written_whole_beside_rows_that_existed() {
    for Fixture { store, _keep, .. } in both().await {
        let (ledger, mut next) = (store.ledger(), 0);
        let send = |id| outgoing(id, MessageStatus::Sending, 1);
        for size in [1, 3, 4, 5, 20, 63, 64, 65, 150] {
            let ids = next..next + size;
            next = ids.end;
            let old: Vec<Fact> = ids.clone().step_by(3).map(send).collect();
            let all: Vec<Fact> = ids.map(send).collect();
            ledger.write(&old).await.expect("written");
            for existed in [(|place| place % 3 == 0) as fn(usize) -> bool, |_| true] {
                let recorded = ledger.write(&all).await.expect("written");
                for (place, recorded) in recorded.iter().enumerate() {
                    assert_eq!(
                        recorded.before.is_some(),
                        existed(place),
                        "{place} of {size}"
                    );
                    assert_eq!(recorded.message.id, all[place].id());
                }
            }
            let told = outbox(&store).await.len();
            assert_eq!(told as u128, next, "one event each");
        }
    }
}

#[tokio::test]
async fn the_sequencer_counts_every_message_once() {
    for Fixture { log, store, _keep } in both().await {
        let mut facts: Vec<Fact> = (0..300)
            .map(|id| outgoing(id, MessageStatus::Sending, 1))
            .collect();
        facts.extend((300..500).map(|id| inbound(id, "text", "hi")));
        let recorded = together(&log, facts).await;
        assert!(recorded.iter().all(Result::is_ok));
        let (mut published, mut more_to_come) = (0, true);
        while more_to_come {
            let step = sequence(&store, 0, 64).await.expect("a step");
            let Sequenced::Published { count, more } = step else {
                panic!("nobody else holds the shard");
            };
            (published, more_to_come) = (published + count, more);
        }
        assert_eq!(published, 500);
    }
}

/// Ends every connection but the one it is said on.
const END_ALL: &str = "SELECT count(pg_terminate_backend(pid)) \
     FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// For new connections; this one may write whatever they may.
const READ_ONLY: &str = "DO $$ BEGIN SET default_transaction_read_only = off; \
     EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
const WRITABLE: &str = "DO $$ BEGIN \
     EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = off', current_database()); END $$";

async fn operator(keep: &dyn std::any::Any) -> sqlx::PgConnection {
    let database = keep.downcast_ref::<services::Database>();
    let url = database.expect("PostgreSQL").url();
    let connecting = <sqlx::PgConnection as sqlx::Connection>::connect(url);
    connecting.await.expect("connected")
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced_without_an_error() {
    let Some(Fixture { store, _keep, .. }) = postgres().await else {
        return;
    };
    let (ledger, mut operator) = (store.ledger(), operator(&*_keep).await);
    for round in 0..3 {
        let send = [outgoing(round, MessageStatus::Sending, 1)];
        let recorded = ledger.write(&send).await.expect("written");
        assert_eq!(recorded[0].before, None);
        let ending = sqlx::query_as(END_ALL).fetch_one(&mut operator);
        let (ended,): (i64,) = ending.await.expect("ended");
        assert!(ended > 0, "the writer had a connection");
    }
}

#[tokio::test]
async fn a_connection_that_cannot_write_is_not_kept() {
    let Some(Fixture { store, _keep, .. }) = postgres().await else {
        return;
    };
    let (ledger, mut operator) = (store.ledger(), operator(&*_keep).await);
    let send = [outgoing(1, MessageStatus::Sending, 1)];
    let switching = sqlx::query(READ_ONLY).execute(&mut operator);
    switching.await.expect("switched");
    for _ in 0..2 {
        let refused = ledger.write(&send).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let switching = sqlx::query(WRITABLE).execute(&mut operator);
    switching.await.expect("switched");
    let recorded = ledger.write(&send).await.expect("on a new connection");
    assert_eq!(recorded[0].before, None);
}

#[tokio::test]
async fn a_row_that_postgres_refuses_fails_alone() {
    let Some(Fixture { log, _keep, .. }) = postgres().await else {
        return;
    };
    let facts = (0..50)
        .map(|id| inbound(id, if id == 33 { "te\0xt" } else { "text" }, "fine"))
        .collect();
    let recorded = together(&log, facts).await;
    for (id, recorded) in recorded.iter().enumerate() {
        assert_eq!(recorded.is_err(), id == 33, "{id}: {recorded:?}");
    }
    assert!(matches!(recorded[33], Err(LogError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_fold_the_same_messages_into_one_history() {
    let Some(Fixture {
        store,
        log: one,
        _keep,
    }) = postgres().await
    else {
        return;
    };
    let other = log(&store);
    let steps = [
        MessageStatus::Sending,
        MessageStatus::Sent,
        MessageStatus::Delivered,
        MessageStatus::Read,
    ];
    let facts = |backwards: bool| {
        let mut all = Vec::new();
        for step in steps {
            let mut ids: Vec<u128> = (0..100).collect();
            if backwards {
                ids.reverse();
            }
            all.extend(ids.into_iter().map(|id| status(id, step)));
        }
        all
    };
    let (first, second) = tokio::join!(together(&one, facts(false)), together(&other, facts(true)));
    assert!(first.iter().chain(&second).all(Result::is_ok));
    let mut known: BTreeMap<MessageId, MessageStatus> = BTreeMap::new();
    for row in outbox(&store).await {
        let Ok(Event::MessageStatus(change)) = row.event.event() else {
            panic!("another event");
        };
        let previous = known.insert(change.id, change.status);
        assert_eq!(previous, change.previous, "no change is told twice or lost");
    }
    assert_eq!(known.len(), 100);
    assert!(known.values().all(|&status| status == MessageStatus::Read));
}
