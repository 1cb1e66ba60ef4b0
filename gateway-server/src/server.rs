//! The composition root: the one file that names concrete adapters (habit: `App` is made from ports).
//!
//! [`Server::open`] builds everything and spawns nothing; [`Server::run`] spawns, serves, and stops in
//! the order of [`crate::shutdown`]. Both run on the control runtime; what differs per core is made on
//! each core by `core_ports`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::Coordinator;
use gateway_core::entropy::Entropy;
use gateway_core::identity::WorkerTokens;
use gateway_core::message::{AckDeadline, MessageLog};
use gateway_core::orchestrator::{Orchestrator, Policy, Ports as OrchestratorPorts};
use gateway_core::retention::Retention;
use gateway_core::store::{PlatformStore, Store};
use gateway_core::time::Clock;
use gateway_core::worker::{GuardedLink, StoreLeases, Vitals, WorkerLink};
use tokio::runtime::Handle;

use crate::app::{App, Ports};
use crate::cache::Caches;
use crate::config::{Config, Mode, Registration, SecretCheck, Secrets};
use crate::coord;
use crate::http::door::{CorePorts, Door};
use crate::http::serve::{Listener, Serving};
use crate::message_log::{GroupLog, GroupOptions, GroupTask, Ledger};
use crate::runtime::Cores;
use crate::runtime::jobs::{self, JobFrame};
use crate::runtime::peers::{SaidMismatches, SharedSetup};
use crate::shutdown::Shutdown;
use crate::store::blob::Blobs;
use crate::store::cipher::StateCipher;
use crate::store::replica::{Company, ReplicaLock};
use crate::store::sql::SqlStore;
use crate::store::state::StateVault;
use crate::store::{folder, open};
use crate::system::{OsEntropy, SystemClock, raise_open_files};
use crate::telemetry::metrics::Metrics;
use crate::worker_link::http::{HttpLink, LinkOptions};

/// Connections to workers, databases and Redis.
const FILES_BESIDE_CLIENTS: u64 = 500;

/// Why the server does not start. Each text is one sentence that says what to change.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// A server that is open and does not serve yet.
#[derive(Debug)]
pub struct Server {
    pub app: App,
    /// Its secrets; `dev` hands the bootstrap token to its own workers.
    pub secrets: Secrets,
    listener: Listener,
    store: SqlStore,
    sequencing: SqlStore,
    /// The store over connections that requests cannot exhaust, for jobs that must not be late: watching
    /// changes and leases.
    watching: SqlStore,
    link: HttpLink,
    log_task: GroupTask,
    replica: Option<ReplicaLock>,
    /// What it must have in common with its peers; none without Redis, where there are no peers.
    peers: Option<Peers>,
}

impl Server {
    /// Binds the port, opens the store, makes or checks the secrets, and composes the server.
    ///
    /// # Errors
    /// An occupied port, a database that cannot be used, a missing or weak secret.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let listener = Listener::bind(config.http.address())?;
        let (files, connections) = (raise_open_files(), config.http.max_connections as u64);
        if files < connections.saturating_add(FILES_BESIDE_CLIENTS) {
            tracing::warn!(
                files,
                connections,
                "fewer files may be open than http.max_connections needs: raise the limit (ulimit -Hn)"
            );
        }
        if config.mode() == Mode::Cluster {
            Secrets::check(&config)?;
        }
        let store = open::alone(&config, Arc::clone(&clock)).await?;
        let replica = match (&config.database.url, &config.redis.url) {
            (Some(url), None) => Some(ReplicaLock::take(url.expose(), Company::None).await?),
            (Some(url), Some(_)) => Some(ReplicaLock::take(url.expose(), Company::Replicas).await?),
            (None, _) => None,
        };
        let shutdown = Shutdown::new();
        let replica_name = format!("{:016x}", entropy.next_u64());
        let coord = coord::open::coordinator(&config, &replica_name, &clock, &shutdown).await?;
        let kept = store.secret_checks().await?;
        let secrets = Secrets::resolve(&config, &kept, &*entropy)?;
        keep_secret_checks(&store, &secrets, &kept).await?;
        let peers = match config.redis.url {
            Some(_) => Some(check_peers(&config, &secrets, &*entropy, &*coord).await?),
            None => None,
        };
        open::put_plans(&store, &config).await?;
        log_start(&config, listener.address());

