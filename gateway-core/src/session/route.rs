//! Where a session's requests go: what a send needs to know, and no more.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Observed, Phase, Session, SessionRef};
use crate::id::{Epoch, SessionId, TenantId};
use crate::store::{PlatformStore, StoreError};
use crate::worker::{Target, Worker, WorkerStatus};

/// Where the messages of a session go at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub session: SessionId,
    pub tenant: TenantId,
    /// The version of the session's row; a route is only ever replaced by one with a higher version.
    pub version: u64,
    /// The session's present epoch.
    pub epoch: Epoch,
    /// Whether a message can go out now.
    pub standing: Standing,
}

/// Whether a message of the session can go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The session is connected at this worker.
    Open(Arc<Open>),
    /// The session is on its way back: worth trying again soon.
    Returning,
    /// The tenant does not want the session connected, or it waits for a person.
    Closed {
        /// The status's name and reason, for the tenant.
        reason: String,
        /// What a person has to do, as a slug.
        action_required: Option<String>,
    },
}

/// The worker that a session's messages go to. Shared by all sessions that the worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The run of the worker, and its address.
    pub target: Target,
    /// The types of message that its engine can send; an empty list means all.
    pub message_types: Vec<String>,
}

impl Open {
    /// Returns the worker's present run, if messages can be sent there.
    ///
    /// A worker that has missed heartbeats is not asked: sends to it fail at once.
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

    /// Returns whether the engine can send messages of that type.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.message_types.is_empty() || self.message_types.iter().any(|able| able == kind)
    }
}

impl Route {
    /// Returns the route of a row. `open` is the worker that its messages can go to now, if one is known.
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

/// Finds where the messages of sessions go, as a port.
#[async_trait]
pub trait Routes: Debug + Send + Sync {
    /// Returns the route of a tenant's session, or none if the tenant has no such session.
    ///
    /// With `fresh`, the answer must not be older than this call: a worker has just told the caller that
    /// what it knew is stale.
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
    /// Creates routes over this store.
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
