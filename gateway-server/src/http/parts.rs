//! What handlers are made of: the parts of the server that they may ask for.
//!
//! A handler names what it uses (`State(store): State<Arc<dyn PlatformStore>>`), so its signature says what
//! it can do, and a test or another composition can give it just that. Whoever composes the server makes
//! [`ServerParts`]; nothing below `http/` knows who that is.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use gateway_core::account::Logins;
use gateway_core::coord::Coordinator;
use gateway_core::entropy::Entropy;
use gateway_core::event::EventReader;
use gateway_core::identity::WorkerTokens;
use gateway_core::message::{Intake, Sender};
use gateway_core::orchestrator::Orchestrator;
use gateway_core::state::StateStore;
use gateway_core::store::PlatformStore;
use gateway_core::time::Clock;
use gateway_core::worker::WorkerLink;
use tokio::runtime::Handle;

use crate::cache::{CacheInvalidator, Caches};
use crate::config;
use crate::effects::EffectExecutor;
use crate::identity::{LastUsed, Verifiers};
use crate::quota::Quotas;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;

/// The state of all routes. Clones share the parts.
#[derive(Clone, Debug)]
pub struct ServerParts(Arc<PartList>);

impl From<PartList> for ServerParts {
    fn from(parts: PartList) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for ServerParts {
    type Target = PartList;

    fn deref(&self) -> &PartList {
        &self.0
    }
}

/// Declares the parts once: the struct, and that each can be asked for by its type.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident: $part:ty,)*) => {
        /// Every part, by name.
        #[derive(Clone, Debug)]
        pub struct PartList {
            $($(#[$doc])* pub $name: $part,)*
        }

        $(impl FromRef<ServerParts> for $part {
            fn from_ref(parts: &ServerParts) -> Self {
                parts.$name.clone()
            }
        })*
    };
}

parts! {
    /// The options of the HTTP listener.
    http: Arc<config::Http>,
    /// The limits for strangers.
    limits: Arc<config::Limits>,
    /// The options of workers.
    workers: Arc<config::Workers>,
    store: Arc<dyn PlatformStore>,
    /// The caches in front of the store.
    caches: Caches,
    /// Lets the end of a credential hold at once.
    invalidator: CacheInvalidator,
    /// Codes, counters and hints.
    coord: Arc<dyn Coordinator>,
    state: Arc<dyn StateStore>,
    /// The way to workers.
    link: Arc<dyn WorkerLink>,
    orchestrator: Arc<Orchestrator>,
    events: Arc<dyn EventReader>,
    /// Carries out what the sequences want done.
    effects: EffectExecutor,
    sender: Arc<Sender>,
    /// Takes in what workers report about messages.
    intake: Arc<Intake>,
    /// Issues the tokens of workers.
    worker_tokens: WorkerTokens,
    /// Tenants, people, keys and logins.
    logins: Arc<Logins>,
    /// Reads credentials, and issues access tokens.
    verifiers: Arc<Verifiers>,
    /// Notes when API keys are used.
    last_used: Arc<LastUsed>,
    /// Counts requests against plans.
    quotas: Quotas,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
    /// Sees sends through, and says when the stop has begun.
    shutdown: Shutdown,
    /// Where everything runs that is not a core's own.
    control: Handle,
}