        let metrics = Metrics::new()?;
        let (log, log_task) = message_log(&config, Arc::new(store.ledger()), &metrics);
        let log: Arc<dyn MessageLog> = Arc::new(log);
        let platform: Arc<dyn PlatformStore> = Arc::new(store.clone());
        let options = LinkOptions {
            allowed: config.workers.allowed_endpoints.clone(),
            cut: shutdown.hurried().clone(),
            ..LinkOptions::default()
        };
        let link = HttpLink::new(worker_tokens(&secrets), options)?;
        let vitals = Arc::new(Vitals::new(Arc::clone(&clock), config.vitals_policy()));
        let shared_link = guarded(link.clone(), &vitals);
        let watching = store.apart();
        let looking = Arc::new(watching.clone());
        let (time, control) = (Arc::clone(&clock), Handle::current());
        let caches = Caches::new(Arc::clone(&platform), looking, time, control);
        let coord = caches.announcing(coord);
        let state = Arc::new(state_vault(&config, &secrets, &store, &entropy)?);
        let orchestration: Arc<dyn Store> = Arc::new(store.clone());
        let leases = StoreLeases::new(
            Arc::new(watching.clone()),
            Arc::clone(&clock),
            config.orchestration.lease_policy(),
        );
        let orchestrator = Orchestrator::new(
            OrchestratorPorts {
                store: orchestration,
                coord: Arc::clone(&coord),
                link: Arc::clone(&shared_link),
                state: state.clone(),
                leases: Arc::new(leases),
                vitals,
                entropy: Arc::clone(&entropy),
            },
            Policy {
                session: config.orchestration.session_policy(),
                balance: config.balance.policy()?,
                command_limit: config.workers.command_timeout,
                ..Policy::default()
            },
        );
        let sequencing = store.apart();
        let ports = Ports {
            store: platform,
            sequencing: Arc::new(sequencing.clone()),
            caches,
            coord,
            state,
            log,
            link: shared_link,
            orchestrator: Arc::new(orchestrator),
            clock,
            entropy,
        };
        let app = App::new(config, &secrets, ports, metrics, shutdown);
        Ok(Self {
            app,
            secrets,
            listener,
            store,
            sequencing,
            watching,
            link,
            log_task,
            replica,
            peers,
        })
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until the shutdown begins, then stops in order.
    ///
    /// # Errors
    /// The listener failed, or this replica must not run beside the others.
    pub async fn run(self) -> Result<(), io::Error> {
        let app = self.app;
        let shutdown = app.shutdown.clone();
        let log_task = self.log_task;
        shutdown.spawn_writer(|close| log_task.run(close));
        spawn_jobs(
            &app,
            &self.store,
            self.link.clone(),
            self.replica,
            self.peers,
        );
        let connections = app.metrics.http.connections.clone();
        let (begun, hurried) = (shutdown.begun().clone(), shutdown.hurried().clone());
        let serving = Serving::new(&app.config.http, connections, begun, hurried);
        let limit = app.config.http.shutdown_timeout;
        watch_stop(&shutdown, limit, &serving);
        let (cut, cores) = match app.config.runtime.cores() {
            Some(count) => {
                let (store, link) = (self.store.clone(), self.link);
                let own = app.clone();
                let core = move || Door::of_core(&own, core_ports(&own, &store, &link));
                let mut cores = Cores::start(self.listener, &serving, &shutdown, count, core)?;
                (cores.served().await?, Some(cores))
            }
            None => {
                let door = Door::new(&app);
                (self.listener.serve(door, serving).await?, None)
            }
        };
        if cut > 0 {
            tracing::warn!(connections = cut, "connections were cut");
        }
        let unfinished = shutdown.finish(limit, app.give_back()).await;
        for group in unfinished {
            tracing::warn!(
                group = group.group,
                tasks = group.tasks,
                "did not stop in time"
            );
        }
        if let Some(cores) = cores {
            cores.end().await;
        }
        // A connection that is never given back must not keep the process.
        let (sequencing, watching) = (self.sequencing, self.watching);
        let closing =
            async { tokio::join!(sequencing.close(), watching.close(), self.store.close()) };
        if tokio::time::timeout(shutdown.time_left(limit), closing)
            .await
            .is_err()
        {
            tracing::warn!("the database did not let go in time");
        }
        tracing::info!("stopped");
        match shutdown.has_given_up() {
            true => Err(io::Error::other(GAVE_UP)),
            false => Ok(()),
        }
    }
}

