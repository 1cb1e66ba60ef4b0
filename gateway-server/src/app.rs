//! What every request needs, in one value that is passed down.
//!
//! [`App`] is a cheap clone. It is made from ports, so the same server runs over SQLite, PostgreSQL or
//! the memory stores of the tests; which adapters those are is decided by whoever calls [`App::new`].

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use gateway_core::coord::{Coordinator, Notice};
use gateway_core::entropy::Entropy;
use gateway_core::id::{ReplicaId, TenantId};
use gateway_core::identity::WorkerTokens;
use gateway_core::message::{Intake, MessageIds, MessageLog, Sender};
use gateway_core::orchestrator::Orchestrator;
use gateway_core::session::Effect;
use gateway_core::state::StateStore;
use gateway_core::store::{PlatformStore, Store, StoreError};
use gateway_core::time::Clock;
use gateway_core::worker::WorkerLink;
use hyper::{Request, Response};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;

use crate::cache::{CachedRoutes, Caches, Ended};
use crate::config::{Config, Secrets};
use crate::http;
use crate::http::problem::Problem;
use crate::http::serve::{Serve, Timed, with_peer};
use crate::identity::{AccessTokens, LastUsed, Passwords, Verifiers};
use crate::quota::{QuotaPorts, Quotas};
use crate::runtime::EffectExecutor;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;

/// The ways out of the program: what differs between the modes, and between server and tests.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The truth.
    pub store: Arc<dyn PlatformStore>,
    /// The same, for the sequencer, which goes on for ever and is best served by a connection of its own.
    pub sequencing: Arc<dyn PlatformStore>,
    /// Codes, counters and hints.
    pub coord: Arc<dyn Coordinator>,
    /// Session state.
    pub state: Arc<dyn StateStore>,
    /// Messages.
    pub log: Arc<dyn MessageLog>,
    /// What is remembered of the store.
    pub caches: Caches,
    /// The way to workers.
    pub link: Arc<dyn WorkerLink>,
    /// Every sequence.
    pub orchestrator: Arc<Orchestrator>,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Everything that requests share.
#[derive(Debug)]
pub struct Shared {
    /// The checked configuration.
    pub config: Config,
    /// The truth.
    pub store: Arc<dyn PlatformStore>,
    /// The same, for the sequencer.
    pub sequencing: Arc<dyn PlatformStore>,
    /// What is remembered of it.
    pub caches: Caches,
    /// Codes, counters and hints.
    pub coord: Arc<dyn Coordinator>,
    /// Session state.
    pub state: Arc<dyn StateStore>,
    /// Messages.
    pub log: Arc<dyn MessageLog>,
    /// The way to workers.
    pub link: Arc<dyn WorkerLink>,
    /// Every sequence.
    pub orchestrator: Arc<Orchestrator>,
    /// Sends messages from the control runtime.
    pub sender: Arc<Sender>,
    /// Takes in what workers report about messages.
    pub intake: Intake,
    /// Issues the tokens of workers.
    pub worker_tokens: WorkerTokens,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Counts requests against plans.
    pub quotas: Quotas,
    /// This run of this process, among the replicas.
    pub replica: ReplicaId,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Every metric.
    pub metrics: Metrics,
    /// Performs effects in the background.
    pub effects: EffectExecutor,
    /// Spawns tasks and stops them in order.
    pub shutdown: Shutdown,
    /// Where everything runs that is not a core's own.
    pub control: Handle,
    pub(crate) verifiers: Verifiers,
    pub(crate) last_used: LastUsed,
}

/// What a core does not share with the others.
#[derive(Clone, Debug)]
pub struct CorePorts {
    /// Its own connections to workers.
    pub link: Arc<dyn WorkerLink>,
    /// Its way to the message log.
    pub log: Arc<dyn MessageLog>,
}

/// What one core serves with. It answers by itself what touches memory, a worker and the log
/// alone; every other request it hands to the control runtime, whole. Clones are the same core.
#[derive(Clone, Debug)]
pub struct Core {
    pub(crate) app: App,
    router: Router,
    pub(crate) sender: Arc<Sender>,
}

