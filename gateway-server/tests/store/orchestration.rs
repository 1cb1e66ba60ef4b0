//! Rows of workers, leases, sessions and placements on both engines.

use std::time::Duration;

use gateway_core::event::{Event, NewEvent, SessionDeleted};
use gateway_core::id::{Epoch, Incarnation, SessionId, SessionName, TenantId, WorkerId};
use gateway_core::session::{
    Challenge, ChallengeKind, Inserted, Next, Observed, Owner, ParkKind, Parked, Phase, Placement,
    Session,
};
use gateway_core::store::{Store, StoreError};
use gateway_core::time::Timestamp;
use gateway_core::worker::{Death, Lease, Worker, WorkerReport, WorkerStatus};

use crate::engines::engines;

const TENANT: TenantId = TenantId::from_u128(7);
/// Not a whole millisecond: JSON would cut it.
const AT: Timestamp = Timestamp::from_micros(1_700_000_000_123_457);

fn owner() -> Owner {
    Owner {
        worker: WorkerId::parse("worker-1").unwrap(),
        incarnation: Incarnation::parse("incarnation-1").unwrap(),
    }
}

fn worker() -> Worker {
    let owner = owner();
    let mut worker = Worker::pending(owner.worker, 2, AT);
    worker.status = WorkerStatus::Active;
    worker.endpoint = Some("http://worker".to_owned());
    worker.incarnation = Some(owner.incarnation);
    worker.labels.insert("region".into(), "eu".into());
    worker.join_token_hash = Some([9; 32]);
    worker.registered_at = Some(AT);
    worker
}

fn card(id: u128, name: &str) -> Session {
    let name = SessionName::parse(name).unwrap();
    Session::new(SessionId::from_u128(id), TENANT, name, AT)
}

fn phases() -> Vec<Phase> {
    let owner = owner();
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
    vec![
        Phase::Idle,
        Phase::Waiting,
        Phase::Starting {
            owner: owner.clone(),
        },
        Phase::Active {
            owner: owner.clone(),
            observed: Observed::QrRequired { challenge },
        },
        Phase::Active {
            owner: owner.clone(),
            observed: Observed::Reconnecting {
                reason: None,
                since: AT,
            },
        },
        Phase::Stopping {
            owner: owner.clone(),
            next: Next::Park {
                parked: parked.clone(),
            },
        },
        Phase::Stopping {
            owner,
            next: Next::Delete,
        },
        Phase::Parked { parked },
    ]
}

#[tokio::test]
async fn a_session_comes_back_as_it_was_written_in_every_phase() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let mut row = card(1, "one");
        row.metadata
            .insert("k".into(), serde_json::json!([1, "é", null]));
        assert_eq!(
            tx.insert_session(&row, Some(1)).await.unwrap(),
            Inserted::Done
        );
        for phase in phases() {
            row.phase = phase;
            row.version += 1;
            row.epoch = row.epoch.next();
            row.due_at = Some(AT);
            row.deadline = Some(AT);
            row.reason = Some("because".into());
            tx.save_sessions(std::slice::from_ref(&row)).await.unwrap();
            assert_eq!(tx.session(row.id).await.unwrap().as_ref(), Some(&row));
        }
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_card_needs_a_free_name_and_room() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        assert_eq!(
            tx.insert_session(&card(1, "one"), Some(2)).await.unwrap(),
            Inserted::Done
        );
        assert_eq!(
            tx.insert_session(&card(2, "one"), Some(2)).await.unwrap(),
            Inserted::NameTaken
        );
        assert_eq!(
            tx.insert_session(&card(3, "two"), Some(1)).await.unwrap(),
            Inserted::LimitReached { used: 1 }
        );
        let twice = tx.insert_session(&card(1, "three"), None).await;
        assert!(
            matches!(twice, Err(StoreError::Duplicate { .. })),
            "{twice:?}"
        );
    }
}

