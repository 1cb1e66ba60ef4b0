//! An engine whose answers a test holds back, and a worker around it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{SendMessage, SessionState, StartSessionMode};
use gateway_core::time::Timestamp;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::worker::EngineStage;
use gateway_worker::{Ending, Engine, EngineInfo, Load, Progress, Refusal, Session, Start};

pub(crate) const SESSION: SessionId = SessionId::from_u128(7);

/// What a test says to the engine, and hears from it.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// What the engine was told, in order.
    pub(crate) heard: Vec<String>,
    pub(crate) session: Option<Session>,
    /// Sends and logouts wait while this is set.
    pub(crate) held_back: bool,
    waiting: Vec<Waker>,
    /// Why the next start is refused.
    pub(crate) refusal: Option<Ending>,
    /// The method in which it panics.
    pub(crate) panics_in: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct PlayedEngine(Arc<Mutex<Played>>);

impl PlayedEngine {
    pub(crate) fn played(&self) -> MutexGuard<'_, Played> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn let_go(&self) {
        let mut played = self.played();
        played.held_back = false;
        for waker in std::mem::take(&mut played.waiting) {
            waker.wake();
        }
    }

    pub(crate) fn session(&self) -> Session {
        self.played()
            .session
            .clone()
            .expect("a session was started")
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.played().heard.clone()
    }

    fn hear(&self, what: impl Into<String>) {
        self.played().heard.push(what.into());
    }

    fn enter(&self, method: &str) {
        let panics = self.played().panics_in == Some(method);
        assert!(!panics, "the engine is broken");
    }

    async fn allowed(&self) {
        std::future::poll_fn(|context| {
            let mut played = self.played();
            if !played.held_back {
                return Poll::Ready(());
            }
            played.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl Engine for PlayedEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            name: "played".to_owned(),
            ..EngineInfo::default()
        }
    }

    fn load(&self, _: Duration, _: usize) -> Load {
        self.enter("load");
        Load::default()
    }

    fn start(&self, start: Start) -> Result<(), Ending> {
        self.enter("start");
        self.hear(format!("start {}", start.session.epoch()));
        let mut played = self.played();
        if let Some(ending) = played.refusal.take() {
            return Err(ending);
        }
        start.session.report(Progress::connected(None));
        played.session = Some(start.session);
        Ok(())
    }

    fn abandon(&self, _: SessionId, epoch: Epoch) {
        self.enter("abandon");
        self.hear(format!("abandon {epoch}"));
    }

    async fn state(&self, _: SessionId) -> SessionState {
        Progress::connecting("of the engine").state
    }

    async fn send(&self, _: SessionId, message: &SendMessage) -> Result<Timestamp, Refusal> {
        self.hear(format!("send {}", message.content["text"]));
        self.allowed().await;
        Ok(Timestamp::default())
    }

    async fn release(&self, _: SessionId, _: Epoch) {
        self.hear("release");
        let stored = self.session().append(vec![b"last".to_vec()]);
        let stored = stored.await;
        self.hear(format!("stored {}", stored.is_ok()));
    }

    async fn logout(&self, _: SessionId, epoch: Epoch) -> bool {
        self.hear(format!("logout {epoch}"));
        self.allowed().await;
        true
    }
}

/// A worker that is registered, with its engine, its gateway and its clock.
pub(crate) type Stage = EngineStage<PlayedEngine>;

pub(crate) fn registered() -> Stage {
    Stage::new(PlayedEngine::default(), Arc::new(ManualClock::default()))
}

/// A worker whose session is connected at epoch 1.
pub(crate) fn connected() -> Stage {
    let stage = registered();
    start(&stage, 1, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    stage
}

pub(crate) fn start(stage: &Stage, epoch: u64, mode: StartSessionMode) -> Result<(), Refusal> {
    stage.start(SESSION, Epoch(epoch), mode)
}

/// The message with this number, which is also its text.
pub(crate) fn message(stage: &Stage, number: u128) -> SendMessage {
    stage.text(number, Epoch(1), &number.to_string())
}

/// Returns the outcome of a future that does not have to wait.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    poll(std::pin::pin!(future))
}

/// Lets a future get on; its outcome, once it has come to its end.
pub(crate) fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match future.poll(&mut context) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
