//! The way to a worker that does what the test says.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{SessionId, WorkerId};
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::Order;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use tokio::sync::Semaphore;

/// Answers as a good worker does, unless the test has said otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScriptedLink {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    starts: Vec<StartSession>,
    sends: Vec<SendMessage>,
    stops: Vec<(&'static str, SessionId)>,
    passkeys: Vec<(bool, Passkey)>,
    on_send: Option<LinkError>,
    on_stop: Option<LinkError>,
    on_passkey: Option<LinkError>,
    on_health: Option<LinkError>,
    state: Option<SessionState>,
    held: Option<Arc<Semaphore>>,
    held_stops: Option<Arc<Semaphore>>,
    running_stops: BTreeMap<WorkerId, usize>,
    panics: bool,
}

impl ScriptedLink {
    /// Every send fails like this from now on; none: they succeed again.
    pub(crate) fn fail_sends(&self, error: impl Into<Option<LinkError>>) {
        self.script().on_send = error.into();
    }

    /// Every order to stop fails like this from now on.
    pub(crate) fn fail_stops(&self, error: impl Into<Option<LinkError>>) {
        self.script().on_stop = error.into();
    }

    pub(crate) fn fail_passkeys(&self, error: impl Into<Option<LinkError>>) {
        self.script().on_passkey = error.into();
    }

    pub(crate) fn fail_health(&self, error: impl Into<Option<LinkError>>) {
        self.script().on_health = error.into();
    }

    /// What the worker says when it is asked for a session.
    pub(crate) fn say(&self, state: SessionState) {
        self.script().state = Some(state);
    }

    /// Sends hang, after the message has gone out, until the semaphore gets a permit each.
    pub(crate) fn hold_sends(&self) -> Arc<Semaphore> {
        let held = Arc::new(Semaphore::new(0));
        self.script().held = Some(Arc::clone(&held));
        held
    }

    /// Orders to stop hang until the semaphore gets a permit each.
    pub(crate) fn hold_stops(&self) -> Arc<Semaphore> {
        let held = Arc::new(Semaphore::new(0));
        self.script().held_stops = Some(Arc::clone(&held));
        held
    }

    /// How many orders to stop hang now, by worker.
    pub(crate) fn running_stops(&self) -> BTreeMap<WorkerId, usize> {
        self.script().running_stops.clone()
    }

    /// Sends end in a defect of the gateway from now on, after the message has gone out.
    pub(crate) fn panic_in_sends(&self) {
        self.script().panics = true;
    }

    pub(crate) fn starts(&self) -> Vec<StartSession> {
        self.script().starts.clone()
    }

    pub(crate) fn sends(&self) -> Vec<SendMessage> {
        self.script().sends.clone()
    }

    pub(crate) fn stops(&self) -> Vec<(&'static str, SessionId)> {
        self.script().stops.clone()
    }

    pub(crate) fn passkeys(&self) -> Vec<(bool, Passkey)> {
        self.script().passkeys.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stop(&self, how: &'static str, order: &Order) -> Result<Released, LinkError> {
        let held = self.script().held_stops.clone();
        if let Some(held) = held {
            let worker = &order.owner.worker;
            let count = |script: &mut Script, more: isize| {
                let running = script.running_stops.entry(worker.clone()).or_default();
                *running = running.saturating_add_signed(more);
            };
            count(&mut self.script(), 1);
            held.acquire().await.expect("never closed").forget();
            count(&mut self.script(), -1);
        }
        let mut script = self.script();
        script.stops.push((how, order.session));
        match &script.on_stop {
            Some(error) => Err(error.clone()),
            None => Ok(Released::new(order.session, order.epoch)),
        }
    }
}

#[async_trait]
impl WorkerLink for ScriptedLink {
    async fn start(
        &self,
        _: &Target,
        body: &StartSession,
        _: Duration,
    ) -> Result<Accepted, LinkError> {
        self.script().starts.push(body.clone());
        Ok(Accepted::of(body))
    }

    async fn session(
        &self,
        _: &Target,
        _: SessionId,
        _: Duration,
    ) -> Result<SessionState, LinkError> {
        self.script().state.clone().ok_or(LinkError::UnknownSession)
    }

    async fn send(
        &self,
        _: &Target,
        _: SessionId,
        body: &SendMessage,
        _: Duration,
    ) -> Result<Sent, LinkError> {
        let (error, held, panics) = {
            let mut script = self.script();
            script.sends.push(body.clone());
            (script.on_send.clone(), script.held.clone(), script.panics)
        };
        assert!(!panics, "a defect, made by the test");
        if let Some(held) = held {
            held.acquire().await.expect("never closed").forget();
        }
        match error {
            Some(error) => Err(error),
            None => Ok(Sent::of(body)),
        }
    }

    async fn release(&self, _: &Target, order: &Order, _: Duration) -> Result<Released, LinkError> {
        self.stop("release", order).await
    }

    async fn logout(&self, _: &Target, order: &Order, _: Duration) -> Result<Released, LinkError> {
        self.stop("logout", order).await
    }

    async fn forget(&self, _: &Target, order: &Order, _: Duration) -> Result<Released, LinkError> {
        self.stop("forget", order).await
    }

    async fn passkey(
        &self,
        _: &Target,
        _: &Order,
        body: &Passkey,
        confirm: bool,
        _: Duration,
    ) -> Result<(), LinkError> {
        let mut script = self.script();
        script.passkeys.push((confirm, body.clone()));
        script.on_passkey.clone().map_or(Ok(()), Err)
    }

    async fn health(&self, target: &Target, _: Duration) -> Result<Health, LinkError> {
        if let Some(error) = self.script().on_health.clone() {
            return Err(error);
        }
        Ok(Health::of(&target.owner))
    }
}
