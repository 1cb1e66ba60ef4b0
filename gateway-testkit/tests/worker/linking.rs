//! QR codes, pairing codes, passkeys and stored credentials.

use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::protocol::{Passkey, StartSessionMode};
use gateway_core::state::StateStore;
use gateway_core::worker::{LinkError, WorkerLink};
use gateway_testkit::worker::{Script, Upstream};

use crate::stage::{SESSION, Stage, order, worker};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn six_codes_are_shown_for_160_seconds_and_then_nobody_scanned() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.target("a");
    stage
        .start(&target, 1, StartSessionMode::Qr)
        .expect("taken");
    stage.pass(seconds(59));
    assert_eq!(stage.gateway.told().reports.len(), 1);
    stage.pass(seconds(100));
    let indexes: Vec<_> = stage
        .gateway
        .told()
        .reports
        .iter()
        .map(|r| r.qr_index)
        .collect();
    assert_eq!(indexes, (0..6).map(Some).collect::<Vec<_>>());
    stage.pass(seconds(2));
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("DISCONNECTED qr_timeout")
    );
    let again = stage.start(&target, 1, StartSessionMode::Qr);
    assert_eq!(again, Err(LinkError::StaleEpoch { current: Epoch(1) }));
}

#[test]
fn scaled_time_rotates_codes_faster() {
    let stage = Stage::with(&["a"], &Script::default().time_scale(20.0));
    stage
        .start(&stage.target("a"), 1, StartSessionMode::Qr)
        .expect("taken");
    stage.pass(seconds(8) + Duration::from_millis(200));
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("DISCONNECTED qr_timeout")
    );
}

#[test]
fn a_scan_pairs_stores_the_credentials_and_connects() {
    let stage = Stage::with(&["a"], &Script::default().auto_scan(1_000));
    stage
        .start(&stage.target("a"), 1, StartSessionMode::Qr)
        .expect("taken");
    stage.pass(seconds(3));
    assert_eq!(
        stage.gateway.statuses(SESSION),
        [
            "QR_REQUIRED",
            "CONNECTING pairing",
            "CONNECTING syncing",
            "CONNECTED"
        ]
    );
    let told = stage.gateway.told();
    let sequence: Vec<_> = told.reports.iter().filter_map(|r| r.report_seq).collect();
    assert_eq!(sequence, [1, 2, 3, 4]);
    assert!(told.reports[1].phone_number.is_some());
    let version = futures_executor::block_on(stage.gateway.state.version(SESSION));
    assert_eq!(version.expect("kept").seq, 1);
}

#[test]
fn a_pairing_code_lives_three_minutes() {
    let stage = Stage::with(&["a"], &Script::default());
    stage
        .start(&stage.target("a"), 1, StartSessionMode::PairingCode)
        .expect("taken");
    assert!(stage.gateway.told().reports[0].pairing_code.is_some());
    stage.pass(seconds(179));
    assert_eq!(stage.gateway.told().reports.len(), 1);
    stage.pass(seconds(2));
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("DISCONNECTED qr_timeout")
    );
}

#[test]
fn a_passkey_is_asserted_and_then_confirmed() {
    let stage = Stage::with(&["a"], &Script::default().passkey());
    let target = stage.target("a");
    stage
        .start(&target, 1, StartSessionMode::Qr)
        .expect("taken");
    stage.fleet.scan(SESSION);
    stage.settle();
    let asked = stage
        .gateway
        .told()
        .reports
        .last()
        .cloned()
        .expect("reported");
    assert_eq!(asked.action_required.as_deref(), Some("passkey"));
    assert!(asked.passkey_challenge.is_some());

    let order = order(&target.owner, 1);
    let body = Passkey {
        epoch: Epoch(1),
        incarnation: target.owner.incarnation.clone(),
        assertion: Some(serde_json::json!({"id": "x"})),
    };
    let answer = |confirm| {
        let call = stage
            .fleet
            .passkey(&target, &order, &body, confirm, seconds(1));
        futures_executor::block_on(call)
    };
    assert!(matches!(answer(true), Err(LinkError::Refused { .. })));
    assert_eq!(answer(false), Ok(()));
    assert_eq!(answer(true), Ok(()));
    stage.pass(seconds(2));
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(statuses.last().map(String::as_str), Some("CONNECTED"));
}

#[test]
fn stored_credentials_connect_elsewhere_without_a_scan() {
    let stage = Stage::with(&["a", "b"], &Script::default());
    let source = stage.connect("a");
    assert_eq!(stage.release(&source, 1), Ok(1));
    let target = stage.target("b");
    stage
        .start(&target, 2, StartSessionMode::Restore)
        .expect("taken");
    stage.pass(seconds(1));
    assert_eq!(
        stage.gateway.statuses(SESSION).last().map(String::as_str),
        Some("CONNECTED")
    );
    assert!(stage.send(&target, 2, 1).is_ok());
    assert_eq!(stage.fleet.recorder().live_twice(), []);
}

#[test]
fn a_restore_without_credentials_is_logged_out() {
    let stage = Stage::with(&["a"], &Script::default());
    stage
        .start(&stage.target("a"), 1, StartSessionMode::Restore)
        .expect("taken");
    assert_eq!(
        stage.gateway.statuses(SESSION),
        ["LOGGED_OUT no_credentials"]
    );
}

#[test]
fn an_account_that_was_unlinked_cannot_be_restored() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    assert_eq!(stage.logout(&target, 1), Ok(Some(true)));
    stage
        .start(&target, 2, StartSessionMode::Restore)
        .expect("taken");
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("LOGGED_OUT device_removed")
    );
}

#[test]
fn a_lost_connection_is_reported_and_comes_back() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    let lost = Upstream::ConnectionLost {
        back_after_ms: 3_000,
    };
    stage.fleet.upstream(SESSION, lost);
    stage.settle();
    let report = stage
        .gateway
        .told()
        .reports
        .last()
        .cloned()
        .expect("reported");
    assert_eq!(report.status, "RECONNECTING");
    assert!(report.retry_at.is_some());
    assert_eq!(stage.send(&target, 1, 1), Err(LinkError::NotConnected));
    stage.pass(seconds(4));
    assert!(stage.send(&target, 1, 1).is_ok());
}

#[test]
fn the_state_of_a_session_is_asked_of_the_client() {
    let stage = Stage::with(&["a"], &Script::default());
    stage
        .start(&stage.target("a"), 1, StartSessionMode::Qr)
        .expect("taken");
    let now = gateway_testkit::worker::Moment::of(&*stage.clock);
    let said = stage
        .fleet
        .look(&worker("a"), |w| w.look(SESSION, now))
        .flatten();
    let said = said.expect("held");
    assert_eq!(said.status, "QR_REQUIRED");
    assert_eq!(said.qr_code, stage.gateway.told().reports[0].qr_code);
}
