//! A way to workers on which something is wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{SessionId, WorkerId};
use gateway_core::protocol::{Accepted, Released, StartSession};
use gateway_core::session::Order;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use gateway_testkit::delegate::{Delegate, DelegateLink};

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
        world.shared.link = Arc::new(Delegate(bent));
        world.restart_gateways();
    }

    fn idles(&self, target: &Target) -> bool {
        self.idles.as_ref() == Some(&target.owner.worker)
    }
}

#[async_trait]
impl DelegateLink for Bent {
    fn below(&self) -> &dyn WorkerLink {
        &*self.link
    }

    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError> {
        if self.idles(target) {
            return Ok(Accepted::of(body));
        }
        self.below().start(target, body, limit).await
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
            return Ok(Released::new(order.session, order.epoch));
        }
        self.below().release(target, order, limit).await
    }
}
