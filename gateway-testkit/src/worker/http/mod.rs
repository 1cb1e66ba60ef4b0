//! The simulated worker as a real HTTP server and client of the worker protocol.
//!
//! The same [`SimWorker`] as in process, driven by real time: a server gives it commands, one loop makes
//! the calls it wants and sleeps until the next. `dev` runs two of them inside the gateway's process,
//! `sim-worker` one in a process of its own.

mod client;
mod drive;
mod registering;
mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::WorkerId;
use gateway_core::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::client::HttpGateway;
use self::registering::Registering;
pub use self::registering::TokenRefused;
use super::held::Moment;
use super::phone::PhoneNetwork;
use super::recorder::Recorder;
use super::script::Script;
use super::sim::{SimWorker, WorkerCard, World};

/// How long a clean shutdown waits for its goodbye to arrive.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);

/// Messages a long-running worker's recipients remember.
const REMEMBERED: usize = 100_000;

/// How to run a worker.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The slot.
    pub worker: WorkerId,
    /// The base URL of the gateway, `http://…`, without `/api`.
    pub gateway: String,
    /// The fleet's bootstrap token, or the one-time token of a reserved id.
    pub bootstrap_token: String,
    /// The most sessions it takes.
    pub max_sessions: u32,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The base URL it registers, if it is not the address it listens on.
    pub endpoint: Option<String>,
    /// The deployment environment.
    pub environment: Option<String>,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
    /// What it does.
    pub script: Script,
    /// All phones; shared by workers of one process.
    pub network: Arc<PhoneNetwork>,
    /// Who did what; off by default.
    pub recorder: Arc<Recorder>,
    /// The clocks of this machine.
    pub clock: Arc<dyn Clock>,
    /// Where incarnations and codes come from: cryptographically secure outside of tests.
    pub entropy: Arc<dyn Entropy>,
}

impl Options {
    /// A worker for 100 sessions on a free port of the loopback address.
    #[must_use]
    pub fn new(
        worker: WorkerId,
        gateway: &str,
        bootstrap_token: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            worker,
            gateway: gateway.to_owned(),
            bootstrap_token: bootstrap_token.to_owned(),
            max_sessions: 100,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            endpoint: None,
            environment: None,
            labels: BTreeMap::new(),
            script: Script::default(),
            network: Arc::new(PhoneNetwork::remembering(REMEMBERED)),
            recorder: Arc::new(Recorder::off()),
            clock,
            entropy,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("worker", &self.worker)
            .field("gateway", &self.gateway)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Why a worker cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: choose another address, or port 0")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The gateway's URL cannot be used.
    #[error("{url} is not the base URL of a gateway: expected http://host:port")]
    Gateway {
        /// Which.
        url: String,
    },
}

/// What the server and the loop share.
#[derive(Debug)]
struct Shared {
    worker: Mutex<SimWorker>,
    registering: Mutex<Registering>,
    clock: Arc<dyn Clock>,
    /// Something may be due earlier than the loop thinks.
    nudge: Notify,
    /// The gateway has answered something.
    answered: Notify,
}

impl Shared {
    fn worker(&self) -> MutexGuard<'_, SimWorker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registering(&self) -> MutexGuard<'_, Registering> {
        self.registering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment::of(&*self.clock)
    }
}

/// A running worker. Dropping it is [`SimHttpWorker::kill`].
#[derive(Debug)]
pub struct SimHttpWorker {
    endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    driver: JoinHandle<()>,
}

impl SimHttpWorker {
    /// Listens, and begins to register; does not wait for the gateway. While it is not let in it tries on
    /// and logs a warning each time the reason changes.
    ///
    /// # Errors
    /// The address is taken, or the gateway's URL makes no sense.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let gateway = HttpGateway::new(&options.gateway, &options.bootstrap_token);
        let gateway = gateway.ok_or_else(|| StartError::Gateway {
            url: options.gateway.clone(),
        })?;
        let address = options.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let mut bound = listener.local_addr().map_err(listen)?;
        if bound.ip().is_unspecified() {
            bound.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let endpoint = options
            .endpoint
            .unwrap_or_else(|| format!("http://{bound}"));
        let registering = Registering::new(&options.gateway, options.worker.clone());
        let card = WorkerCard {
            id: options.worker,
            endpoint: endpoint.clone(),
            max_sessions: options.max_sessions,
            environment: options.environment,
            labels: options.labels,
        };
        let world = World {
            network: options.network,
            recorder: options.recorder,
            entropy: options.entropy,
        };
        let now = Moment::of(&*options.clock);
        let shared = Arc::new(Shared {
            worker: Mutex::new(SimWorker::new(card, options.script, world, now)),
            registering: Mutex::new(registering),
            clock: options.clock,
            nudge: Notify::new(),
            answered: Notify::new(),
        });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        let driver = drive::drive(
            Arc::clone(&shared),
            Arc::new(gateway),
            server.abort_handle(),
        );
        Ok(Self {
            endpoint,
            shared,
            server,
            driver: tokio::spawn(driver),
        })
    }

    /// The base URL it registers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Looks at the worker, or changes what it does.
    pub fn with<T>(&self, act: impl FnOnce(&mut SimWorker, Moment) -> T) -> T {
        let now = self.shared.now();
        let value = act(&mut self.shared.worker(), now);
        self.shared.nudge.notify_one();
        value
    }

    /// Waits until it has ended: it said goodbye, or its script let it crash.
    ///
    /// # Errors
    /// The gateway does not take its token.
    pub async fn ended(&mut self) -> Result<(), TokenRefused> {
        if !self.driver.is_finished() {
            // A loop that was aborted has ended too.
            let _ = (&mut self.driver).await;
        }
        self.shared.registering().refused().map_or(Ok(()), Err)
    }

    /// SIGTERM: closes its sessions, says goodbye and stops, whether or not the gateway has heard it
    /// within five seconds.
    pub async fn shutdown(mut self) {
        self.with(SimWorker::stop);
        // Whether it was heard or not, this is the end.
        let _ = tokio::time::timeout(GOODBYE_LIMIT, self.ended()).await;
    }

    /// SIGKILL: its connections break, and the gateway hears nothing.
    pub fn kill(&self) {
        self.with(SimWorker::crash);
        self.server.abort();
        self.driver.abort();
    }
}

impl Drop for SimHttpWorker {
    fn drop(&mut self) {
        self.server.abort();
        self.driver.abort();
    }
}
