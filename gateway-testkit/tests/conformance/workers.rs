//! A simulated worker for every case, registered with a gateway that agrees to everything.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId, WorkerId};
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::session::Owner;
use gateway_core::state::StoredState;
use gateway_core::time::Timestamp;
use gateway_core::worker::Target;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Backend, Failure, LinkUnderTest, Need, Phone};
use gateway_testkit::worker::{Caller, GatewayApi, GatewayError, Script, SimFleet};

const LEASE_SECONDS: u64 = 3_600;

/// Grants every lease, keeps nothing, and believes every report.
#[derive(Debug)]
struct Agreeable;

#[async_trait]
impl GatewayApi for Agreeable {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        Ok(Registered {
            worker_id: body.worker_id.clone(),
            worker_token: "token".to_owned(),
            lease_seconds: LEASE_SECONDS,
            heartbeat_interval_ms: 2_000,
            recovery_required: false,
            assigned_session_count: 0,
            server_time: Timestamp::default(),
        })
    }

    async fn heartbeat(&self, _: &Caller, _: &Beat) -> Result<BeatAnswer, GatewayError> {
        Ok(BeatAnswer {
            lease_seconds: LEASE_SECONDS,
            dropped: Vec::new(),
            start: Vec::new(),
            drain: false,
            send_held: false,
        })
    }

    async fn goodbye(&self, _: &Caller) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn assigned(&self, _: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        Ok(Vec::new())
    }

    async fn recovery_status(&self, _: &Caller, _: &RecoveryReport) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn session_report(&self, _: &Caller, _: &SessionReport) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn message_reports(&self, _: &Caller, _: &[MessageReport]) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn inbound(&self, _: &Caller, _: &[InboundMessage]) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn state(&self, _: &Caller, _: SessionId, _: Epoch) -> Result<StoredState, GatewayError> {
        Ok(StoredState::default())
    }

    async fn put_state(
        &self,
        _: &Caller,
        _: SessionId,
        _: Epoch,
        after: u64,
        _: &[u8],
    ) -> Result<u64, GatewayError> {
        Ok(after + 1)
    }

    async fn append_state(
        &self,
        _: &Caller,
        _: SessionId,
        _: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError> {
        Ok(after + entries.len() as u64)
    }
}

/// The fleet's phones, and the clock by which linking takes its time.
#[derive(Debug)]
struct Person {
    fleet: SimFleet,
    clock: Arc<ManualClock>,
}

impl Person {
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.fleet.settle(&Agreeable).await;
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
        fleet.settle(&Agreeable).await;
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
            phone: Arc::new(Person { fleet, clock }),
            keep: Box::new(()),
        })
    }
}
