//! What a worker does with each answer to each kind of report: the table in `docs/protocol.md`.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{AssignedSession, StartSessionMode};
use gateway_core::session::Desired;
use gateway_testkit::worker::WorkerRoute;
use gateway_worker::{GatewayError, Progress};

use crate::engine::{SESSION, Stage, connected, registered, start};

const REPORTS: [WorkerRoute; 4] = [
    WorkerRoute::Recovery,
    WorkerRoute::SessionStatus,
    WorkerRoute::MessageStatus,
    WorkerRoute::Inbound,
];

fn refused(status: u16, kind: &str) -> GatewayError {
    GatewayError::Refused {
        status,
        kind: kind.to_owned(),
        message: String::new(),
    }
}

/// A worker that has one report of this kind to deliver, which the gateway answers so.
fn reporting(route: WorkerRoute, answer: &GatewayError) -> Stage {
    let stage = match route {
        WorkerRoute::Recovery => recovering(answer),
        _ => connected(),
    };
    stage.gateway.told().refusals.insert(route, answer.clone());
    stage.gateway.told().taken.clear();
    if route != WorkerRoute::Recovery {
        report(&stage, route);
    }
    stage.settle();
    stage
}

fn report(stage: &Stage, route: WorkerRoute) {
    let session = stage.engine().session();
    match route {
        WorkerRoute::SessionStatus => session.report(Progress::connecting("syncing")),
        WorkerRoute::MessageStatus => drop(session.submit_receipt(session.draft_receipt("sent"))),
        _ => drop(session.submit_inbound(session.draft_inbound("4930@s.whatsapp.net", "M1"))),
    }
}

/// A worker that takes a session up again after its restart.
fn recovering(answer: &GatewayError) -> Stage {
    let stage = registered();
    stage.gateway.told().assigned = vec![AssignedSession {
        session_id: SESSION,
        epoch: Epoch(1),
        desired: Desired::Connected,
        state_version: 0,
        paired: true,
    }];
    let refusals = [
        (WorkerRoute::Recovery, answer.clone()),
        (WorkerRoute::Heartbeat, GatewayError::IncarnationEnded),
    ];
    stage.gateway.told().refusals.extend(refusals);
    stage.pass(Duration::from_secs(2));
    stage
        .gateway
        .told()
        .refusals
        .remove(&WorkerRoute::Heartbeat);
    stage.pass(Duration::from_millis(100));
    stage
}

#[test]
fn a_worker_that_is_turned_away_again_and_again_asks_less_and_less_often() {
    let stage = connected();
    let turned_away = (WorkerRoute::Heartbeat, GatewayError::Unauthorized);
    stage.gateway.told().refusals.extend([turned_away]);
    let session = stage.engine().session();
    session.submit_receipt(session.draft_receipt("sent"));
    let turned_away = (WorkerRoute::MessageStatus, GatewayError::Unauthorized);
    stage.gateway.told().refusals.extend([turned_away]);
    stage.settle();
    pass(&stage, 60);
    let registrations = stage.gateway.told().registrations.len();
    assert!((10..30).contains(&registrations), "{registrations}");
}

/// Lets time pass in steps in which heartbeats are sent.
fn pass(stage: &Stage, seconds: u64) {
    for _ in 0..seconds {
        stage.pass(Duration::from_secs(1));
    }
}

fn is_taken(stage: &Stage, route: WorkerRoute) -> bool {
    stage.gateway.told().taken.contains(&route)
}

#[test]
fn a_gateway_that_asks_for_patience_gets_everything_in_the_end() {
    let patience = GatewayError::Unavailable {
        retry_after: Some(Duration::from_secs(30)),
    };
    for route in REPORTS {
        let stage = reporting(route, &patience);
        pass(&stage, 600);
        assert_eq!(stage.worker.given_up(), 0, "{route:?}");
        stage.gateway.told().refusals.clear();
        pass(&stage, 30);
        assert!(is_taken(&stage, route), "{route:?}");
    }
}

#[test]
fn what_gets_no_verdict_from_a_gateway_that_is_there_is_given_up_the_tenth_time() {
    let cut = GatewayError::Unreachable;
    for answer in [cut, GatewayError::Failed { status: 500 }] {
        for route in REPORTS {
            let stage = reporting(route, &answer);
            pass(&stage, 15);
            assert_eq!(stage.worker.given_up(), 0, "{route:?}");
            pass(&stage, 60);
            assert_eq!(stage.worker.given_up(), 1, "{route:?}");
            stage.gateway.told().refusals.clear();
            pass(&stage, 10);
            assert!(!is_taken(&stage, route), "{route:?}");
        }
    }
}

#[test]
fn what_gets_no_verdict_while_the_gateway_is_away_is_kept() {
    for route in REPORTS {
        let stage = reporting(route, &GatewayError::Unreachable);
        for away in [WorkerRoute::Heartbeat, WorkerRoute::Register] {
            let nobody = (away, GatewayError::Unreachable);
            stage.gateway.told().refusals.extend([nobody]);
        }
        pass(&stage, 16);
        stage.gateway.told().refusals.clear();
        pass(&stage, 10);
        assert!(is_taken(&stage, route), "{route:?}");
        assert_eq!(stage.worker.given_up(), 0, "{route:?}");
    }
}

#[test]
fn what_the_gateway_refuses_is_given_up_at_once() {
    for (status, kind) in [(400, "invalid"), (413, "payload_too_large"), (422, "x")] {
        for route in REPORTS {
            let stage = reporting(route, &refused(status, kind));
            assert_eq!(stage.worker.given_up(), 1, "{route:?}");
            stage.gateway.told().refusals.clear();
            pass(&stage, 10);
            assert!(!is_taken(&stage, route), "{route:?}");
            assert!(!stage.worker.holds().is_empty(), "{route:?}");
        }
    }
}

