//! An engine of one's own: a client that links at once and answers every message with a receipt.
//!
//! The engine is the first half of this file. The second runs it in a worker, in process and without a
//! runtime; `gateway_worker::http` runs the same worker as a process with sockets.
//!
//! Run with `cargo run -p gateway-examples --example my_engine`.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_executor::block_on;
use gateway_core::id::{Epoch, MessageId, SessionId, WorkerId};
use gateway_core::message::MessageIds;
use gateway_core::protocol::{SendMessage, SessionState, StartSessionMode};
use gateway_core::time::{Clock, Timestamp};
use gateway_testkit::{clock::ManualClock, entropy::SeededEntropy, worker::StubGateway};
use gateway_worker::{Ending, Engine, EngineInfo, Moment, Progress, Refusal, Session};
use gateway_worker::{Start, Stopping, Worker, WorkerCard};
use serde_json::json;

#[derive(Debug)]
struct MyEngine {
    clock: Arc<ManualClock>,
    sessions: Mutex<BTreeMap<SessionId, Session>>,
}

impl MyEngine {
    fn sessions<T>(&self, act: impl FnOnce(&mut BTreeMap<SessionId, Session>) -> T) -> T {
        act(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Engine for MyEngine {
    fn info(&self) -> EngineInfo {
        let (name, version) = ("mine".to_owned(), "1.0.0".to_owned());
        let state_format = "mine-1".to_owned();
        EngineInfo {
            name,
            version,
            state_format,
            ..EngineInfo::default()
        }
    }

    fn start(&self, start: Start) -> Result<(), Ending> {
        if start.order.mode == StartSessionMode::Restore && start.stored.snapshot.is_none() {
            return Err(Ending::logged_out("no_credentials"));
        }
        // A real client would show a QR code here, and wait for the snapshot to be stored.
        let _stored = start.session.put_snapshot(b"my credentials".to_vec());
        start
            .session
            .report(Progress::connected(Some("491701234567")));
        self.sessions(|sessions| sessions.insert(start.session.id(), start.session));
        Ok(())
    }

    fn abandon(&self, session: SessionId, epoch: Epoch) {
        self.sessions(|all| all.retain(|id, s| *id != session || s.epoch() != epoch));
    }

    async fn state(&self, _: SessionId) -> SessionState {
        Progress::connected(Some("491701234567")).state
    }

    async fn send(&self, id: SessionId, message: &SendMessage) -> Result<Timestamp, Refusal> {
        let session = self.sessions(|all| all.get(&id).cloned());
        let session = session.filter(|session| session.is_open(self.clock.uptime()));
        let session = session.ok_or(Refusal::NotConnected)?;
        let mut receipt = session.draft_receipt("delivered");
        receipt.message_id = Some(message.message_id.to_string());
        session.submit_receipt(receipt);
        Ok(self.clock.now())
    }

    async fn release(&self, session: SessionId) {
        self.sessions(|sessions| sessions.remove(&session));
    }

    async fn logout(&self, session: SessionId) -> bool {
        self.sessions(|sessions| sessions.remove(&session).is_some())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::default());
    let engine = MyEngine {
        clock: Arc::clone(&clock),
        sessions: Mutex::default(),
    };
    let card = WorkerCard::new(WorkerId::parse("my-worker")?, "http://my-worker:3000");
    let now = Moment::of(&*clock);
    let worker = Worker::new(card, engine, Arc::new(SeededEntropy::new(1)), now);
    let gateway = StubGateway::default();
    block_on(exchange(&worker, &gateway, now)); // it registers

    let (session, message, incarnation) = (
        SessionId::from_u128(7),
        MessageId::from_u128(1),
        worker.owner().incarnation,
    );
    let start = json!({
        "sessionId": session, "epoch": 1, "incarnation": incarnation, "mode": "QR",
    });
    worker.start(&serde_json::from_value(start)?, now)?;
    block_on(exchange(&worker, &gateway, now));
    println!("the gateway was told: {:?}", gateway.statuses(session));

    let send = serde_json::from_value(json!({
        "messageId": message, "waMessageId": MessageIds::new(b"a key").wa(message).as_str(),
        "bodyHash": "00", "epoch": 1, "incarnation": incarnation,
        "to": "491701111111@s.whatsapp.net", "type": "text", "text": "hello",
    }))?;
    let sent = block_on(worker.send(session, &send, now))?;
    let again = block_on(worker.send(session, &send, now))?;
    assert_eq!(
        sent, again,
        "the runtime remembers; the engine was asked once"
    );
    block_on(exchange(&worker, &gateway, now));
    println!("what became of it: {}", gateway.told().receipts[0].status);

    let release = worker.finish(session, Epoch(1), &incarnation, Stopping::Release, now);
    let released = block_on(release)?;
    println!("released with state {} stored", released.last_seq);
    Ok(())
}

/// Makes the calls that are due until there are none. A process would sleep until `next_due`.
async fn exchange(worker: &Worker<MyEngine>, gateway: &StubGateway, now: Moment) {
    loop {
        let due = worker.advance(now);
        if due.is_empty() {
            return;
        }
        for outbound in due {
            let answer = outbound.perform(gateway).await;
            worker.answered(outbound.id, now, answer);
        }
    }
}
