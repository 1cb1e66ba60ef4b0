//! A fresh coordinator for every case.

use std::sync::Arc;

use gateway_server::coord::local::{LocalCoordinator, LocalLimits};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Backend, CoordinatorUnderTest, Failure, Need};

use crate::stores::Moved;

/// In process.
pub(crate) struct Local;

impl Backend for Local {
    type UnderTest = CoordinatorUnderTest;

    fn name(&self) -> &'static str {
        "local"
    }

    fn offers(&self, need: Need) -> bool {
        need != Need::SecondReplica
    }

    async fn open(&self) -> Result<CoordinatorUnderTest, Failure> {
        let clock = Arc::new(ManualClock::default());
        let coordinator = LocalCoordinator::new(clock.clone(), LocalLimits::default());
        let coordinator = Arc::new(coordinator);
        Ok(CoordinatorUnderTest {
            coordinator: coordinator.clone(),
            other: coordinator,
            clock: Some(Arc::new(Moved(clock))),
            keep: Box::new(()),
        })
    }
}
