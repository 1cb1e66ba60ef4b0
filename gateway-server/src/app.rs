//! The composition over ports: what requests and loops share, made once.
//!
//! [`App`] is a cheap clone. It is made from ports, so the same server runs over SQLite, PostgreSQL or
//! the memory stores of the tests; which adapters those are is decided by whoever calls [`App::new`].
//! Nothing below knows it: handlers get the parts of [`App::parts`].

use std::ops::Deref;
use std::sync::Arc;

use gateway_core::account::{Accounts, Logins, LoginsPorts};
use gateway_core::coord::Coordinator;
use gateway_core::entropy::Entropy;
use gateway_core::event::EventReader;
use gateway_core::id::ReplicaId;
use gateway_core::identity::WorkerTokens;
use gateway_core::message::{Intake, MessageIds, MessageLog, Sender};
use gateway_core::orchestrator::Orchestrator;
use gateway_core::state::StateStore;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::time::Clock;
use gateway_core::worker::WorkerLink;
use tokio::runtime::Handle;

use crate::cache::{CacheInvalidator, CachedRoutes, Caches};
use crate::config::{Config, Secrets};
use crate::effects::EffectExecutor;
use crate::event_feed::EventFeed;
use crate::http::parts::{PartList, ServerParts};
use crate::identity::{AccessTokens, LastUsed, Passwords, Verifiers};
use crate::quota::{QuotaPorts, Quotas};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;

/// The ways out of the program: what differs between the modes, and between server and tests.
#[derive(Clone, Debug)]
pub struct Ports {
    pub store: Arc<dyn PlatformStore>,
    /// The store over a connection of its own, for the sequencer, which never pauses for long.
    pub sequencing: Arc<dyn PlatformStore>,
    /// Codes, counters and hints.
    pub coord: Arc<dyn Coordinator>,
    pub state: Arc<dyn StateStore>,
    pub log: Arc<dyn MessageLog>,
    /// The caches in front of the store.
    pub caches: Caches,
    /// The way to workers.
    pub link: Arc<dyn WorkerLink>,
    pub orchestrator: Arc<Orchestrator>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// The parts that the server is made of. Clones share them. Each part that handlers may ask for can also
/// be reached by its name.
#[derive(Clone, Debug)]
pub struct App {
    pub config: Arc<Config>,
    /// What handlers may ask for.
    pub parts: ServerParts,
    /// The store over the sequencer's own connection.
    pub sequencing: Arc<dyn PlatformStore>,
    pub log: Arc<dyn MessageLog>,
    /// Reads events, and is told when there are new ones.
    pub event_feed: Arc<EventFeed>,
    /// The id of this run of this process among the replicas.
    pub replica: ReplicaId,
}

impl Deref for App {
    type Target = ServerParts;

    fn deref(&self) -> &ServerParts {
        &self.parts
    }
}

impl App {
    /// Composes the server from ports, secrets and configuration. Spawns nothing. Call it on the control
    /// runtime.
    #[must_use]
    pub fn new(
        config: Config,
        secrets: &Secrets,
        ports: Ports,
        metrics: Metrics,
        shutdown: Shutdown,
    ) -> Self {
        let replica = ReplicaId::generate(ports.clock.now(), &*ports.entropy);
        let (sequencing, log) = (Arc::clone(&ports.sequencing), Arc::clone(&ports.log));
        let (pages, codes) = (Arc::clone(&ports.store), Arc::clone(&ports.coord));
        let event_feed = Arc::new(EventFeed::new(pages, codes));
        let events: Arc<dyn EventReader> = event_feed.clone();
        let parts = part_list(&config, secrets, ports, events, Arc::new(metrics), shutdown);
        Self {
            config: Arc::new(config),
            parts: parts.into(),
            sequencing,
            log,
            event_feed,
            replica,
        }
    }

    /// Gives back what this replica holds of what all share: the requests that it has drawn and not used,
    /// and its row among the replicas. Call it at the end.
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

fn part_list(
    config: &Config,
    secrets: &Secrets,
    ports: Ports,
    events: Arc<dyn EventReader>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) -> PartList {
    let control = Handle::current();
    let worker_tokens = WorkerTokens::new(secrets.worker_token_key.expose().as_bytes());
    let ids = MessageIds::new(secrets.message_id_key.expose().as_bytes());
    let access = Arc::new(AccessTokens::new(&secrets.jwt, config.auth.access_ttl));
    PartList {
        http: Arc::new(config.http.clone()),
        limits: Arc::new(config.limits.clone()),
        workers: Arc::new(config.workers.clone()),
        logins: Arc::new(logins(config, &ports, Arc::clone(&access))),
        invalidator: CacheInvalidator {
            caches: ports.caches.clone(),
            coord: Arc::clone(&ports.coord),
        },
        effects: EffectExecutor::new(
            Arc::clone(&ports.orchestrator),
            config.orchestration.effect_limits(),
            shutdown.clone(),
            metrics.loops.clone(),
        ),
        sender: Arc::new(sender(config, &ports, ids.clone())),
        intake: Arc::new(Intake {
            store: ports.store.clone(),
            log: ports.log,
            ids,
        }),
        verifiers: Arc::new(Verifiers {
            access,
            workers: worker_tokens.clone(),
            bootstrap: secrets.worker_bootstrap.clone(),
        }),
        worker_tokens,
        last_used: Arc::new(LastUsed::new(
            Arc::clone(&ports.store),
            shutdown.clone(),
            control.clone(),
        )),
        quotas: Quotas::new(QuotaPorts {
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            entropy: Arc::clone(&ports.entropy),
            shutdown: shutdown.clone(),
            control: control.clone(),
        }),
        store: ports.store,
        caches: ports.caches,
        coord: ports.coord,
        state: ports.state,
        link: ports.link,
        orchestrator: ports.orchestrator,
        events,
        clock: ports.clock,
        entropy: ports.entropy,
        metrics,
        shutdown,
        control,
    }
}

fn logins(config: &Config, ports: &Ports, tokens: Arc<AccessTokens>) -> Logins {
    let entropy = Arc::clone(&ports.entropy);
    let passwords = Passwords::new(config.auth.password_hashers, Arc::clone(&entropy));
    let store = Arc::clone(&ports.store);
    let ports = LoginsPorts {
        accounts: Accounts::new(store, Arc::new(passwords), entropy),
        tokens,
        coord: Arc::clone(&ports.coord),
        clock: Arc::clone(&ports.clock),
    };
    Logins::new(ports, config.auth.login_policy())
}

/// Makes the sender of the control runtime, from which each core makes its own.
fn sender(config: &Config, ports: &Ports, ids: MessageIds) -> Sender {
    Sender {
        routes: Arc::new(CachedRoutes::new(ports.caches.clone())),
        link: Arc::clone(&ports.link),
        log: Arc::clone(&ports.log),
        ids,
        clock: Arc::clone(&ports.clock),
        entropy: Arc::clone(&ports.entropy),
        limits: config.workers.send_limits(),
    }
}
