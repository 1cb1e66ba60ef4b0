//! A worker as a process: HTTP in both directions, on tokio.
//!
//! One server takes the gateway's commands, and one loop makes the calls that are due and sleeps until the
//! next. [`run`] is all that a plain worker needs:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use gateway_core::{entropy::Entropy, id::WorkerId, time::Clock};
//! # use gateway_worker::http::{HttpGateway, Listener, run};
//! # use gateway_worker::{Engine, Moment, Worker, WorkerCard};
//! # async fn start<E: Engine>(
//! #     engine: E, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await?;
//! let card = WorkerCard::new(WorkerId::parse("my-worker")?, listener.base_url());
//! let worker = Arc::new(Worker::new(card, engine, entropy, Moment::of(&*clock)));
//! let gateway = HttpGateway::new("http://gateway:8000", "the bootstrap token")?;
//! let mut running = run(listener, worker, gateway, clock);
//! running.ended().await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod command;
mod drive;
mod leave;
mod registering;
mod server;

use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::Router;
use gateway_core::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

pub use self::client::HttpGateway;
pub use self::drive::pause;
use self::registering::Registering;
pub use self::registering::TokenRefused;
use crate::call::{Answer, Outbound};
use crate::engine::Engine;
use crate::gateway::GatewayError;
use crate::moment::Moment;
use crate::worker::Worker;

/// Why a worker cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: choose another address, or port 0")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// The gateway's URL cannot be used.
    #[error("{url} is not the base URL of a gateway: expected http://host:port")]
    Gateway { url: String },
}

/// Why a worker has ended otherwise than by a goodbye that it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// The gateway does not take its token.
    #[error(transparent)]
    TokenRefused(#[from] TokenRefused),
    /// Its engine has failed. It has given up its sessions, so the gateway places them elsewhere.
    #[error("the engine has failed, and the worker has given up its sessions: {0}")]
    EngineFailed(String),
    /// The loop that makes its calls has panicked. Its sessions are placed elsewhere when its lease is over.
    #[error("the worker has failed: see the panic in its log, and report it")]
    LoopFailed,
}

/// The socket on which the gateway's commands arrive.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    base_url: String,
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(listen)?;
        let mut bound = socket.local_addr().map_err(listen)?;
        if bound.ip().is_unspecified() {
            bound.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let base_url = format!("http://{bound}");
        Ok(Self { socket, base_url })
    }

    /// Returns the URL under which this machine reaches it. A gateway on another machine needs the name of
    /// this one instead.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

/// Makes a worker's calls.
#[async_trait]
pub trait Carrier: Debug + Send + Sync {
    /// Makes one call and returns the gateway's answer.
    async fn carry(&self, outbound: &Outbound) -> Result<Answer, GatewayError>;

    /// Returns the base URL of the gateway, for messages to people.
    fn address(&self) -> &str;
}

#[async_trait]
impl Carrier for HttpGateway {
    async fn carry(&self, outbound: &Outbound) -> Result<Answer, GatewayError> {
        outbound.perform(self).await
    }

    fn address(&self) -> &str {
        self.base_url()
    }
}

/// The worker and the signals that the server and the loop share.
#[derive(Debug)]
struct Served<E> {
    worker: Arc<Worker<E>>,
    registering: Arc<Mutex<Registering>>,
    clock: Arc<dyn Clock>,
    /// Signals that something may be due earlier than the loop thinks.
    nudge: Arc<Notify>,
}

impl<E> Clone for Served<E> {
    fn clone(&self) -> Self {
        Self {
            worker: Arc::clone(&self.worker),
            registering: Arc::clone(&self.registering),
            clock: Arc::clone(&self.clock),
            nudge: Arc::clone(&self.nudge),
        }
    }
}

impl<E> Served<E> {
    fn now(&self) -> Moment {
        Moment::of(&*self.clock)
    }

