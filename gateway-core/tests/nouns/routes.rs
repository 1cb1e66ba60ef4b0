//! Where a message of a session can go, by the session's row and its worker's.

use std::sync::Arc;

use futures_executor::block_on;
use gateway_core::session::{
    Challenge, ChallengeKind, Desired, Next, Observed, Open, ParkKind, Parked, Phase, Route,
    Routes, Session, SessionRef, Stage, Standing, StoreRoutes,
};
use gateway_core::store::Store;
use gateway_core::worker::{Worker, WorkerStatus};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::fixture::{START, a_session, a_worker, tenant_id};
use gateway_testkit::memory::MemoryStore;

fn worker() -> Worker {
    a_worker("worker-1").build()
}

fn connected() -> Session {
    a_session().connected_at(&worker()).build()
}

fn in_phase(phase: Phase) -> Session {
    Session {
        phase,
        ..connected()
    }
}

fn active(observed: Observed) -> Session {
    let owner = worker().owner().expect("it runs");
    in_phase(Phase::Active { owner, observed })
}

fn parked(until: bool) -> Session {
    let parked = Parked {
        kind: ParkKind::LoggedOut,
        reason: "device_removed".into(),
        until: until.then_some(START),
        action_required: Some("connect".to_owned()),
    };
    in_phase(Phase::Parked { parked })
}

fn stopping(desired: Desired) -> Session {
    let owner = worker().owner().expect("it runs");
    let phase = Phase::Stopping {
        owner,
        next: Next::Rest,
    };
    Session {
        desired,
        ..in_phase(phase)
    }
}

fn closed(reason: &str, action: Option<&str>) -> Standing {
    Standing::Closed {
        reason: reason.to_owned(),
        action_required: action.map(str::to_owned),
    }
}

#[test]
fn a_message_goes_out_only_where_the_session_is_connected_and_its_worker_answers() {
    let owner = worker().owner().expect("it runs");
    let open = Arc::new(Open::of(&worker()).expect("it answers"));
    let challenge = Challenge {
        kind: ChallengeKind::Qr,
        index: 0,
        expires_at: START,
    };
    let syncing = Observed::Connecting {
        stage: Stage::Syncing,
    };
    let rows = [
        (active(Observed::QrRequired { challenge }), {
            closed("qr_required", Some("scan_qr"))
        }),
        (in_phase(Phase::Idle), closed("disconnected", None)),
        (parked(false), closed("device_removed", Some("connect"))),
        (parked(true), Standing::Returning),
        (active(syncing), Standing::Returning),
        (in_phase(Phase::Waiting), Standing::Returning),
        (
            in_phase(Phase::Starting {
                owner: owner.clone(),
            }),
            Standing::Returning,
        ),
        (stopping(Desired::Connected), Standing::Returning),
        (stopping(Desired::Disconnected), closed("stopping", None)),
    ];
    for (row, standing) in rows {
        let route = Route::of(&row, Some(&open));
        assert_eq!(route.standing, standing, "{:?}", row.phase);
        assert_eq!((route.session, route.version), (row.id, row.version));
    }
    let standing = Route::of(&connected(), Some(&open)).standing;
    assert_eq!(standing, Standing::Open(Arc::clone(&open)));
    let other_run = Open::of(&a_worker("worker-1").in_run(2).build()).map(Arc::new);
    let route = Route::of(&connected(), other_run.as_ref());
    assert_eq!(route.standing, Standing::Returning, "it holds nothing yet");
    assert_eq!(Route::of(&connected(), None).standing, Standing::Returning);
}

/// The route of a connected session whose worker's row is `worker`.
fn route(worker: &Worker) -> Option<Standing> {
    let store = MemoryStore::new(Arc::new(ManualClock::default()));
    let session = connected();
    block_on(async {
        let mut tx = store.begin().await?;
        tx.insert_worker(worker).await?;
        tx.insert_session(&session, None).await?;
        tx.commit().await
    })
    .expect("an empty store");
    let routes = StoreRoutes::new(Arc::new(store));
    let by_id = SessionRef::Id(session.id);
    let stranger = block_on(routes.route(tenant_id("stranger"), &by_id, true));
    assert_eq!(stranger.expect("answered"), None, "another tenant's");
    let by_id = block_on(routes.route(session.tenant, &by_id, false)).expect("answered");
    let by_name = SessionRef::Name(session.name.clone());
    let by_name = block_on(routes.route(session.tenant, &by_name, true)).expect("answered");
    assert_eq!(by_id, by_name);
    by_id.map(|route| route.standing)
}

#[test]
fn a_worker_that_is_not_sure_to_live_is_not_asked() {
    for status in WorkerStatus::ALL {
        let answers = matches!(status, WorkerStatus::Active | WorkerStatus::Draining);
        let found = route(&a_worker("worker-1").standing(status).build());
        let open = matches!(found, Some(Standing::Open { .. }));
        assert_eq!(open, answers, "{status:?}: {found:?}");
    }
    let next_run = route(&a_worker("worker-1").in_run(2).build());
    assert_eq!(next_run, Some(Standing::Returning), "it holds nothing yet");
}
