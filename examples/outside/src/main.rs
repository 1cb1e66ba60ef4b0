//! A program outside the gateway's workspace that embeds its orchestration: the ports are testkit's, but the way to
//! the workers is its own.
//!
//! The link here counts commands and hands them to two simulated workers; yours would send them to real ones.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_executor::block_on;
use gateway_core::id::{SessionId, SessionName, TenantId, WorkerId};
use gateway_core::orchestrator::{NewCard, Orchestrator, Policy};
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::{Command, Order, Pairing, Status};
use gateway_core::time::Clock;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::gateway::{LocalGateway, memory_ports};
use gateway_testkit::worker::{Script, SimFleet};

/// The program's own way to its workers.
#[derive(Debug)]
struct CountingLink {
    fleet: SimFleet,
    commands: AtomicUsize,
}

impl CountingLink {
    fn next(&self) -> &SimFleet {
        self.commands.fetch_add(1, Ordering::Relaxed);
        &self.fleet
    }
}

#[async_trait]
impl WorkerLink for CountingLink {
    async fn start(
        &self,
        to: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError> {
        self.next().start(to, body, limit).await
    }

    async fn session(
        &self,
        to: &Target,
        session: SessionId,
        limit: Duration,
    ) -> Result<SessionState, LinkError> {
        self.next().session(to, session, limit).await
    }

    async fn send(
        &self,
        to: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError> {
        self.next().send(to, session, body, limit).await
    }

    async fn release(
        &self,
        to: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.next().release(to, order, limit).await
    }

    async fn logout(
        &self,
        to: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.next().logout(to, order, limit).await
    }

    async fn forget(
        &self,
        to: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.next().forget(to, order, limit).await
    }

    async fn passkey(
        &self,
        to: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        limit: Duration,
    ) -> Result<(), LinkError> {
        self.next().passkey(to, order, body, confirm, limit).await
    }

    async fn health(&self, to: &Target, limit: Duration) -> Result<Health, LinkError> {
        self.next().health(to, limit).await
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let time = Arc::new(ManualClock::default());
    let clock: Arc<dyn Clock> = time.clone();
    let fleet = SimFleet::new(7, Arc::clone(&clock));
    let link = Arc::new(CountingLink {
        fleet: fleet.clone(),
        commands: AtomicUsize::new(0),
    });
    let ports = memory_ports(&clock, link.clone(), 7);
    let (store, state) = (Arc::clone(&ports.store), Arc::clone(&ports.state));
    let orchestrator = Arc::new(Orchestrator::new(ports, Policy::default()));
    let gateway = LocalGateway::new(Arc::clone(&orchestrator), state);
    let mut script = Script::default();
    script.auto_scan_ms = Some(2_000);
    for id in ["worker-1", "worker-2"] {
        fleet.add(&WorkerId::parse(id)?, script.clone());
    }
    gateway.settle(&fleet).await?;

    let tenant = TenantId::from_u128(1);
    let card = NewCard::new(tenant, SessionName::parse("sales")?);
    let session = orchestrator.create(card).await?.id;
    let connect = Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    };
    gateway.carry_out(
        orchestrator
            .command(tenant, session, connect)
            .await?
            .effects,
    );
    for second in 0..30 {
        gateway.settle(&fleet).await?;
        let row = store.begin().await?.session(session).await?;
        let row = row.ok_or("the session is gone")?;
        if row.status().status == Status::Connected {
            let commands = link.commands.load(Ordering::Relaxed);
            println!("connected after {second} s and {commands} commands");
            return Ok(());
        }
        time.advance(Duration::from_secs(1));
    }
    Err("not connected within 30 s".into())
}
