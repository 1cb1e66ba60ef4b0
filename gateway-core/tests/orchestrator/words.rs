//! Every word a worker may say of a session, and what the tenant sees of it.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::orchestrator::ReportError;
use gateway_core::protocol::{RecoveryResult, SessionReport};
use gateway_core::session::{ChallengeKind, Status};
use serde_json::{Value, json};

use super::block_on;
use super::world::{TENANT, World, seconds};

/// A report of the session's owner with these fields.
fn say(world: &World, session: SessionId, fields: Value) -> Result<(), ReportError> {
    let owner = world.owner(session).expect("held");
    let mut report = json!({
        "sessionId": session, "epoch": world.row(session).epoch, "reportSeq": 1_000,
    });
    let (Value::Object(report_fields), Value::Object(fields)) = (&mut report, fields) else {
        panic!("fields")
    };
    report_fields.extend(fields);
    let report: SessionReport = serde_json::from_value(report).expect("a report");
    let gateway = world.gateway();
    let done = block_on(gateway.orchestrator.report(&owner, &report))?;
    gateway.keep(done);
    Ok(())
}

/// What the tenant sees of a connected session of which its owner says this.
fn seen(fields: Value) -> (Status, Option<String>, Option<String>) {
    let world = World::new(1).with_workers(1..=1, 10);
    let session = world.connected("sales");
    say(&world, session, fields).expect("taken");
    let view = world.row(session).status();
    let reason = view.reason.map(|reason| reason.to_string());
    (view.status, reason, view.action_required)
}

#[test]
fn each_word_becomes_the_status_it_stands_for() {
    let until = "2023-11-14T23:00:00Z";
    let rows = [
        (
            json!({"status": "CONNECTED"}),
            Status::Connected,
            None,
            None,
        ),
        (
            json!({"status": "CONNECTING", "reason": "pairing"}),
            Status::Connecting,
            Some("pairing"),
            None,
        ),
        (
            json!({"status": "CONNECTING", "reason": "syncing"}),
            Status::Connecting,
            Some("syncing"),
            None,
        ),
        (
            json!({"status": "CONNECTING", "reason": "a_word_of_its_own"}),
            Status::Connecting,
            Some("starting"),
            None,
        ),
        (
            json!({"status": "RECONNECTING", "reason": "replaced"}),
            Status::Reconnecting,
            Some("replaced"),
            None,
        ),
        (
            json!({"status": "DISCONNECTED"}),
            Status::Connecting,
            Some("disconnected"),
            None,
        ),
        (
            json!({"status": "LOGGED_OUT", "reason": "device_removed"}),
            Status::LoggedOut,
            Some("device_removed"),
            Some("connect"),
        ),
        (
            json!({"status": "RESTRICTED", "reason": "temp_ban_101", "until": until}),
            Status::Restricted,
            Some("temp_ban_101"),
            None,
        ),
        (
            json!({"status": "RESTRICTED"}),
            Status::Restricted,
            Some("restricted"),
            Some("operator"),
        ),
        (
            json!({"status": "ERROR", "reason": "proxy_failed", "actionRequired": "operator"}),
            Status::Error,
            Some("proxy_failed"),
            Some("operator"),
        ),
        (
            json!({"status": "QR_REQUIRED", "passkeyChallenge": {"challenge": "x"}}),
            Status::QrRequired,
            None,
            Some("passkey"),
        ),
        (
            json!({"status": "Levitating"}),
            Status::Error,
            Some("unknown_status_levitating"),
            Some("operator"),
        ),
    ];
    for (fields, status, reason, action) in rows {
        let expected = (status, reason.map(str::to_owned), action.map(str::to_owned));
        assert_eq!(seen(fields.clone()), expected, "{fields}");
    }
}

#[test]
fn a_restriction_lasts_as_long_as_the_worker_says() {
    let world = World::new(2).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let until = world.row(session).updated_at.plus(seconds(3_600));
    let fields = json!({"status": "RESTRICTED", "until": until});
    say(&world, session, fields).expect("taken");
    assert_eq!(world.row(session).status().retry_at, Some(until));
    assert_eq!(world.owner(session), None, "the worker has let go of it");
}

#[test]
fn a_code_without_its_life_is_shown_for_twenty_seconds() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let fields = json!({"status": "QR_REQUIRED", "qrCode": "2@abc", "qrIndex": 3});
    say(&world, session, fields).expect("taken");
    let ask = |kind| {
        let gateway = world.gateway();
        block_on(gateway.orchestrator.pairing_secret(TENANT, session, kind))
    };
    let code = ask(ChallengeKind::Qr).expect("a code");
    assert_eq!((code.text.as_str(), code.index), ("2@abc", 3));
    let reported = world.row(session).updated_at;
    assert_eq!(code.expires_at, reported.plus(seconds(20)));
    assert!(ask(ChallengeKind::PairingCode).is_err(), "another kind");
}

