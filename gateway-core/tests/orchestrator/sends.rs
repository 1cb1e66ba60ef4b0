//! Sends that meet a crash between any two steps: nothing is shown twice, nothing is erased.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use gateway_core::id::{MessageId, TenantId};
use gateway_core::message::{
    Fact, LogError, LogFull, LogPlace, Message, MessageLog, MessageStatus, Recorded, SendError,
};
use gateway_testkit::memory::{LogMode, MemoryLog};
use gateway_testkit::worker::CrashPoint;

use super::block_on;
use super::world::{TENANT, World, seconds, worker};

/// A log whose process dies before anything it is given is written.
#[derive(Debug)]
struct DyingLog(MemoryLog);

#[async_trait]
impl MessageLog for DyingLog {
    fn reserve(&self) -> Result<LogPlace, LogFull> {
        self.0.reserve()
    }

    async fn record(&self, _place: LogPlace, _fact: Fact) -> Result<Recorded, LogError> {
        std::future::pending().await
    }

    async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError> {
        self.0.find(tenant, id).await
    }
}

fn stored(world: &World, id: MessageId) -> Option<Message> {
    block_on(world.memory_log.find(TENANT, id)).expect("the log answers")
}

/// Sends with a key and dies between the worker's answer and the commit; the id it had.
fn crash_before_the_commit(world: &World, session: gateway_core::id::SessionId) -> MessageId {
    let mut sender = world.gateway().sender.clone();
    sender.log = Arc::new(DyingLog(world.memory_log.clone()));
    let request = world.text(session, Some("k"));
    {
        let mut sending = pin!(sender.send(&request));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(sending.as_mut().poll(&mut context), Poll::Pending));
    }
    let id = sender.ids.keyed(TENANT, session, "k");
    assert_eq!(world.fleet.network().times_shown(id), 1, "it has gone out");
    assert_eq!(stored(world, id), None, "and nobody has written that");
    id
}

#[test]
fn a_crash_between_answer_and_commit_and_a_repeat_send_it_once() {
    let world = World::new(1).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let id = crash_before_the_commit(&world, session);
    let again = block_on(world.gateway().send(&world.text(session, Some("k"))));
    let message = again.expect("the worker's first answer").message;
    assert_eq!((message.id, message.status), (id, MessageStatus::Sending));
    let shown = world.fleet.network().shown(session);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].arrivals, 1, "the worker did not send it again");
    assert!(stored(&world, id).is_some_and(|row| !row.is_stub()));
}

#[test]
fn a_status_report_in_between_makes_a_stub_that_the_repeat_fills() {
    let world = World::new(2).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let id = crash_before_the_commit(&world, session);
    world.run(seconds(2));
    let stub = stored(&world, id).expect("the receipts made a row");
    assert!(stub.is_stub());
    assert_eq!(stub.status, MessageStatus::Delivered);

    let again = block_on(world.gateway().send(&world.text(session, Some("k"))));
    let message = again.expect("the worker's first answer").message;
    assert!(!message.is_stub());
    assert_eq!(message.status, MessageStatus::Delivered, "never backwards");
    assert_eq!(world.fleet.network().times_shown(id), 1);
}

#[test]
fn a_crash_of_the_worker_too_still_shows_it_once() {
    for point in [CrashPoint::BeforeSending, CrashPoint::BeforeAnswering] {
        let world = World::new(3).with_workers(1..=2, 10);
        let session = world.connected("sales");
        let holder = worker(world.holder(session));
        world.fleet.change_script(&holder, |script| {
            *script = script.clone().crash_at_send(1, point);
        });
        let request = world.text(session, Some("k"));
        let first = block_on(world.gateway().send(&request));
        let Err(SendError::OutcomeUnknown { id }) = first else {
            panic!("{first:?}")
        };
        assert_eq!(
            stored(&world, id).map(|row| row.status),
            Some(MessageStatus::Unknown)
        );
        world.run(seconds(40));
        let again = block_on(world.gateway().send(&request)).expect("sent elsewhere");
        assert_eq!(again.message.id, id);
        assert_eq!(world.fleet.network().times_shown(id), 1, "{point:?}");
        assert_eq!(world.fleet.network().shown_in_all(), 1);
        world.assert_safe();
    }
}

#[test]
fn a_fact_that_the_log_has_taken_outlives_whoever_waited_for_it() {
    let world = World::new(4).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.memory_log.set_mode(LogMode::Held);
    let sender = world.gateway().sender.clone();
    let request = world.text(session, Some("k"));
    {
        let mut sending = pin!(sender.send(&request));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(sending.as_mut().poll(&mut context), Poll::Pending));
    }
    world.memory_log.set_mode(LogMode::Open);
    let id = sender.ids.keyed(TENANT, session, "k");
    assert_eq!(
        stored(&world, id).map(|row| row.status),
        Some(MessageStatus::Sending)
    );
    assert_eq!(world.memory_log.taken(), 0, "and gives its place back");
}

#[test]
fn a_commit_whose_answer_is_lost_and_a_repeat_send_it_once() {
    let world = World::new(5).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.memory_log.set_mode(LogMode::LosingAnswers);
    let request = world.text(session, Some("k"));
    let first = block_on(world.gateway().send(&request));
    let Err(SendError::NotRecorded { id, .. }) = first else {
        panic!("{first:?}")
    };
    world.memory_log.set_mode(LogMode::Open);
    let again = block_on(world.gateway().send(&request)).expect("the first answer");
    assert!(again.repeated);
    assert_eq!(again.message.id, id);
    assert_eq!(world.fleet.network().times_shown(id), 1);
}

#[test]
fn a_worker_that_is_gone_is_not_asked_and_nothing_is_written() {
    let world = World::new(6).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.fleet.crash(&worker(1));
    let outcome = block_on(world.gateway().send(&world.text(session, None)));
    assert!(
        matches!(outcome, Err(SendError::SessionUnavailable)),
        "{outcome:?}"
    );
    world.run(seconds(10));
    let outcome = block_on(world.gateway().send(&world.text(session, None)));
    assert!(
        matches!(outcome, Err(SendError::SessionUnavailable)),
        "suspect: sends fail fast"
    );
    assert_eq!(world.fleet.network().shown_in_all(), 0);
}
