//! A worker around one engine, for tests of engines.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{Epoch, MessageId, SessionId, WorkerId};
use gateway_core::message::MessageIds;
use gateway_core::protocol::{Released, SendMessage, Sent, StartSession, StartSessionMode};
use gateway_worker::{Engine, GatewayError, Moment, Refusal, Stopping, Worker, WorkerCard};

use super::sim::poll_once;
use super::stub::StubGateway;
use crate::clock::ManualClock;
use crate::entropy::SeededEntropy;

/// A worker with an engine under test, registered with a gateway that agrees to everything, on a clock that
/// is moved by hand.
///
/// Give it commands, here or through [`Self::worker`], call [`Self::settle`] to let its reports arrive, and
/// look at them in [`Self::gateway`].
#[derive(Debug)]
pub struct EngineStage<E> {
    /// The clock of the worker.
    pub clock: Arc<ManualClock>,
    /// The worker.
    pub worker: Worker<E>,
    /// The gateway that it reports to.
    pub gateway: StubGateway,
}

impl<E: Engine> EngineStage<E> {
    /// Makes a worker for the engine and lets it register. An engine that asks for the time should be
    /// given the same clock.
    ///
    /// # Panics
    /// Never: the worker's name is well-formed.
    #[must_use]
    pub fn new(engine: E, clock: Arc<ManualClock>) -> Self {
        let id = WorkerId::parse("my-worker").expect("a well-formed name");
        let card = WorkerCard::new(id, "http://my-worker:3000");
        let entropy = Arc::new(SeededEntropy::new(1));
        let worker = Worker::new(card, engine, entropy, Moment::of(&*clock));
        let stage = Self {
            clock,
            worker,
            gateway: StubGateway::default(),
        };
        stage.settle();
        stage
    }

    /// Returns the engine.
    pub const fn engine(&self) -> &E {
        self.worker.engine()
    }

    /// Returns the present by the worker's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::of(&*self.clock)
    }

    /// Makes the calls to the gateway that are due until there are none. A process would sleep until
    /// [`Worker::next_due`].
    pub fn settle(&self) {
        loop {
            let due = self.worker.advance(self.now());
            if due.is_empty() {
                return;
            }
            for outbound in due {
                let answer = poll_once(outbound.perform(&self.gateway));
                let answer = answer.unwrap_or(Err(GatewayError::Unreachable));
                self.worker.answered(outbound.id, self.now(), answer);
            }
        }
    }

    /// Lets time pass, and makes the calls that are due then.
    pub fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.settle();
    }

    /// Orders the worker to start a session at this epoch.
    ///
    /// # Errors
    /// Why the worker refuses.
    pub fn start(
        &self,
        session: SessionId,
        epoch: Epoch,
        mode: StartSessionMode,
    ) -> Result<(), Refusal> {
        let body = StartSession {
            session_id: session,
            epoch,
            incarnation: self.worker.owner().incarnation,
            mode,
            phone_number: None,
            proxy: None,
            config: None,
        };
        self.worker.start(&body, self.now()).map(drop)
    }

    /// Gives the worker a message to send.
    ///
    /// # Errors
    /// Why the worker refuses; nothing has gone out.
    pub async fn send(&self, session: SessionId, body: &SendMessage) -> Result<Sent, Refusal> {
        self.worker.send(session, body, &*self.clock).await
    }

    /// Orders the worker to stop the session at this epoch.
    ///
    /// # Errors
    /// Why the worker refuses.
    pub async fn finish(
        &self,
        session: SessionId,
        epoch: Epoch,
        how: Stopping,
    ) -> Result<Released, Refusal> {
        let run = self.worker.owner().incarnation;
        let finished = self.worker.finish(session, epoch, &run, how, &*self.clock);
        finished.await
    }

    /// Returns the text message with this number, for a session at this epoch.
    #[must_use]
    pub fn text(&self, number: u128, epoch: Epoch, text: &str) -> SendMessage {
        let id = MessageId::from_u128(number);
        let mut content = serde_json::Map::new();
        content.insert("text".to_owned(), text.into());
        SendMessage {
            message_id: id,
            wa_message_id: MessageIds::new(b"a key").wa(id),
            body_hash: text.to_owned(),
            epoch,
            incarnation: self.worker.owner().incarnation,
            to: "491701234567@s.whatsapp.net".to_owned(),
            kind: "text".to_owned(),
            content,
        }
    }
}
