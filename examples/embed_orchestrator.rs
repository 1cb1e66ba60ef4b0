//! The orchestration without the server: two simulated workers, one session, one crash.
//!
//! Everything is a port: put your own store, transport and clock in place of testkit's. There is no
//! runtime in here; this program moves the time and performs the effects itself.
//!
//! Run with `cargo run -p gateway-examples --example embed_orchestrator`.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::id::{SessionName, TenantId, WorkerId};
use gateway_core::orchestrator::{NewCard, Orchestrator, Policy};
use gateway_core::session::{Command, Pairing};
use gateway_core::time::Clock;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::gateway::{LocalGateway, memory_ports};
use gateway_testkit::worker::{Script, SimFleet};

fn main() -> Result<(), Box<dyn Error>> {
    block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let manual = Arc::new(ManualClock::default());
    let clock: Arc<dyn Clock> = manual.clone();
    let fleet = SimFleet::new(7, Arc::clone(&clock));
    let ports = memory_ports(&clock, Arc::new(fleet.clone()), 7);
    let store = Arc::clone(&ports.store);
    let state = Arc::clone(&ports.state);
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
    let id = orchestrator.create(card).await?.id;
    let connect = Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    };
    gateway.carry_out(orchestrator.command(tenant, id, connect).await?.effects);

    let mut said = String::new();
    for second in 0..60 {
        gateway.settle(&fleet).await?;
        let row = store
            .begin()
            .await?
            .session(id)
            .await?
            .ok_or("the session is gone")?;
        let owner = row.owner().map(|owner| owner.worker.clone());
        let now = format!(
            "{} on {owner:?}, epoch {}",
            row.status().status.name(),
            row.epoch
        );
        if now != said {
            println!("{second:>2} s  {now}");
            said = now;
        }
        if let (20, Some(owner)) = (second, owner) {
            println!("20 s  {owner} dies: its lease and a guard have to run out");
            fleet.crash(&owner);
        }
        manual.advance(Duration::from_secs(1));
    }
    Ok(())
}
