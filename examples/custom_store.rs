//! A store of one's own: a wrapper that counts transactions and can refuse one in four.
//!
//! The wrapper passes the same conformance suite as every other store, and an orchestrator over it gets
//! its session connected although many of its transactions never begin: what fails is due again.
//!
//! Run with `cargo run -p gateway-examples --example custom_store`.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::entropy::Entropy;
use gateway_core::id::{SessionName, TenantId, WorkerId};
use gateway_core::orchestrator::{NewCard, Orchestrator, Policy};
use gateway_core::session::{Command, Pairing, Status};
use gateway_core::store::{OrchestrationTx, PlatformStore, PlatformTx, Store, StoreError};
use gateway_core::time::Clock;
use gateway_core::worker::{LeasePolicy, StoreLeases};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Absent, Backend, Failure, Need, STORE, StoreUnderTest, trials};
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::gateway::{LocalGateway, memory_ports};
use gateway_testkit::memory::MemoryStore;
use gateway_testkit::worker::{Script, SimFleet};

/// Any store, with a counter and a fault in front of it.
#[derive(Debug)]
struct Counting<S> {
    inner: S,
    begun: AtomicU64,
    faulty: AtomicBool,
    dice: SeededEntropy,
}

impl<S> Counting<S> {
    fn over(inner: S) -> Self {
        Self {
            inner,
            begun: AtomicU64::new(0),
            faulty: AtomicBool::new(false),
            dice: SeededEntropy::new(1),
        }
    }

    fn count(&self) -> Result<(), StoreError> {
        self.begun.fetch_add(1, Relaxed);
        if self.faulty.load(Relaxed) && self.dice.below(4) == 0 {
            return Err(StoreError::Unavailable("the cable was pulled".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl<S: PlatformStore> Store for Counting<S> {
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.count()?;
        self.inner.begin().await
    }

    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.count()?;
        self.inner.read().await
    }
}

#[async_trait]
impl<S: PlatformStore> PlatformStore for Counting<S> {
    async fn begin_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.count()?;
        self.inner.begin_platform().await
    }

    async fn read_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.count()?;
        self.inner.read_platform().await
    }
}

/// Makes fresh stores for the suite.
struct Wrapped;

impl Backend for Wrapped {
    type UnderTest = StoreUnderTest;

    fn name(&self) -> &'static str {
        "counting"
    }

    fn offers(&self, _: Need) -> bool {
        true
    }

    async fn open(&self) -> Result<StoreUnderTest, Failure> {
        let clock = Arc::new(ManualClock::default());
        let store = Counting::over(MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>));
        Ok(StoreUnderTest {
            store: Arc::new(store),
            clock: Some(clock),
            keep: Box::new(()),
        })
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?;
    runtime.block_on(survive_faults())?;
    let suite = trials(Wrapped, STORE, runtime.handle(), Absent::Failed);
    let conclusion = libtest_mimic::run(&libtest_mimic::Arguments::from_args(), suite);
    Ok(conclusion.exit_code())
}

async fn survive_faults() -> Result<(), Box<dyn Error>> {
    let manual = Arc::new(ManualClock::default());
    let clock: Arc<dyn Clock> = manual.clone();
    let store = Arc::new(Counting::over(MemoryStore::new(Arc::clone(&clock))));
    let shared: Arc<dyn Store> = store.clone();
    let fleet = SimFleet::new(3, Arc::clone(&clock));
    let mut ports = memory_ports(&clock, Arc::new(fleet.clone()), 3);
    ports.leases = Arc::new(StoreLeases::new(
        Arc::clone(&shared),
        clock,
        LeasePolicy::default(),
    ));
    ports.store = shared;
    let state = Arc::clone(&ports.state);
    let orchestrator = Arc::new(Orchestrator::new(ports, Policy::default()));
    let gateway = LocalGateway::new(Arc::clone(&orchestrator), state);

    let mut script = Script::default();
    script.auto_scan_ms = Some(1_000);
    fleet.add(&WorkerId::parse("worker-1")?, script);
    let tenant = TenantId::from_u128(1);
    let card = NewCard::new(tenant, SessionName::parse("sales")?);
    let id = orchestrator.create(card).await?.id;
    let connect = Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    };
    gateway.carry_out(orchestrator.command(tenant, id, connect).await?.effects);

    store.faulty.store(true, Relaxed);
    for second in 0..300 {
        // Whatever fails here is due again in the next second.
        let _ = gateway.settle(&fleet).await;
        manual.advance(Duration::from_secs(1));
        let mut tx = store.inner.begin().await?;
        let row = tx.session(id).await?.ok_or("the session is gone")?;
        if row.status().status == Status::Connected {
            let begun = store.begun.load(Relaxed);
            let mut out = std::io::stdout();
            writeln!(
                out,
                "connected after {second} s and {begun} transactions, one in four of them refused"
            )?;
            return Ok(());
        }
    }
    Err("not connected after five minutes".into())
}
