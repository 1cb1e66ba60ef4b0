//! The simulated worker as a real HTTP server and client of the worker protocol.
//!
//! The same [`SimWorker`] as in process, run by the worker runtime's HTTP shell as any engine is. What the
//! script lets go wrong lies around it: a layer over the server's routes, and a carrier that loses calls.
//! One more loop lets the simulated clients live. `dev` runs two such workers inside the gateway's
//! process, `sim-worker` one in a process of its own.

mod scripted;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use gateway_core::entropy::Entropy;
use gateway_core::id::WorkerId;
use gateway_core::time::Clock;
pub use gateway_worker::http::{EndError, StartError, TokenRefused};
use gateway_worker::http::{HttpGateway, Listener, Running, pause, run_with};
use gateway_worker::{Moment, WorkerCard};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use self::scripted::{ScriptedCarrier, scripted};
use super::engine::SimEngine;
use super::environment::SimEnvironment;
use super::phone::PhoneNetwork;
use super::recorder::Recorder;
use super::script::Script;
use super::sim::SimWorker;

/// How many messages the recipients of a long-running worker remember.
const REMEMBERED: usize = 100_000;

/// How long a send waits for its cipher counters to be stored.
const COUNTERS_LIMIT: Duration = Duration::from_secs(2);

/// The longest sleep of the simulated clients: what tests write into the phone network from outside is
/// noticed by then.
const LONGEST: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(1);

/// How to run a worker.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
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
    pub environment: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// What its incarnations begin with; see [`WorkerCard::run_mark`].
    pub run_mark: String,
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
    /// Makes a worker for 100 sessions on a free port of the loopback address.
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
            run_mark: String::new(),
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

/// The worker and the signals that the layer, the carrier and the loop share.
#[derive(Debug)]
struct SimProcess {
    worker: Mutex<SimWorker>,
    clock: Arc<dyn Clock>,
    /// The clients may have something to do.
    changed: Notify,
}

impl SimProcess {
    fn worker(&self) -> MutexGuard<'_, SimWorker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment::of(&*self.clock)
    }
}

/// A running worker. Dropping it is [`SimHttpWorker::kill`].
#[derive(Debug)]
pub struct SimHttpWorker {
    endpoint: String,
    stage: Arc<SimProcess>,
    running: Running,
    clients: AbortOnDrop,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SimHttpWorker {
    /// Listens and begins to register, without waiting for the gateway. While it is not let in it tries
    /// on and logs a warning each time the reason changes.
    ///
    /// # Errors
    /// The address is taken, or the gateway's URL makes no sense.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let gateway = HttpGateway::new(&options.gateway, &options.bootstrap_token)?;
        let listener = Listener::bind(options.listen).await?;
        let bound = listener.base_url().to_owned();
        let endpoint = options.endpoint.unwrap_or(bound);
        let card = WorkerCard {
            max_sessions: options.max_sessions,
            environment: options.environment,
            labels: options.labels,
            run_mark: options.run_mark,
            ..WorkerCard::new(options.worker, &endpoint)
        };
        let environment = SimEnvironment {
            network: options.network,
            recorder: options.recorder,
            entropy: options.entropy,
        };
        let clock = options.clock;
        let now = Moment::of(&*clock);
        let engine =
            SimEngine::new(options.script, environment.clone(), now).waiting(COUNTERS_LIMIT);
        let worker = SimWorker::with_engine(card, engine, environment, now);
        let runtime = Arc::clone(worker.runtime());
        let engine = Arc::clone(&runtime);
        let stage = Arc::new(SimProcess {
            worker: Mutex::new(worker),
            clock: Arc::clone(&clock),
            changed: Notify::new(),
        });
        let carrier = ScriptedCarrier::new(gateway, Arc::clone(&stage));
        let layer = from_fn_with_state(Arc::clone(&stage), scripted);
        let running = run_with(listener, runtime, Arc::new(carrier), clock, |routes| {
            routes.layer(layer)
        });
        let clients = tokio::spawn(live(Arc::clone(&stage), running.abort_handles()));
        let abort = AbortOnDrop(clients.abort_handle());
        tokio::spawn(async move {
            if clients.await.is_err_and(|error| error.is_panic()) {
                engine.fail("the simulated clients have panicked");
            }
        });
        Ok(Self {
            endpoint,
            stage,
            running,
            clients: abort,
        })
    }

    /// Returns the base URL it registers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Calls `act` with the worker and the present moment, to look at it or to change what it does.
    pub fn with<T>(&self, act: impl FnOnce(&mut SimWorker, Moment) -> T) -> T {
        let now = self.stage.now();
        let value = act(&mut self.stage.worker(), now);
        self.stage.changed.notify_one();
        self.running.nudge();
        value
    }

    /// Waits until it has ended: it said goodbye, or its script let it crash.
    ///
    /// # Errors
    /// The gateway does not take its token, or the simulated clients have panicked.
    pub async fn ended(&mut self) -> Result<(), EndError> {
        self.running.ended().await
    }

    /// Stops the worker as SIGTERM does: it lets go of its sessions, delivers what it owes, says goodbye and ends,
    /// within ten seconds.
    ///
    /// # Errors
    /// As for [`Self::ended`].
    pub async fn shutdown(self) -> Result<(), EndError> {
        let Self {
            running, clients, ..
        } = self;
        let ended = running.shutdown().await;
        drop(clients);
        ended
    }

    /// Kills the worker as SIGKILL does: its connections break, and the gateway hears nothing.
    pub fn kill(&self) {
        self.with(SimWorker::crash);
        self.running.kill();
    }
}

/// Lets the simulated clients live until the worker's script lets it crash; then the process ends.
async fn live(stage: Arc<SimProcess>, process: [AbortHandle; 3]) {
    let runtime = Arc::clone(stage.worker().runtime());
    loop {
        let now = stage.now();
        let next = {
            let worker = stage.worker();
            if worker.has_crashed() {
                process.iter().for_each(AbortHandle::abort);
                return;
            }
            if !worker.is_frozen(now) {
                worker.live(now);
            }
            runtime.engine().next_due()
        };
        let wait = next.map_or(LONGEST, |next| next.since(now.uptime));
        tokio::select! {
            () = stage.changed.notified() => {}
            () = runtime.engine().changed() => {}
            () = pause(wait.clamp(SHORTEST, LONGEST)) => {}
        }
    }
}