    fn registering(&self) -> MutexGuard<'_, Registering> {
        lock(&self.registering)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a worker until it has said goodbye, and returns at once, without waiting for the gateway. While
/// the worker is not let in it tries on, and logs a warning each time the reason changes.
///
/// Must be called within a tokio runtime.
pub fn run<E: Engine>(
    listener: Listener,
    worker: Arc<Worker<E>>,
    gateway: HttpGateway,
    clock: Arc<dyn Clock>,
) -> Running {
    run_with(listener, worker, Arc::new(gateway), clock, |routes| routes)
}

/// Runs a worker like [`run`], with another way to make calls and with layers around the server's routes.
pub fn run_with<E: Engine>(
    listener: Listener,
    worker: Arc<Worker<E>>,
    carrier: Arc<dyn Carrier>,
    clock: Arc<dyn Clock>,
    wrap: impl FnOnce(Router) -> Router,
) -> Running {
    let nudge = Arc::new(Notify::new());
    let changed = Arc::clone(&nudge);
    worker.on_change(move || changed.notify_one());
    let registering = Registering::new(carrier.address(), worker.owner().worker);
    let served = Served {
        worker,
        registering: Arc::new(Mutex::new(registering)),
        clock,
        nudge: Arc::clone(&nudge),
    };
    let routes = wrap(server::routes(served.clone()));
    let server = tokio::spawn(server::serve(listener.socket, routes));
    let leaving = Arc::new(Notify::new());
    let asked = Arc::clone(&leaving);
    let leaver = served.clone();
    let leave = async move {
        asked.notified().await;
        leave::leave(leaver).await;
    };
    let driver = drive::drive(served, carrier, server.abort_handle());
    Running {
        leaving,
        leave: tokio::spawn(leave),
        nudge,
        server,
        driver: tokio::spawn(driver),
        end: None,
    }
}

/// A worker that runs. Dropping it is [`Running::kill`].
#[derive(Debug)]
pub struct Running {
    /// Asks the worker to leave.
    leaving: Arc<Notify>,
    leave: JoinHandle<()>,
    nudge: Arc<Notify>,
    server: JoinHandle<()>,
    driver: JoinHandle<Result<(), EndError>>,
    /// How it ended, once it has.
    end: Option<Result<(), EndError>>,
}

impl Running {
    /// Wakes the loop, which then looks whether something is due.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Waits until it has said goodbye, or was killed.
    ///
    /// # Errors
    /// The gateway does not take its token, or the engine has failed. A process should end with an error then.
    pub async fn ended(&mut self) -> Result<(), EndError> {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let end = match (&mut self.driver).await {
            Ok(end) => end,
            Err(error) if error.is_panic() => Err(EndError::LoopFailed),
            // It was killed.
            Err(_) => Ok(()),
        };
        self.end.insert(end).clone()
    }

    /// Stops the worker as SIGTERM should: it takes nothing new, waits up to a second for WhatsApp's
    /// acknowledgements, lets the engine release the sessions within two, delivers what it owes the gateway within
    /// four, and says goodbye. It ends within ten seconds, whether or not the gateway has heard it, and says in one
    /// line of the log what it could not deliver.
    ///
    /// # Errors
    /// As for [`Self::ended`].
    pub async fn shutdown(mut self) -> Result<(), EndError> {
        self.leaving.notify_one();
        let ended = tokio::time::timeout(leave::LEAVE_LIMIT, self.ended()).await;
        // Whether it was heard or not, this is the end.
        ended.unwrap_or(Ok(()))
    }

    /// Kills the worker as SIGKILL does: its connections break, and the gateway hears nothing.
    pub fn kill(&self) {
        for task in self.abort_handles() {
            task.abort();
        }
    }

    /// Returns what [`Self::kill`] aborts, for somebody who has to do it from elsewhere.
    #[must_use]
    pub fn abort_handles(&self) -> [AbortHandle; 3] {
        let (server, driver) = (self.server.abort_handle(), self.driver.abort_handle());
        [server, driver, self.leave.abort_handle()]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
