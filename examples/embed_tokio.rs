//! The orchestration on tokio, with the machine's own clock and randomness: one task pumps, and sleeps until it is
//! told to or woken.
//!
//! [`Shell`] is all that a runtime adds. Whoever has something done keeps the effects and wakes the pump; a program of
//! several replicas wakes it on the coordinator's `Notice::Due` as well.
//!
//! Run with `cargo run -p gateway-examples --example embed_tokio`.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{SessionName, TenantId};
use gateway_core::identity::Origin;
use gateway_core::orchestrator::{Done, Driver, Join, NewCard, Orchestrator, Policy, Registration};
use gateway_core::protocol::{Accepted, Beat, Health, Register, SessionReport, StartSession};
use gateway_core::session::{Command, Owner, Pairing};
use gateway_core::time::Clock;
use gateway_core::worker::{AllowedHost, LinkError, Target, WorkerLink};
use gateway_testkit::delegate::{Delegate, DelegateLink, Unreachable};
use gateway_testkit::gateway::memory_ports;
use gateway_worker::system::{OsEntropy, SystemClock};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Keeps a driver going on tokio. Clones are the same shell.
#[derive(Clone)]
struct Shell {
    driver: Driver,
    wake: Arc<Notify>,
}

impl Shell {
    fn new(driver: Driver) -> Self {
        let wake = Arc::default();
        Self { driver, wake }
    }

    fn orchestrator(&self) -> &Orchestrator {
        self.driver.orchestrator()
    }

    /// Keeps the effects of an operation, and has them performed at once.
    fn keep<T>(&self, done: Done<T>) -> T {
        let value = self.driver.keep(done);
        self.wake.notify_one();
        value
    }

    /// Pumps for ever.
    async fn run(self) {
        let heartbeat = self.orchestrator().lease_policy().heartbeat;
        loop {
            let next = match self.driver.pump().await {
                Ok(pumped) => pumped.next,
                Err(error) => {
                    println!("the store fails: {error}");
                    heartbeat
                }
            };
            // Whether it was woken or has slept enough is all the same.
            let _ = timeout(next, self.wake.notified()).await;
        }
    }
}

/// The way to the one worker of this program.
#[derive(Debug)]
struct Line(mpsc::UnboundedSender<StartSession>);

#[async_trait]
impl DelegateLink for Line {
    fn below(&self) -> &dyn WorkerLink {
        &Unreachable
    }

    async fn start(
        &self,
        _: &Target,
        body: &StartSession,
        _: Duration,
    ) -> Result<Accepted, LinkError> {
        let sent = self.0.send(body.clone());
        sent.map_err(|_| LinkError::NotSent)?;
        Ok(Accepted::of(body))
    }

    async fn health(&self, target: &Target, _: Duration) -> Result<Health, LinkError> {
        Ok(Health::of(&target.owner))
    }
}

/// The worker: it connects whatever it is told to, and sends its heartbeats.
async fn work(
    shell: Shell,
    run: Owner,
    mut orders: mpsc::UnboundedReceiver<StartSession>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut beats = interval(shell.orchestrator().lease_policy().heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let beat = Beat::default();
                let done = shell.orchestrator().heartbeat(&run, &beat).await?;
                shell.keep(done);
            }
            order = orders.recv() => {
                let Some(order) = order else { return Ok(()) };
                let report = SessionReport::new(order.session_id, order.epoch, "CONNECTED");
                let done = shell.orchestrator().report(&run, &report).await?;
                shell.keep(done);
                println!("{} is connected at epoch {}", order.session_id, order.epoch);
                return Ok(());
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (line, orders) = mpsc::unbounded_channel();
    let mut ports = memory_ports(&clock, Arc::new(Delegate(Line(line))), 7);
    ports.entropy = Arc::new(OsEntropy);
    let orchestrator = Arc::new(Orchestrator::new(ports, Policy::default()));
    let shell = Shell::new(Driver::new(orchestrator));
    let pumping = tokio::spawn(shell.clone().run());

    let body = Register::new("worker-1", "the-only-run", "http://worker-1.test", 10);
    let registration = Registration::of(body, &[AllowedHost::Any])?;
    let (origin, join) = (Origin::default(), Join::Bootstrap);
    let registering = shell.orchestrator().register(&origin, join, &registration);
    let member = shell.keep(registering.await?);
    let working = tokio::spawn(work(shell.clone(), member.owner, orders));

    let tenant = TenantId::from_u128(1);
    let card = NewCard::new(tenant, SessionName::parse("sales")?);
    let session = shell.orchestrator().create(card).await?.id;
    let connect = Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    };
    let commanding = shell.orchestrator().command(tenant, session, connect);
    shell.keep(commanding.await?);

    timeout(Duration::from_secs(10), working)
        .await??
        .map(|()| pumping.abort())
}
