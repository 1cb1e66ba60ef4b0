//! A program outside the gateway's workspace that embeds its orchestration: the store is testkit's, but the workers
//! and the way to them are its own, and so is the loop.
//!
//! The workers here are threads of nothing: each has a channel on which its orders arrive, and reports by calling the
//! orchestrator. One of them dies, and its session goes on at the other one without a scan.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use futures_executor::block_on;
use gateway_core::id::{SessionId, SessionName, TenantId};
use gateway_core::identity::Origin;
use gateway_core::orchestrator::{Driver, Join, NewCard, Orchestrator, Policy, Registration};
use gateway_core::protocol::{
    Accepted, Beat, Health, Passkey, Register, Released, SendMessage, Sent, SessionReport,
    SessionState, StartSession,
};
use gateway_core::session::{Command, Order, Owner, Pairing, Status};
use gateway_core::time::Clock;
use gateway_core::worker::{AllowedHost, LinkError, Target, WorkerLink};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::gateway::memory_ports;

/// The program's own way to its workers: a channel for each, by its address.
#[derive(Debug, Default)]
struct Channels {
    doors: Mutex<BTreeMap<String, mpsc::Sender<StartSession>>>,
}

impl Channels {
    fn open(&self, endpoint: &str) -> mpsc::Receiver<StartSession> {
        let (door, orders) = mpsc::channel();
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.insert(endpoint.to_owned(), door);
        orders
    }

    fn put(&self, target: &Target, order: &StartSession) -> Result<(), LinkError> {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let door = doors.get(&target.endpoint).ok_or(LinkError::NotSent)?;
        door.send(order.clone()).map_err(|_| LinkError::NotSent)
    }
}

#[async_trait]
impl WorkerLink for Channels {
    async fn start(
        &self,
        to: &Target,
        body: &StartSession,
        _: Duration,
    ) -> Result<Accepted, LinkError> {
        self.put(to, body)?;
        Ok(Accepted::of(body))
    }

    async fn release(&self, _: &Target, order: &Order, _: Duration) -> Result<Released, LinkError> {
        Ok(Released::new(order.session, order.epoch))
    }

    async fn logout(&self, _: &Target, order: &Order, _: Duration) -> Result<Released, LinkError> {
        Ok(Released::new(order.session, order.epoch))
    }

    async fn forget(&self, _: &Target, order: &Order, _: Duration) -> Result<Released, LinkError> {
        Ok(Released::new(order.session, order.epoch))
    }

    async fn health(&self, to: &Target, _: Duration) -> Result<Health, LinkError> {
        Ok(Health::of(&to.owner))
    }

    // These workers send no messages, have no codes to show and are linked without a passkey.

    async fn session(
        &self,
        _: &Target,
        _: SessionId,
        _: Duration,
    ) -> Result<SessionState, LinkError> {
        Err(LinkError::UnknownSession)
    }

    async fn send(
        &self,
        _: &Target,
        _: SessionId,
        _: &SendMessage,
        _: Duration,
    ) -> Result<Sent, LinkError> {
        Err(LinkError::NotConnected)
    }

    async fn passkey(
        &self,
        _: &Target,
        _: &Order,
        _: &Passkey,
        _: bool,
        _: Duration,
    ) -> Result<(), LinkError> {
        Err(LinkError::NotConnected)
    }
}

/// A worker: who it is, and the orders that have arrived.
struct Worker {
    run: Owner,
    orders: mpsc::Receiver<StartSession>,
}

impl Worker {
    async fn join(name: &str, driver: &Driver, link: &Channels) -> Result<Self, Box<dyn Error>> {
        let endpoint = format!("http://{name}.test");
        let orders = link.open(&endpoint);
        let body = Register::new(name, &format!("run-of-{name}"), &endpoint, 10);
        let registration = Registration::of(body, &[AllowedHost::Any])?;
        let (origin, join) = (Origin::default(), Join::Bootstrap);
        let registering = driver.orchestrator().register(&origin, join, &registration);
        let run = driver.keep(registering.await?).owner;
        Ok(Self { run, orders })
    }

    /// Does what it was told, and reports it.
    async fn work(&self, driver: &Driver) -> Result<(), Box<dyn Error>> {
        while let Ok(order) = self.orders.try_recv() {
            for status in ["CONNECTING", "CONNECTED"] {
                let report = SessionReport::new(order.session_id, order.epoch, status);
                let reporting = driver.orchestrator().report(&self.run, &report);
                driver.keep(reporting.await?);
            }
        }
        Ok(())
    }

    async fn beat(&self, driver: &Driver) -> Result<(), Box<dyn Error>> {
        let beat = Beat::default();
        let beating = driver.orchestrator().heartbeat(&self.run, &beat);
        driver.keep(beating.await?);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    // A clock that is moved by hand; `gateway_worker::system` has the machine's.
    let time = Arc::new(ManualClock::default());
    let clock: Arc<dyn Clock> = time.clone();
    let link = Arc::new(Channels::default());
    let ports = memory_ports(&clock, link.clone(), 7);
    let store = Arc::clone(&ports.store);
    let driver = Driver::new(Arc::new(Orchestrator::new(ports, Policy::default())));
    let mut workers = Vec::new();
    for name in ["worker-1", "worker-2"] {
        workers.push(Worker::join(name, &driver, &link).await?);
    }

    let tenant = TenantId::from_u128(1);
    let card = NewCard::new(tenant, SessionName::parse("sales")?);
    let session = driver.orchestrator().create(card).await?.id;
    let connect = Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    };
    let commanding = driver.orchestrator().command(tenant, session, connect);
    driver.keep(commanding.await?);

    let mut said = String::new();
    for second in 0..60 {
        if second % 2 == 0 {
            for worker in &workers {
                worker.beat(&driver).await?;
            }
        }
        // A program that has other things to do comes back after `next`.
        while driver.pump().await?.next.is_zero() {
            for worker in &workers {
                worker.work(&driver).await?;
            }
        }
        let row = store.read().await?.session(session).await?;
        let row = row.ok_or("the session is gone")?;
        let owner = row.owner().map(|owner| owner.worker.to_string());
        let now = format!(
            "{} on {}, epoch {}",
            row.status().status.name(),
            owner.as_deref().unwrap_or("nobody"),
            row.epoch
        );
        if now != said {
            println!("{second:>2} s: {now}");
            said = now;
        }
        if second == 20 {
            workers.retain(|worker| Some(worker.run.worker.to_string()) != owner);
        }
        if row.epoch.0 == 2 && row.status().status == Status::Connected {
            return Ok(());
        }
        time.advance(Duration::from_secs(1));
    }
    Err("the session has not moved within a minute".into())
}
