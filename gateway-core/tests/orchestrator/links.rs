//! A way to workers on which something is wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{SessionId, WorkerId};
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::Order;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use serde_json::json;

use super::world::World;

/// A link whose other end does not do what it says.
#[derive(Debug)]
pub(crate) struct Bent {
    link: Arc<dyn WorkerLink>,
    /// A worker that takes every order to start and to stop, and does nothing.
    pub(crate) idles: Option<WorkerId>,
    /// A session of which every worker says, when told to stop it, that it does not know it.
    pub(crate) disclaimed: Option<SessionId>,
}

impl Bent {
    /// Puts a bent link between a world's gateways and its workers; the gateways start anew.
    pub(crate) fn between(world: &mut World, bend: impl FnOnce(&mut Self)) {
        let mut bent = Self {
            link: Arc::clone(&world.shared.link),
            idles: None,
            disclaimed: None,
        };
        bend(&mut bent);
        world.shared.link = Arc::new(bent);
        world.restart_gateways();
    }

    fn idles(&self, target: &Target) -> bool {
        self.idles.as_ref() == Some(&target.owner.worker)
    }
}

#[async_trait]
impl WorkerLink for Bent {
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError> {
        if self.idles(target) {
            let accepted = json!({
                "sessionId": body.session_id, "epoch": body.epoch, "status": "CONNECTING",
            });
            return Ok(serde_json::from_value(accepted).expect("an answer"));
        }
        self.link.start(target, body, limit).await
    }

    async fn session(
        &self,
        target: &Target,
        session: SessionId,
        limit: Duration,
    ) -> Result<SessionState, LinkError> {
        self.link.session(target, session, limit).await
    }

    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError> {
        self.link.send(target, session, body, limit).await
    }

    async fn release(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        if self.disclaimed == Some(order.session) {
            return Err(LinkError::UnknownSession);
        }
        if self.idles(target) {
            let released = json!({
                "sessionId": order.session, "epoch": order.epoch, "lastSeq": 0,
            });
            return Ok(serde_json::from_value(released).expect("an answer"));
        }
        self.link.release(target, order, limit).await
    }

    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.link.logout(target, order, limit).await
    }

    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.link.forget(target, order, limit).await
    }

    async fn passkey(
        &self,
        target: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        limit: Duration,
    ) -> Result<(), LinkError> {
        self.link.passkey(target, order, body, confirm, limit).await
    }

    async fn health(&self, target: &Target, limit: Duration) -> Result<Health, LinkError> {
        self.link.health(target, limit).await
    }
}