#[test]
fn whoever_reports_a_code_that_cannot_be_kept_is_asked_to_say_it_again() {
    let world = World::new(4).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let before = world.row(session);
    world.shared.coord.set_available(false);
    let code = json!({"status": "QR_REQUIRED", "qrCode": "2@abc", "qrIndex": 0});
    let refused = say(&world, session, code.clone());
    assert!(
        matches!(refused, Err(ReportError::Unavailable)),
        "{refused:?}"
    );
    assert_eq!(
        world.row(session),
        before,
        "and nobody sees QR_REQUIRED yet"
    );
    say(
        &world,
        session,
        json!({"status": "QR_REQUIRED", "qrIndex": 0, "reportSeq": 999}),
    )
    .expect("what carries no code needs no coordinator");
    world.shared.coord.set_available(true);
    say(&world, session, code).expect("said again");
}

/// A session that was assigned while every order was lost.
fn starting(world: &World, name: &str) -> SessionId {
    world.loses_effects.set(false);
    let session = world.card(name);
    world.connect(session);
    let gateway = world.gateway();
    for effect in gateway.local.take_effects() {
        block_on(gateway.orchestrator.perform(effect)).expect("placed");
    }
    assert_eq!(world.row(session).phase.name(), "STARTING");
    session
}

fn result(world: &World, session: SessionId, status: &str, error: Option<&str>) -> RecoveryResult {
    RecoveryResult {
        session_id: session,
        epoch: world.row(session).epoch,
        status: status.to_owned(),
        error: error.map(str::to_owned),
    }
}

#[test]
fn a_worker_that_restores_its_sessions_says_of_each_what_became_of_it() {
    let world = World::new(5).with_workers(1..=1, 10);
    let names = ["restored", "lost", "failed", "broken", "puzzling"];
    let sessions = names.map(|name| starting(&world, name));
    let owner = world.owner(sessions[0]).expect("held");
    let mut results = vec![
        result(&world, sessions[0], "RECOVERED", None),
        result(&world, sessions[1], "QR_REQUIRED", None),
        result(&world, sessions[2], "FAILED", None),
        result(&world, sessions[3], "FAILED", Some("state_corrupt")),
        result(&world, sessions[4], "PERHAPS", None),
    ];
    // Neither what it does not hold nor what nobody knows keeps the others from being taken.
    let deleted = RecoveryResult {
        session_id: SessionId::from_u128(404),
        ..results[0].clone()
    };
    let stale = RecoveryResult {
        epoch: Epoch(77),
        ..results[2].clone()
    };
    results.splice(0..0, [deleted, stale]);
    let gateway = world.gateway();
    let done = block_on(gateway.orchestrator.recovery_status(&owner, &results));
    gateway.keep(done.expect("taken"));

    let seen = sessions.map(|session| {
        let view = world.row(session).status();
        let reason = view.reason.map(|reason| reason.to_string());
        (view.status, reason.unwrap_or_default())
    });
    let expected = [
        (Status::Connecting, "syncing"),
        (Status::LoggedOut, "no_credentials"),
        (Status::Error, "recovery_failed"),
        (Status::Error, "state_corrupt"),
        (Status::Connecting, "starting"),
    ];
    assert_eq!(
        seen,
        expected.map(|(status, reason)| (status, reason.to_owned()))
    );
    assert_eq!(world.worker(1).assigned, 2, "three places are free again");
}

#[test]
fn a_recovery_that_is_said_again_late_does_not_take_a_connected_session_back() {
    let world = World::new(7).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let owner = world.owner(session).expect("held");
    let before = world.row(session);
    let late = [result(&world, session, "RECOVERED", None)];
    let gateway = world.gateway();
    let done = block_on(gateway.orchestrator.recovery_status(&owner, &late));
    assert_eq!(done.expect("answered").effects, []);
    assert_eq!(world.row(session), before);
}

#[test]
fn recovery_is_said_again_when_the_store_was_away() {
    let world = World::new(6).with_workers(1..=1, 10);
    let session = starting(&world, "sales");
    let owner = world.owner(session).expect("held");
    let results = [result(&world, session, "RECOVERED", None)];
    world.shared.store.set_available(false);
    let orchestrator = &world.gateway().orchestrator;
    let lost = block_on(orchestrator.recovery_status(&owner, &results));
    assert!(matches!(lost, Err(ReportError::Store(_))), "{lost:?}");
    world.shared.store.set_available(true);
    let _ = block_on(orchestrator.recovery_status(&owner, &results)).expect("taken");
    assert_eq!(world.row(session).phase.name(), "ACTIVE");
}
