//! What a row holds comes back as it was.

use std::path::Path;
use std::time::Duration;

use gateway_core::id::{Epoch, Incarnation, SessionId, SessionName, TenantId, WorkerId};
use gateway_core::session::{
    Challenge, ChallengeKind, Next, Observed, Owner, ParkKind, Parked, Phase, Session,
};
use gateway_core::store::{Store, StoreError};
use gateway_core::time::Timestamp;
use gateway_server::store::sql::SqlStore;
use gateway_server::telemetry::census_metrics::SessionCensus;
use sqlx::SqlitePool;

use crate::sqlite;

/// Not a whole millisecond: JSON would cut it.
const AT: Timestamp = Timestamp::from_micros(1_700_000_000_123_457);

fn card() -> Session {
    let name = SessionName::parse("one").unwrap();
    Session::new(SessionId::from_u128(1), TenantId::from_u128(7), name, AT)
}

fn active(observed: Observed) -> Phase {
    let owner = owner();
    Phase::Active { owner, observed }
}

fn stopping(next: Next) -> Phase {
    let owner = owner();
    Phase::Stopping { owner, next }
}

fn owner() -> Owner {
    Owner {
        worker: WorkerId::parse("worker-1").unwrap(),
        incarnation: Incarnation::parse("incarnation-1").unwrap(),
    }
}

pub(crate) async fn sessions_are_counted_by_status_and_by_phase(store: &SqlStore) {
    assert_eq!(
        store.count_sessions().await.unwrap(),
        SessionCensus::default()
    );
    let phases = [Phase::Idle, Phase::Waiting, Phase::Waiting];
    for (number, phase) in (1..).zip(phases) {
        let name = SessionName::parse(&format!("s{number}")).unwrap();
        let id = SessionId::from_u128(number);
        let row = Session {
            due_at: matches!(phase, Phase::Waiting).then_some(AT),
            phase,
            ..Session::new(id, TenantId::from_u128(number), name, AT)
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_session(&row, None).await.unwrap();
        tx.commit().await.unwrap();
    }
    let census = store.count_sessions().await.unwrap();
    assert_eq!(census.by_status.iter().sum::<u64>(), 3);
    assert_eq!(census.by_status[0], 1, "DISCONNECTED");
    assert_eq!(census.by_phase, [2, 0, 0, 0]);
}

fn phases() -> [Phase; 9] {
    let parked = Parked {
        kind: ParkKind::Restricted,
        reason: "capped".into(),
        until: Some(AT),
        action_required: None,
    };
    let challenge = Challenge {
        kind: ChallengeKind::Qr,
        index: 3,
        expires_at: AT,
    };
    [
        Phase::Idle,
        Phase::Waiting,
        Phase::Starting { owner: owner() },
        active(Observed::QrRequired { challenge }),
        active(Observed::Reconnecting {
            reason: None,
            since: AT,
        }),
        active(Observed::Connected),
        stopping(Next::Park {
            parked: parked.clone(),
        }),
        stopping(Next::Delete),
        Phase::Parked { parked },
    ]
}

pub(crate) async fn a_session_comes_back_to_the_microsecond_in_every_phase(store: &SqlStore) {
    let mut row = card();
    let pairs = [("list", serde_json::json!([1, -2.5, "é\"\\", null]))];
    row.metadata = pairs.map(|(key, value)| (key.to_owned(), value)).into();
    let mut tx = store.begin().await.unwrap();
    tx.insert_session(&row, None).await.unwrap();
    for phase in phases() {
        row.phase = phase;
        row.version += 1;
        row.epoch = row.epoch.next();
        (row.due_at, row.deadline) = (Some(AT), Some(AT));
        tx.save_sessions(std::slice::from_ref(&row)).await.unwrap();
        assert_eq!(tx.session(row.id).await.unwrap().as_ref(), Some(&row));
    }
}

pub(crate) async fn numbers_that_do_not_fit_are_refused(store: &SqlStore) {
    let mut row = card();
    row.epoch = Epoch(u64::MAX);
    let mut tx = store.begin().await.unwrap();
    let refused = tx.insert_session(&row, None).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
}

pub(crate) async fn a_row_that_makes_no_sense_is_named(folder: &Path) {
    let store = sqlite(folder).await;
    let row = card();
    let mut tx = store.begin().await.unwrap();
    tx.insert_session(&row, None).await.unwrap();
    tx.commit().await.unwrap();
    let path = folder.join("gateway.db");
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    for nonsense in [
        "UPDATE sessions SET phase = 'FLYING'",
        "UPDATE sessions SET phase = 'PARKED', detail = '{}'",
        "UPDATE sessions SET phase = 'IDLE', priority = 1000",
    ] {
        sqlx::query(nonsense).execute(&file).await.unwrap();
        let read = store.begin().await.unwrap().session(row.id).await;
        let Err(StoreError::Corrupt { table, id, .. }) = read else {
            panic!("{nonsense} gave {read:?}");
        };
        assert_eq!((table, id), ("sessions", row.id.to_string()));
    }
}

pub(crate) async fn a_row_that_makes_no_sense_keeps_no_other_from_its_turn(folder: &Path) {
    let store = sqlite(folder).await;
    let (bad, mut good) = (card(), card());
    good.id = SessionId::from_u128(2);
    good.name = SessionName::parse("two").unwrap();
    let mut tx = store.begin().await.unwrap();
    for row in [&bad, &good] {
        tx.insert_session(row, None).await.unwrap();
    }
    tx.commit().await.unwrap();
    let path = folder.join("gateway.db");
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    for nonsense in [
        "UPDATE sessions SET due_at = 1",
        "UPDATE sessions SET phase = 'FLYING' WHERE name = 'one'",
    ] {
        sqlx::query(nonsense).execute(&file).await.unwrap();
    }
    let mut tx = store.begin().await.unwrap();
    let until = tx.now().await.unwrap().plus(Duration::from_secs(60));
    let claimed = tx.claim_due_sessions(until, 9).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, good.id);
    assert_eq!(tx.next_due().await.unwrap(), Some(until), "both were moved");
    tx.commit().await.unwrap();
}
