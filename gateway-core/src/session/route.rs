//! Where a session's requests go: what a send needs to know, and no more.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Observed, Phase, Session, SessionRef};
use crate::id::{Epoch, SessionId, TenantId};
use crate::store::{PlatformStore, StoreError};
use crate::worker::{Target, Worker, WorkerStatus};

/// A session's present place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which session.
    pub session: SessionId,
    /// Of whom.
    pub tenant: TenantId,
    /// The row's version; a route only ever changes to a higher one.
    pub version: u64,
    /// The present epoch.
    pub epoch: Epoch,
    /// Whether a message can go out now.
    pub standing: Standing,
}

/// Whether a message of the session can go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Connected there.
    Open(Arc<Open>),
    /// On its way back: worth trying again soon.
    Returning,
    /// Nobody wants it connected, or it waits for a person.
    Closed {
        /// The status's name and reason, for the tenant.
        reason: String,
        /// What a person has to do.
        action_required: Option<String>,
    },
}

/// The worker that a session's messages go to. Shared by the sessions that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Who holds it, and where that is.
    pub target: Target,
    /// The types of message that its engine can send; empty: all.
    pub message_types: Vec<String>,
}

impl Open {
    /// The worker's present run, if messages can be sent there.
    ///
    /// One that has missed heartbeats is not asked: its sends fail fast.
    #[must_use]
    pub fn of(worker: &Worker) -> Option<Self> {
        let answers = matches!(worker.status, WorkerStatus::Active | WorkerStatus::Draining);
        let owner = worker.owner().filter(|_| answers)?;
        Some(Self {
            target: Target {
                owner,
                endpoint: worker.endpoint.clone()?,
            },
            message_types: worker.engine.capabilities.message_types.clone(),
        })
    }

    /// Whether the engine can send messages of that type.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.message_types.is_empty() || self.message_types.iter().any(|able| able == kind)
    }
}

impl Route {
    /// The route of a row; `open` is where messages can go now, if that is known.
    #[must_use]
    pub fn of(session: &Session, open: Option<&Arc<Open>>) -> Self {
        Self {
            session: session.id,
            tenant: session.tenant,
            version: session.version,
            epoch: session.epoch,
            standing: standing(session, open),
        }
    }
}

fn standing(session: &Session, open: Option<&Arc<Open>>) -> Standing {
    let closed = || {
        let view = session.status();
        Standing::Closed {
            reason: view.reason.map_or_else(
                || view.status.name().to_lowercase(),
                |reason| reason.to_string(),
            ),
            action_required: view.action_required,
        }
    };
    match (&session.phase, open) {
        (
            Phase::Active {
                owner,
                observed: Observed::Connected,
            },
            Some(open),
        ) if open.target.owner == *owner => Standing::Open(Arc::clone(open)),
        (
            Phase::Active {
                observed: Observed::QrRequired { .. },
                ..
            }
            | Phase::Idle,
            _,
        ) => closed(),
        (Phase::Parked { parked }, _) if parked.until.is_none() => closed(),
        (Phase::Stopping { .. }, _) if session.desired == super::Desired::Disconnected => closed(),
        (
            Phase::Active { .. }
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Parked { .. },
            _,
        ) => Standing::Returning,
    }
}

/// Looks routes up.
#[async_trait]
pub trait Routes: Debug + Send + Sync {
    /// The route of a tenant's session, or none if the tenant has no such session.
    ///
    /// With `fresh`, nothing older than this call may be answered: the caller was just told by a
    /// worker that what it knew is stale.
    async fn route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        fresh: bool,
    ) -> Result<Option<Route>, StoreError>;
}

/// Routes read from the store, each time: always fresh.
#[derive(Clone, Debug)]
pub struct StoreRoutes {
    store: Arc<dyn PlatformStore>,
}

impl StoreRoutes {
    /// Over this store.
    #[must_use]
    pub fn new(store: Arc<dyn PlatformStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Routes for StoreRoutes {
    async fn route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        _fresh: bool,
    ) -> Result<Option<Route>, StoreError> {
        let mut tx = self.store.read_platform().await?;
        let Some(session) = tx.card(tenant, reference).await? else {
            return Ok(None);
        };
        let worker = match session.owner() {
            Some(owner) => tx.worker(&owner.worker).await?,
            None => None,
        };
        let open = worker.as_ref().and_then(Open::of).map(Arc::new);
        Ok(Some(Route::of(&session, open.as_ref())))
    }
}
