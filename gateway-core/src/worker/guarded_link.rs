//! A link whose commands are observed, and held back from a worker that does not answer.
//!
//! It makes no second attempt: what may be repeated is decided by whoever calls. Orders to stop a session always go
//! out, because a worker that is in trouble is exactly the one that sessions must get away from; their
//! outcomes count like all others. `GET /health` neither counts nor is held back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::breaker::CommandOutcome;
use super::vitals::Vitals;
use super::{LinkError, Target, WorkerLink};
use crate::id::SessionId;
use crate::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use crate::session::{Order, Owner};

/// A [`WorkerLink`] over another one, with a breaker per worker.
#[derive(Debug)]
pub struct GuardedLink {
    link: Arc<dyn WorkerLink>,
    vitals: Arc<Vitals>,
}

impl GuardedLink {
    /// Guards `link`. Links that share `vitals` share breakers.
    #[must_use]
    pub fn new(link: Arc<dyn WorkerLink>, vitals: Arc<Vitals>) -> Self {
        Self { link, vitals }
    }

    /// Makes a call about `session` unless the worker's breaker is open.
    async fn guarded<T>(
        &self,
        owner: &Owner,
        session: SessionId,
        call: impl Future<Output = Result<T, LinkError>> + Send,
    ) -> Result<T, LinkError> {
        if let Err(retry_after) = self.vitals.admit(owner) {
            return Err(LinkError::BreakerOpen { retry_after });
        }
        self.observed(owner, session, call).await
    }

    /// Makes a call about `session` and notes its outcome.
    async fn observed<T>(
        &self,
        owner: &Owner,
        session: SessionId,
        call: impl Future<Output = Result<T, LinkError>> + Send,
    ) -> Result<T, LinkError> {
        let sent = self.vitals.now();
        let result = call.await;
        if let Some(outcome) = CommandOutcome::of(&result, session) {
            let took = self.vitals.now().since(sent);
            self.vitals.record(owner, outcome, took);
        }
        result
    }
}

#[async_trait]
impl WorkerLink for GuardedLink {
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError> {
        let call = self.link.start(target, body, limit);
        self.guarded(&target.owner, body.session_id, call).await
    }

    async fn session(
        &self,
        target: &Target,
        session: SessionId,
        limit: Duration,
    ) -> Result<SessionState, LinkError> {
        let call = self.link.session(target, session, limit);
        self.guarded(&target.owner, session, call).await
    }

    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError> {
        let call = self.link.send(target, session, body, limit);
        self.guarded(&target.owner, session, call).await
    }

    async fn release(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        let call = self.link.release(target, order, limit);
        self.observed(&target.owner, order.session, call).await
    }

    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        let call = self.link.logout(target, order, limit);
        self.observed(&target.owner, order.session, call).await
    }

    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        let call = self.link.forget(target, order, limit);
        self.observed(&target.owner, order.session, call).await
    }

    async fn passkey(
        &self,
        target: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        limit: Duration,
    ) -> Result<(), LinkError> {
        let call = self.link.passkey(target, order, body, confirm, limit);
        self.guarded(&target.owner, order.session, call).await
    }

    async fn health(&self, target: &Target, limit: Duration) -> Result<Health, LinkError> {
        self.link.health(target, limit).await
    }
}
