//! What is reported: kept until the gateway has it, and given up alone.

use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::protocol::StartSessionMode;
use gateway_worker::{GatewayError, Progress, Ticket};

use crate::engine::{SESSION, Stage, at_once, connected, start};

const CHAT: &str = "491709999999@s.whatsapp.net";

fn submit(stage: &Stage, wa_message_id: &str, text: &str) -> Ticket<()> {
    let session = stage.engine().session();
    let mut message = session.draft_inbound(CHAT, wa_message_id);
    message.content.insert("text".to_owned(), text.into());
    session.submit_inbound(message)
}

fn arrived(stage: &Stage) -> Vec<String> {
    let told = stage.gateway.told();
    let ids = told.inbound.iter().map(|message| &message.wa_message_id);
    ids.cloned().collect()
}

fn refusal(status: u16, kind: &str) -> GatewayError {
    GatewayError::Refused {
        status,
        kind: kind.to_owned(),
        message: String::new(),
    }
}

#[test]
fn a_message_that_is_refused_takes_no_other_with_it() {
    let stage = connected();
    stage.gateway.told().inbound_refusal = Some(refusal(400, "bad_request"));
    stage.gateway.told().refused_inbound = "M7".to_owned();
    let ids: Vec<_> = (0..20).map(|number| format!("M{number}")).collect();
    let tickets: Vec<_> = ids.iter().map(|id| submit(&stage, id, "hi")).collect();
    stage.settle();
    let others: Vec<_> = ids.into_iter().filter(|id| id != "M7").collect();
    assert_eq!(arrived(&stage), others);
    assert!(tickets.iter().all(|ticket| ticket.outcome().is_some()));
}

#[test]
fn a_refusal_that_is_not_of_the_gateway_loses_nothing() {
    for status in [401, 403, 404, 413] {
        let stage = connected();
        stage.gateway.told().inbound_refusal = Some(GatewayError::Failed { status });
        let ticket = submit(&stage, "M1", "hi");
        stage.settle();
        assert_eq!(ticket.outcome(), None, "{status}");
        stage.gateway.told().inbound_refusal = None;
        stage.pass(Duration::from_secs(1));
        assert_eq!(ticket.outcome(), Some(()), "{status}");
        assert_eq!(arrived(&stage), ["M1"]);
    }
}

#[test]
fn calls_with_messages_are_not_longer_than_half_a_mebibyte() {
    let stage = connected();
    let long = "x".repeat(200 * 1024);
    for number in 0..5 {
        submit(&stage, &format!("M{number}"), &long);
    }
    submit(&stage, "huge", &"x".repeat(600 * 1024));
    stage.settle();
    assert_eq!(stage.gateway.told().inbound_calls, [2, 2, 1, 1]);
    assert_eq!(arrived(&stage).len(), 6);
}

#[test]
fn a_late_answer_settles_only_the_report_it_is_about() {
    let stage = connected();
    let session = stage.engine().session();
    session.report(Progress::connecting("first"));
    let mut late = stage.worker.advance(stage.now());
    let late = late.pop().expect("a report");
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    let session = stage.engine().session();
    assert_eq!(session.epoch(), Epoch(2));
    session.report(Progress::connecting("second"));
    let _unanswered = stage.worker.advance(stage.now());
    let done = Ok(gateway_worker::Answer::Done);
    stage.worker.answered(late.id, stage.now(), done);
    stage.pass(Duration::from_secs(10));
    stage.pass(Duration::from_secs(1));
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("CONNECTING second")
    );
}

#[test]
fn each_attempt_to_deliver_a_report_says_when_it_was_made() {
    let stage = connected();
    let happened_at = stage.now().wall;
    let session = stage.engine().session();
    stage.gateway.told().down = true;
    session.report(Progress::connecting("syncing"));
    session.submit_receipt(session.draft_receipt("sent"));
    submit(&stage, "M1", "hi");
    stage.settle();
    stage.pass(Duration::from_secs(3));
    stage.gateway.told().down = false;
    stage.pass(Duration::from_secs(4));
    let told = stage.gateway.told();
    let report = told.reports.last().expect("a report");
    assert_eq!(report.occurred_at, Some(happened_at));
    let delivered_at = Some(happened_at.plus(Duration::from_secs(7)));
    assert_eq!(report.sent_at, delivered_at);
    assert_eq!(told.receipts[0].sent_at, delivered_at);
    assert_eq!(told.inbound[0].sent_at, delivered_at);
}

#[test]
fn an_answer_about_a_session_says_when_it_was_given() {
    let stage = connected();
    stage.clock.advance(Duration::from_secs(5));
    let said = at_once(stage.worker.session(SESSION, &*stage.clock));
    let said = said.expect("at once").expect("it is held");
    assert_eq!(said.sent_at, Some(stage.now().wall));
}
