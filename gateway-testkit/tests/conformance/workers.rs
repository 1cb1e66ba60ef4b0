//! A simulated worker for every case, registered with a gateway that agrees to everything.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{SessionId, WorkerId};
use gateway_core::session::Owner;
use gateway_core::worker::Target;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Backend, Failure, LinkUnderTest, Need, Phone};
use gateway_testkit::worker::{Script, SimFleet, StubGateway};

/// Longer than any case takes.
const LEASE: Duration = Duration::from_secs(3_600);

/// The fleet's phones, and the clock by which linking takes its time.
#[derive(Debug)]
struct Person {
    fleet: SimFleet,
    gateway: StubGateway,
    clock: Arc<ManualClock>,
}

impl Person {
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.fleet.settle(&self.gateway).await;
        }
    }
}

impl Phone for Person {
    fn link(&self, session: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.pass(2).await;
            self.fleet.scan(session);
            self.pass(10).await;
        })
    }
}

/// A simulated worker in this process.
pub(crate) struct Simulated;

impl Backend for Simulated {
    type UnderTest = LinkUnderTest;

    fn name(&self) -> &'static str {
        "simulated"
    }

    fn offers(&self, _: Need) -> bool {
        false
    }

    async fn open(&self) -> Result<LinkUnderTest, Failure> {
        let clock = Arc::new(ManualClock::default());
        let fleet = SimFleet::new(1, clock.clone());
        let id = WorkerId::parse("sim")?;
        fleet.add(&id, Script::default());
        let gateway = StubGateway::granting(LEASE);
        fleet.settle(&gateway).await;
        let owner = fleet.owner(&id);
        let owner = owner.ok_or_else(|| Failure::new("the worker has not started"))?;
        let at = |worker: WorkerId| Target {
            owner: Owner {
                worker,
                incarnation: owner.incarnation.clone(),
            },
            endpoint: "http://in-process".to_owned(),
        };
        Ok(LinkUnderTest {
            link: Arc::new(fleet.clone()),
            target: at(id),
            nobody: at(WorkerId::parse("nobody")?),
            phone: Arc::new(Person {
                fleet,
                gateway,
                clock,
            }),
            keep: Box::new(()),
        })
    }
}