/// The server's shared part; clones are the same.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// Joins ports, secrets and configuration. Spawns nothing. Call it on the control runtime.
    #[must_use]
    pub fn new(
        config: Config,
        secrets: &Secrets,
        ports: Ports,
        metrics: Metrics,
        shutdown: Shutdown,
    ) -> Self {
        let worker_tokens = WorkerTokens::new(secrets.worker_token_key.expose().as_bytes());
        let ids = MessageIds::new(secrets.message_id_key.expose().as_bytes());
        let sender = Sender {
            routes: Arc::new(CachedRoutes::new(ports.caches.clone())),
            link: Arc::clone(&ports.link),
            log: Arc::clone(&ports.log),
            ids: ids.clone(),
            clock: Arc::clone(&ports.clock),
            entropy: Arc::clone(&ports.entropy),
            limits: config.workers.send_limits(),
        };
        let store: Arc<dyn Store> = ports.store.clone();
        let intake = Intake {
            store,
            log: Arc::clone(&ports.log),
            ids,
        };
        let verifiers = Verifiers {
            access: AccessTokens::new(&secrets.jwt, config.auth.access_ttl),
            workers: worker_tokens.clone(),
            bootstrap: secrets.worker_bootstrap.clone(),
        };
        let control = Handle::current();
        let last_used = LastUsed::new(Arc::clone(&ports.store), shutdown.clone(), control.clone());
        let quotas = Quotas::new(QuotaPorts {
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            entropy: Arc::clone(&ports.entropy),
            shutdown: shutdown.clone(),
            control: control.clone(),
        });
        let hashers = config.auth.password_hashers;
        let effects = EffectExecutor::new(
            Arc::clone(&ports.orchestrator),
            config.orchestration.effect_limits(),
            shutdown.clone(),
            metrics.loops.clone(),
        );
        Self(Arc::new(Shared {
            passwords: Passwords::new(hashers, Arc::clone(&ports.entropy)),
            config,
            store: ports.store,
            sequencing: ports.sequencing,
            caches: ports.caches,
            coord: ports.coord,
            state: ports.state,
            log: ports.log,
            link: ports.link,
            orchestrator: ports.orchestrator,
            sender: Arc::new(sender),
            intake,
            worker_tokens,
            quotas,
            replica: ReplicaId::generate(ports.clock.now(), &*ports.entropy),
            clock: ports.clock,
            entropy: ports.entropy,
            metrics,
            effects,
            shutdown,
            control,
            verifiers,
            last_used,
        }))
    }

    /// What one core serves with: the seam between the runtimes.
    #[must_use]
    pub fn core(&self, router: Router, ports: CorePorts) -> Core {
        let sender = Sender {
            link: ports.link,
            log: ports.log,
            ..(*self.sender).clone()
        };
        Core {
            app: self.clone(),
            router,
            sender: Arc::new(sender),
        }
    }

    /// Performs these effects in the background.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        self.effects.carry_out(effects);
    }

    /// Lets a change of what credentials may do hold: for the next request here at once, elsewhere soon.
    /// Call it when the change is committed.
    pub(crate) async fn end(&self, tenant: TenantId, ended: Ended) {
        self.caches.forget(&ended);
        if let Err(error) = self.coord.notify(&Notice::Tenant { tenant }).await {
            tracing::debug!(%error, "a hint was lost");
        }
    }

    /// Gives back what the replicas have in common: the requests that this one has drawn and not used, and
    /// its place among them; for the end.
    pub async fn give_back(&self) {
        if let Err(error) = self.leave().await {
            tracing::warn!(%error, "this replica is counted for a while yet");
        }
        if let Err(error) = self.quotas.give_back().await {
            tracing::warn!(%error, "unused requests were not given back");
        }
    }

    async fn leave(&self) -> Result<(), StoreError> {
        let mut tx = self.store.begin_platform().await?;
        tx.remove_replica(self.replica).await?;
        tx.commit().await
    }
}

impl Serve for Core {
    async fn serve(&self, request: Request<Timed>, peer: SocketAddr) -> Response<Body> {
        match http::serve_send(self, request).await {
            Ok(response) => response,
            Err(request) => self.hand_over(request, peer).await,
        }
    }
}

impl Core {
    /// Lets the control runtime answer. A client that hangs up ends it there, too.
    async fn hand_over(&self, request: Request<Timed>, peer: SocketAddr) -> Response<Body> {
        let request = with_peer(request.map(Body::new), peer);
        let mut router = self.router.clone();
        let answering = async move { router.call(request).await };
        let answer = AbortOnDropHandle::new(self.app.control.spawn(answering)).await;
        match answer {
            Ok(Ok(response)) => response,
            // Handlers' panics are answered inside; this is the end of the runtime.
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}