#[tokio::test]
async fn a_changed_row_refuses_the_whole_save() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let (mut one, mut two) = (card(1, "one"), card(2, "two"));
        tx.insert_session(&one, None).await.unwrap();
        tx.insert_session(&two, None).await.unwrap();
        one.version += 1;
        two.version += 2;
        let saved = tx.save_sessions(&[two, one]).await;
        assert!(matches!(saved, Err(StoreError::Conflict)), "{saved:?}");
        let gone = tx.delete_session(SessionId::from_u128(1), 9).await;
        assert!(matches!(gone, Err(StoreError::Conflict)), "{gone:?}");
    }
}

#[tokio::test]
async fn a_row_in_waiting_must_be_due_some_time() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let mut row = card(1, "one");
        row.phase = Phase::Waiting;
        let refused = tx.insert_session(&row, None).await;
        assert!(
            matches!(refused, Err(StoreError::Refused(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn due_rows_are_claimed_in_order_and_left_alone_until_then() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let ago = |seconds| Some(now.minus(Duration::from_secs(seconds)));
        let mut rows = [card(1, "a"), card(2, "b"), card(3, "c"), card(4, "d")];
        for row in &mut rows {
            row.due_at = ago(10);
        }
        rows[1].paired = true;
        rows[2].due_at = ago(20);
        rows[3].due_at = Some(now.plus(Duration::from_secs(60)));
        let soon = now.plus(Duration::from_secs(2));
        rows[0].deadline = Some(soon);
        for row in &rows {
            tx.insert_session(row, None).await.unwrap();
        }
        let until = now.plus(Duration::from_secs(5));
        let claimed = tx.claim_due_sessions(until, 10).await.unwrap();
        let ids: Vec<u128> = claimed.iter().map(|row| row.id.as_u128()).collect();
        assert_eq!(ids, [3, 2, 1]);
        assert!(claimed.iter().all(|row| row.version == 1));
        assert_eq!(claimed[2].due_at, Some(soon), "its deadline comes first");
        let stored = tx.session(rows[1].id).await.unwrap().unwrap();
        assert_eq!(stored.due_at, Some(until));
        assert_eq!(tx.claim_due_sessions(until, 10).await.unwrap(), []);
        assert_eq!(tx.next_due().await.unwrap(), Some(soon));
    }
}

#[tokio::test]
async fn waiting_rows_are_woken_linked_ones_first() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        for id in 1..4 {
            let mut row = card(id, &format!("s{id}"));
            row.phase = Phase::Waiting;
            row.paired = id == 3;
            row.due_at = Some(now.plus(Duration::from_secs(60)));
            tx.insert_session(&row, None).await.unwrap();
        }
        assert_eq!(tx.wake_waiting(2).await.unwrap(), 2);
        let _ = tx.now().await.unwrap();
        let claimed = tx
            .claim_due_sessions(now.plus(Duration::from_secs(5)), 9)
            .await;
        let ids: Vec<u128> = claimed
            .unwrap()
            .iter()
            .map(|row| row.id.as_u128())
            .collect();
        assert_eq!(ids, [3, 1]);
    }
}

#[tokio::test]
async fn a_worker_comes_back_with_its_lease() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let mut row = worker();
        tx.insert_worker(&row).await.unwrap();
        assert_eq!(tx.worker(&row.id).await.unwrap().as_ref(), Some(&row));
        assert!(tx.worker_at("http://worker").await.unwrap().is_some());
        let lease = Lease::new(owner(), AT);
        assert_eq!(tx.workers().await.unwrap()[0].lease, None);
        tx.insert_lease(&lease).await.unwrap();
        assert_eq!(tx.workers().await.unwrap()[0].lease, Some(lease));
        row.row_version += 1;
        row.cordoned = true;
        tx.save_worker(&row).await.unwrap();
        assert_eq!(tx.lock_worker(&row.id).await.unwrap(), Some(row.clone()));
        let again = tx.save_worker(&row).await;
        assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
        assert!(!tx.reserve_slot(&owner()).await.unwrap(), "it is cordoned");
    }
}