/// Keeps the check values that are not among those `kept` yet. Another replica may keep others at the same time,
/// so what is there then is compared again.
async fn keep_secret_checks(
    store: &SqlStore,
    secrets: &Secrets,
    kept: &[SecretCheck],
) -> Result<(), StartError> {
    let mut new = secrets.lasting_checks();
    new.retain(|check| !kept.contains(check));
    if !new.is_empty() {
        store.keep_secret_checks(&new).await?;
        secrets.compare_with_kept(&store.secret_checks().await?)?;
    }
    Ok(())
}

/// Lets a stop end within `limit`, and says what it waits for.
fn watch_stop(shutdown: &Shutdown, limit: Duration, serving: &Serving) {
    let (own, serving) = (shutdown.clone(), serving.clone());
    shutdown.spawn_loop(|end| async move {
        let watching = async {
            let left = || serving.open_connections();
            tokio::join!(own.hurry_in_time(limit), own.say_what_is_left(left))
        };
        end.run_until_cancelled(watching).await;
    });
}

/// Says what this process is, before anything else is said of it.
fn log_start(config: &Config, address: SocketAddr) {
    let store = match &config.database.url {
        Some(url) => url.to_string(),
        None => open::database_file(config).display().to_string(),
    };
    let redis = config.redis.url.as_ref().map(ToString::to_string);
    let mode = match config.mode() {
        Mode::Embedded => "embedded",
        Mode::Cluster => "cluster",
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        mode,
        store,
        redis,
        data_dir = %config.storage.data_dir.display(),
        %address,
        "starting"
    );
    if config.auth.registration == Registration::Open && !address.ip().is_loopback() {
        tracing::warn!(
            "everybody who can reach this address may register a tenant: set GATEWAY_AUTH_REGISTRATION=closed if that is not meant"
        );
    }
}

fn message_log(
    config: &Config,
    ledger: Arc<dyn Ledger>,
    metrics: &Metrics,
) -> (GroupLog, GroupTask) {
    let options = GroupOptions {
        capacity: config.message_log.capacity,
        batch_size: config.message_log.batch_size,
        batch_wait: config.message_log.batch_wait,
    };
    GroupLog::new(ledger, options, metrics.message_log.clone())
}

fn state_vault(
    config: &Config,
    secrets: &Secrets,
    store: &SqlStore,
    entropy: &Arc<dyn Entropy>,
) -> Result<StateVault, StartError> {
    let blobs = Blobs::in_folder(&config.storage.data_dir.join("state"))?;
    let cipher = StateCipher::new(&secrets.state_keys, Arc::clone(entropy))?;
    Ok(StateVault::new(
        store.state_rows(),
        blobs,
        cipher,
        Arc::clone(entropy),
    ))
}

/// What this replica must have in common with its peers, and whether that was checked.
#[derive(Debug)]
struct Peers {
    setup: Arc<SharedSetup>,
    is_checked: bool,
}

/// Checks that this replica may run beside its peers, if they can be asked.
async fn check_peers(
    config: &Config,
    secrets: &Secrets,
    entropy: &dyn Entropy,
    coord: &dyn Coordinator,
) -> Result<Peers, StartError> {
    let folder_id = folder::id(&config.storage.data_dir, entropy)?;
    let setup = SharedSetup::new(config, secrets, folder_id);
    let is_checked = setup.check_at_start(coord).await?;
    Ok(Peers {
        setup: Arc::new(setup),
        is_checked,
    })
}

fn worker_tokens(secrets: &Secrets) -> WorkerTokens {
    WorkerTokens::new(secrets.worker_token_key.expose().as_bytes())
}

/// Puts a breaker per worker in front of a link. Links that share `vitals` share breakers.
fn guarded(link: HttpLink, vitals: &Arc<Vitals>) -> Arc<dyn WorkerLink> {
    Arc::new(GuardedLink::new(Arc::new(link), Arc::clone(vitals)))
}