#[test]
fn what_is_not_taken_holds_up_nothing_behind_it() {
    for refusal in [
        refused(400, "invalid"),
        GatewayError::Failed { status: 500 },
        GatewayError::Unreachable,
    ] {
        let stage = connected();
        let session = stage.engine().session();
        stage.gateway.told().inbound_refusal = Some(refusal.clone());
        stage.gateway.told().refused_inbound = "poison".to_owned();
        for id in ["poison", "M1", "M2", "M3"] {
            session.submit_inbound(session.draft_inbound("4930@s.whatsapp.net", id));
        }
        stage.settle();
        pass(&stage, 5);
        let told = stage.gateway.told();
        let arrived = told.inbound.iter().map(|message| &*message.wa_message_id);
        let arrived: BTreeSet<_> = arrived.collect();
        assert_eq!(arrived, BTreeSet::from(["M1", "M2", "M3"]), "{refusal}");
    }
}

#[test]
fn a_session_that_is_not_ours_any_more_is_dropped_without_a_logout() {
    let moved = GatewayError::StaleEpoch {
        current: Some(Epoch(5)),
    };
    for answer in [moved, refused(404, "unknown_session")] {
        for route in [WorkerRoute::SessionStatus, WorkerRoute::State] {
            let stage = connected();
            stage.gateway.told().refusals.insert(route, answer.clone());
            let session = stage.engine().session();
            session.report(Progress::connecting("syncing"));
            session.append(vec![b"entry".to_vec()]);
            stage.settle();
            assert_eq!(stage.worker.holds(), [], "{route:?}");
            assert_eq!(stage.engine().heard(), ["start 1", "abandon 1"]);
            assert_eq!(stage.worker.given_up(), 0);
        }
    }
}

#[test]
fn a_fact_about_a_session_that_is_not_ours_any_more_costs_only_itself() {
    for route in [WorkerRoute::MessageStatus, WorkerRoute::Inbound] {
        let stage = reporting(route, &GatewayError::StaleEpoch { current: None });
        assert_eq!(stage.worker.given_up(), 1);
        assert_eq!(stage.worker.holds().len(), 1, "{route:?}");
    }
}

#[test]
fn an_incarnation_that_is_over_gives_way_to_another_which_delivers_the_facts() {
    for answer in [GatewayError::Unauthorized, GatewayError::IncarnationEnded] {
        for route in [
            WorkerRoute::SessionStatus,
            WorkerRoute::MessageStatus,
            WorkerRoute::Inbound,
            WorkerRoute::State,
            WorkerRoute::Heartbeat,
        ] {
            let stage = connected();
            let run = stage.worker.owner().incarnation;
            stage.gateway.told().refusals.insert(route, answer.clone());
            let session = stage.engine().session();
            session.report(Progress::connecting("syncing"));
            session.submit_receipt(session.draft_receipt("sent"));
            session.submit_inbound(session.draft_inbound("4930@s.whatsapp.net", "M1"));
            session.append(vec![b"entry".to_vec()]);
            stage.settle();
            pass(&stage, 3);
            stage.gateway.told().refusals.clear();
            pass(&stage, 10);
            assert_ne!(stage.worker.owner().incarnation, run, "{route:?}");
            assert_eq!(stage.worker.holds(), [], "{route:?}");
            assert!(is_taken(&stage, WorkerRoute::MessageStatus), "{route:?}");
            assert!(is_taken(&stage, WorkerRoute::Inbound), "{route:?}");
            assert_eq!(stage.worker.given_up(), 0, "{route:?}");
        }
    }
}

#[test]
fn state_that_cannot_be_stored_ends_its_session_with_an_error() {
    let failed = GatewayError::Failed { status: 500 };
    for (answer, seconds) in [(refused(413, "payload_too_large"), 0), (failed, 60)] {
        let stage = connected();
        let refusal = (WorkerRoute::State, answer);
        stage.gateway.told().refusals.extend([refusal]);
        let session = stage.engine().session();
        session.append(vec![b"entry".to_vec()]);
        stage.settle();
        pass(&stage, seconds);
        let statuses = stage.gateway.statuses(SESSION);
        let last = statuses.last().map(String::as_str);
        assert_eq!(last, Some("ERROR state_not_stored"));
        assert_eq!(stage.engine().heard(), ["start 1", "abandon 1"]);
    }
}

#[test]
fn a_question_for_assigned_sessions_that_is_refused_is_not_asked_again() {
    let stage = registered();
    stage.gateway.told().assigned = vec![AssignedSession {
        session_id: SessionId::from_u128(9),
        epoch: Epoch(1),
        desired: Desired::Connected,
        state_version: 0,
        paired: true,
    }];
    let refusals = [
        (WorkerRoute::Heartbeat, GatewayError::IncarnationEnded),
        (WorkerRoute::Assigned, refused(400, "invalid")),
    ];
    stage.gateway.told().refusals.extend(refusals);
    pass(&stage, 2);
    stage
        .gateway
        .told()
        .refusals
        .remove(&WorkerRoute::Heartbeat);
    pass(&stage, 3);
    stage.gateway.told().refusals.clear();
    pass(&stage, 10);
    assert!(!is_taken(&stage, WorkerRoute::Assigned));
    start(&stage, 1, StartSessionMode::Qr).expect("it goes on");
}