#[tokio::test]
async fn slots_run_out_and_come_back() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        tx.insert_worker(&worker()).await.unwrap();
        assert!(tx.reserve_slot(&owner()).await.unwrap());
        assert!(tx.reserve_slot(&owner()).await.unwrap());
        assert!(!tx.reserve_slot(&owner()).await.unwrap());
        tx.release_slots(&owner().worker, 5).await.unwrap();
        assert_eq!(
            tx.worker(&owner().worker).await.unwrap().unwrap().assigned,
            0
        );
        let id = owner().worker;
        let (active, draining) = (WorkerStatus::Active, WorkerStatus::Draining);
        assert!(tx.shift_worker(&id, active, draining).await.unwrap());
        assert!(!tx.shift_worker(&id, active, draining).await.unwrap());
    }
}

#[tokio::test]
async fn a_fenced_lease_is_never_renewed() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        tx.insert_worker(&worker()).await.unwrap();
        tx.insert_lease(&Lease::new(owner(), AT)).await.unwrap();
        let report = WorkerReport {
            cpu: Some(0.25),
            ..WorkerReport::default()
        };
        assert_eq!(tx.renew_lease(&owner(), &report).await.unwrap(), Some(1));
        assert_eq!(tx.lease(&owner()).await.unwrap().unwrap().report, report);
        assert_eq!(tx.open_leases().await.unwrap().len(), 1);
        let death = Death::process_gone(owner());
        assert!(tx.fence_lease(&death).await.unwrap());
        assert!(!tx.fence_lease(&death).await.unwrap());
        assert_eq!(tx.renew_lease(&owner(), &report).await.unwrap(), None);
        assert_eq!(tx.open_leases().await.unwrap(), []);
        tx.disown_lease(&owner()).await.unwrap();
        let twice = tx.insert_lease(&Lease::new(owner(), AT)).await;
        assert!(
            matches!(twice, Err(StoreError::Duplicate { .. })),
            "{twice:?}"
        );
    }
}

#[tokio::test]
async fn placements_end_once() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let session = SessionId::from_u128(1);
        let placement = Placement {
            session,
            tenant: TENANT,
            epoch: Epoch(4),
            owner: owner(),
            why: "connect".into(),
            explanation: serde_json::json!({"score": 0.5}),
            placed_at: AT,
            ended: None,
        };
        tx.insert_placement(&placement).await.unwrap();
        let ended = [(session, Epoch(4)), (session, Epoch(5))];
        tx.end_placements(&ended, AT, "released").await.unwrap();
        tx.end_placements(&ended, AT, "again").await.unwrap();
        let stored = tx.placement(session, Epoch(4)).await.unwrap().unwrap();
        assert_eq!(stored.ended, Some((AT, "released".into())));
        assert_eq!(stored.explanation, placement.explanation);
    }
}

#[tokio::test]
async fn events_are_appended_with_and_without_a_session() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        let name = SessionName::parse("one").unwrap();
        let event = Event::SessionDeleted(SessionDeleted { name });
        let events = [
            NewEvent {
                tenant: Some(TENANT),
                session: Some(SessionId::from_u128(1)),
                epoch: Some(Epoch(1)),
                event: event.clone(),
            },
            NewEvent {
                tenant: None,
                session: None,
                epoch: None,
                event,
            },
        ];
        tx.append_events(&events).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn sessions_are_found_by_owner_and_counted_per_worker() {
    for engine in engines().await {
        let mut tx = engine.store.begin().await.unwrap();
        for id in [2, 1, 3] {
            let mut row = card(id, &format!("s{id}"));
            if id < 3 {
                row.phase = Phase::Starting { owner: owner() };
                row.due_at = Some(AT);
            }
            tx.insert_session(&row, None).await.unwrap();
        }
        let held = tx.lock_sessions_of(&owner()).await.unwrap();
        assert_eq!(held, tx.sessions_of(&owner()).await.unwrap());
        let ids: Vec<u128> = held.iter().map(|row| row.id.as_u128()).collect();
        assert_eq!(ids, [1, 2]);
        let spread = tx.tenant_spread(TENANT).await.unwrap();
        assert_eq!(spread.get(&owner().worker), Some(&2));
    }
}
