//! An engine of one's own: a client that links at once and answers every message with a receipt. `main` runs
//! it in a worker without a runtime; `gateway_worker::http` runs the same worker as a process with sockets.
//!
//! Run with `cargo run -p gateway-examples --example my_engine`.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::{Arc, Mutex, PoisonError};
use std::{collections::BTreeMap, error::Error};

use async_trait::async_trait;
use futures_executor::block_on;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{SendMessage, SessionState, StartSessionMode};
use gateway_core::time::{Clock, Timestamp};
use gateway_testkit::{clock::ManualClock, worker::EngineStage};
use gateway_worker::{Ending, Engine, EngineInfo, Progress, Refusal, Session, Start, Stopping};

#[derive(Debug, Default)]
struct MyEngine {
    clock: Arc<ManualClock>,
    sessions: Mutex<BTreeMap<SessionId, Session>>,
}

impl MyEngine {
    fn sessions<T>(&self, act: impl FnOnce(&mut BTreeMap<SessionId, Session>) -> T) -> T {
        act(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets a session, unless it runs at another epoch; whether there was one.
    fn remove(&self, session: SessionId, epoch: Epoch) -> bool {
        self.sessions(|sessions| {
            let running = sessions.get(&session).map(Session::epoch);
            running == Some(epoch) && sessions.remove(&session).is_some()
        })
    }
}

#[async_trait]
impl Engine for MyEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            name: "mine".to_owned(),
            version: "1.0.0".to_owned(),
            state_format: "mine-1".to_owned(),
            ..EngineInfo::default()
        }
    }

    fn start(&self, start: Start) -> Result<(), Ending> {
        if start.order.mode == StartSessionMode::Restore && start.stored.snapshot.is_none() {
            return Err(Ending::logged_out("no_credentials"));
        }
        // A real client would show a QR code here, and wait for the snapshot to be stored.
        let _stored = start.session.put_snapshot(b"my credentials".to_vec());
        let session = start.session;
        session.report(Progress::connected(Some("491701234567")));
        self.sessions(|sessions| sessions.insert(session.id(), session));
        Ok(())
    }

    fn abandon(&self, session: SessionId, epoch: Epoch) {
        self.remove(session, epoch);
    }

    async fn state(&self, _: SessionId) -> SessionState {
        Progress::connected(Some("491701234567")).state
    }

    async fn send(&self, id: SessionId, message: &SendMessage) -> Result<Timestamp, Refusal> {
        let session = self.sessions(|all| all.get(&id).cloned());
        let is_open = |session: &Session| session.is_open(self.clock.uptime());
        let session = session.filter(is_open).ok_or(Refusal::NotConnected)?;
        let mut receipt = session.draft_receipt("delivered");
        receipt.message_id = Some(message.message_id.to_string());
        session.submit_receipt(receipt);
        Ok(self.clock.now())
    }

    async fn release(&self, session: SessionId, epoch: Epoch) {
        self.remove(session, epoch);
    }

    async fn logout(&self, session: SessionId, epoch: Epoch) -> bool {
        self.remove(session, epoch)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let engine = MyEngine::default();
    let clock = Arc::clone(&engine.clock);
    let stage = EngineStage::new(engine, clock);
    let (session, epoch) = (SessionId::from_u128(7), Epoch(1));
    stage.start(session, epoch, StartSessionMode::Qr)?;
    stage.settle();
    println!("reported: {:?}", stage.gateway.statuses(session));

    let message = stage.text(1, epoch, "hello");
    let send = || block_on(stage.send(session, &message));
    assert_eq!(send()?, send()?, "the engine was asked once");
    stage.settle();
    println!("the message: {}", stage.gateway.told().receipts[0].status);

    let released = block_on(stage.finish(session, epoch, Stopping::Release))?;
    println!("released with state {} stored", released.last_seq);
    Ok(())
}