/// Makes the ports that one core does not share; call it on the core's runtime. On PostgreSQL each core
/// writes messages over a connection of its own; a SQLite file has one writer, so there all cores share
/// one log.
fn core_ports(app: &App, store: &SqlStore, link: &HttpLink) -> CorePorts {
    let link = guarded(link.apart(), app.orchestrator.vitals());
    let Some(ledger) = store.ledger_apart() else {
        let log = Arc::clone(&app.log);
        return CorePorts { link, log };
    };
    let (log, task) = message_log(&app.config, Arc::new(ledger.clone()), &app.metrics);
    app.shutdown.spawn_writer(|close| async move {
        task.run(close).await;
        ledger.close().await;
    });
    let log = Arc::new(log);
    CorePorts { link, log }
}

/// The message of a server that ends by itself. Whoever supervises the process starts it again, and the
/// start checks anew.
const GAVE_UP: &str = "stopped, because it must not run beside the others: see the error above";

/// Starts every job of this replica.
fn spawn_jobs(
    app: &App,
    counted: &SqlStore,
    link: HttpLink,
    lock: Option<ReplicaLock>,
    peers: Option<Peers>,
) {
    let frame = JobFrame {
        coord: Arc::clone(&app.coord),
        clock: Arc::clone(&app.clock),
        shutdown: app.shutdown.clone(),
        metrics: app.metrics.jobs.clone(),
    };
    frame.spawn(jobs::WatchLeases {
        orchestrator: Arc::clone(&app.orchestrator),
        effects: app.effects.clone(),
        metrics: app.metrics.loops.clone(),
    });
    frame.spawn(jobs::FollowFleet {
        orchestrator: Arc::clone(&app.orchestrator),
        heartbeat: app.config.orchestration.heartbeat,
    });
    frame.spawn(jobs::ProbeWorkers {
        orchestrator: Arc::clone(&app.orchestrator),
        metrics: app.metrics.workers.clone(),
    });
    frame.spawn(jobs::ClaimDue {
        orchestrator: Arc::clone(&app.orchestrator),
        effects: app.effects.clone(),
        metrics: app.metrics.loops.clone(),
    });
    frame.spawn(jobs::EraseDeleted {
        orchestrator: Arc::clone(&app.orchestrator),
    });
    let (store, state) = (Arc::clone(&app.store), Arc::clone(&app.state));
    let retention = &app.config.retention;
    let forget = jobs::ForgetAged {
        retention: Retention::new(Arc::clone(&store), state, retention.policy()),
        interval: retention.interval,
        metrics: app.metrics.jobs.clone(),
    };
    frame.spawn(jobs::Led::new(Arc::clone(&store), app.replica, forget));
    let within = app.config.message_log.acknowledged_within;
    let end_silence = jobs::EndSilence {
        deadline: AckDeadline::new(Arc::clone(&store), Arc::clone(&app.log), within),
        metrics: app.metrics.jobs.clone(),
    };
    frame.spawn(jobs::Led::new(store, app.replica, end_silence));
    frame.spawn(jobs::PublishEvents::new(
        Arc::clone(&app.sequencing),
        Arc::clone(&app.coord),
        app.metrics.loops.clone(),
    ));
    frame.spawn(jobs::WakeEventReaders {
        events: Arc::clone(&app.event_feed),
    });
    frame.spawn(jobs::FollowChanges {
        caches: app.caches.clone(),
    });
    frame.spawn(jobs::RegisterReplica {
        replica: app.replica,
        store: Arc::clone(&app.store),
        quotas: app.quotas.clone(),
        coord: Arc::clone(&app.coord),
    });
    frame.spawn(jobs::PublishNumbers {
        replica: app.replica,
        coord: Arc::clone(&app.coord),
        metrics: Metrics::clone(&app.metrics),
        setup: peers.as_ref().map(|peers| Arc::clone(&peers.setup)),
        said: SaidMismatches::default(),
    });
    frame.spawn(jobs::CountSessions {
        store: counted.clone(),
        metrics: app.metrics.census.clone(),
    });
    frame.spawn(jobs::FlushMetrics {
        metrics: Metrics::clone(&app.metrics),
    });
    frame.spawn(jobs::CloseIdleConnections { link });
    if let Some(late) = peers.filter(|peers| !peers.is_checked) {
        frame.spawn(jobs::CheckPeers::new(
            app.replica,
            Arc::clone(&app.coord),
            late.setup,
            app.shutdown.clone(),
        ));
    }
    if let Some(lock) = lock {
        let shutdown = app.shutdown.clone();
        frame.spawn(jobs::KeepReplicaLock { lock, shutdown });
    }
}
