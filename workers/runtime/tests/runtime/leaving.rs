//! How a worker leaves: nothing that it knows is lost on the way, and its sessions wait for nothing.

use std::pin::pin;
use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::protocol::StartSessionMode;
use gateway_testkit::worker::WorkerRoute;
use gateway_worker::{GatewayError, Progress, Refusal};

use crate::engine::{SESSION, Stage, at_once, connected, message, poll, registered, start};

const PATIENCE: GatewayError = GatewayError::Unavailable { retry_after: None };

fn send(stage: &Stage, number: u128) {
    let sent = at_once(stage.send(SESSION, &message(stage, number)));
    sent.expect("at once").expect("accepted");
}

fn acknowledge(stage: &Stage, number: u128) {
    let session = stage.engine().session();
    let mut receipt = session.draft_receipt("sent");
    receipt.message_id = Some(message(stage, number).message_id.to_string());
    session.submit_receipt(receipt);
}

fn receipts(stage: &Stage) -> Vec<String> {
    let told = stage.gateway.told();
    let receipts = told.receipts.iter();
    receipts.map(|receipt| receipt.status.clone()).collect()
}

#[test]
fn what_a_worker_owes_is_delivered_before_its_goodbye() {
    let stage = connected();
    let session = stage.engine().session();
    for route in [
        WorkerRoute::SessionStatus,
        WorkerRoute::MessageStatus,
        WorkerRoute::Inbound,
    ] {
        stage.gateway.told().refusals.insert(route, PATIENCE);
    }
    session.report(Progress::connecting("syncing"));
    session.submit_receipt(session.draft_receipt("sent"));
    session.submit_inbound(session.draft_inbound("4930@s.whatsapp.net", "M1"));
    stage.worker.stop(stage.now());
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.gateway.told().goodbyes, []);
    stage.gateway.told().refusals.clear();
    stage.gateway.told().taken.clear();
    stage.pass(Duration::from_secs(1));
    let mut taken = stage.gateway.told().taken.clone();
    assert_eq!(taken.pop(), Some(WorkerRoute::Goodbye));
    taken.sort_unstable();
    let owed = [
        WorkerRoute::SessionStatus,
        WorkerRoute::MessageStatus,
        WorkerRoute::Inbound,
    ];
    assert_eq!(taken, owed);
    assert!(stage.worker.is_gone());
}

#[test]
fn the_sessions_wait_for_the_goodbye_no_longer_than_four_seconds() {
    let stage = connected();
    let session = stage.engine().session();
    let refused = (WorkerRoute::MessageStatus, PATIENCE);
    stage.gateway.told().refusals.extend([refused]);
    session.submit_receipt(session.draft_receipt("sent"));
    stage.worker.stop(stage.now());
    stage.pass(Duration::from_millis(3_900));
    assert_eq!(stage.gateway.told().goodbyes, []);
    stage.pass(Duration::from_millis(100));
    assert_eq!(stage.gateway.told().goodbyes.len(), 1);
    assert!(stage.worker.is_gone());
}

#[test]
fn a_worker_goes_six_seconds_after_it_was_stopped_whether_or_not_it_is_heard() {
    let stage = connected();
    stage.gateway.told().down = true;
    stage.worker.stop(stage.now());
    for _ in 0..59 {
        stage.pass(Duration::from_millis(100));
        assert!(!stage.worker.is_gone());
    }
    stage.pass(Duration::from_millis(100));
    assert!(stage.worker.is_gone());
    assert_eq!(stage.worker.next_due(), None);
}

#[test]
fn what_whatsapp_has_not_acknowledged_is_reported_as_unknown() {
    let stage = connected();
    send(&stage, 1);
    send(&stage, 2);
    acknowledge(&stage, 1);
    stage.worker.stop(stage.now());
    stage.settle();
    assert_eq!(receipts(&stage), ["sent", "unknown"]);
    let told = stage.gateway.told();
    let lost = &told.receipts[1];
    let second = message(&stage, 2);
    assert_eq!(lost.message_id, Some(second.message_id.to_string()));
    assert_eq!(lost.wa_message_id, Some(second.wa_message_id.to_string()));
    assert_eq!(lost.epoch, Epoch(1));
    assert_eq!(told.taken.last(), Some(&WorkerRoute::Goodbye));
}

#[test]
fn a_send_that_ends_after_its_session_is_reported_as_unknown() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let message = message(&stage, 1);
    let mut send = pin!(stage.send(SESSION, &message));
    assert_eq!(poll(send.as_mut()), None);
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    assert_eq!(receipts(&stage), Vec::<String>::new());
    stage.engine().let_go();
    poll(send.as_mut()).expect("let go").expect("accepted");
    stage.settle();
    assert_eq!(receipts(&stage), ["unknown"]);
}

#[test]
fn a_worker_that_leaves_takes_nothing_new_and_waits_for_acknowledgements() {
    let stage = connected();
    send(&stage, 1);
    let quiet = stage.worker.quiesce(stage.now());
    let stopping = Refusal::Busy { code: "stopping" };
    let refused = at_once(stage.send(SESSION, &message(&stage, 2)));
    assert_eq!(refused, Some(Err(stopping.clone())));
    let refused = start(&stage, 2, StartSessionMode::Qr);
    assert_eq!(refused, Err(stopping));
    send(&stage, 1);
    assert_eq!(stage.worker.health(stage.now()).status, "stopping");
    assert_eq!(quiet.outcome(), None);
    acknowledge(&stage, 1);
    assert_eq!(quiet.outcome(), Some(()));
}

#[test]
fn a_worker_that_sends_nothing_waits_for_no_acknowledgement() {
    let stage = registered();
    let quiet = stage.worker.quiesce(stage.now());
    assert_eq!(quiet.outcome(), Some(()));
}

#[test]
fn a_session_that_is_let_go_is_released_and_what_it_reported_arrives() {
    let stage = connected();
    stage
        .engine()
        .session()
        .report(Progress::connecting("last"));
    let mut let_go = pin!(stage.worker.let_go(SESSION));
    assert_eq!(poll(let_go.as_mut()), None, "its last write is on its way");
    stage.settle();
    assert_eq!(poll(let_go.as_mut()), Some(()));
    assert_eq!(stage.worker.holds(), []);
    stage.settle();
    let heard = ["start 1", "release", "stored true"];
    assert_eq!(stage.engine().heard(), heard);
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(statuses, ["CONNECTED", "CONNECTING last"]);
}

#[test]
fn a_worker_whose_incarnation_is_over_leaves_at_once() {
    let stage = connected();
    let session = stage.engine().session();
    let refused = (WorkerRoute::MessageStatus, GatewayError::IncarnationEnded);
    stage.gateway.told().refusals.extend([refused]);
    session.submit_receipt(session.draft_receipt("sent"));
    stage.worker.stop(stage.now());
    stage.settle();
    assert!(stage.worker.is_gone());
    assert_eq!(stage.gateway.told().registrations.len(), 1);
}
