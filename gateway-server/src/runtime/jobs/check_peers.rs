//! Checks late that this replica has in common with its peers what it must ([`SharedSetup`]).
//!
//! One that differs does not start. One that starts while the coordinator is away sees nobody; so it looks
//! again when that is back, for as long as it takes all others to show themselves, and
//! stops if it should not have started.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::Coordinator;
use gateway_core::id::ReplicaId;

use super::frame::{Job, JobError, Next, Pace};
use crate::runtime::peers::SharedSetup;
use crate::shutdown::Shutdown;

/// How many looks that see anything are enough: others show themselves every five seconds.
const LOOKS: u32 = 5;

#[derive(Debug)]
pub(crate) struct CheckPeers {
    replica: ReplicaId,
    coord: Arc<dyn Coordinator>,
    setup: Arc<SharedSetup>,
    shutdown: Shutdown,
    looks_left: u32,
}

impl CheckPeers {
    pub(crate) fn new(
        replica: ReplicaId,
        coord: Arc<dyn Coordinator>,
        setup: Arc<SharedSetup>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            replica,
            coord,
            setup,
            shutdown,
            looks_left: LOOKS,
        }
    }
}

impl Job for CheckPeers {
    const NAME: &'static str = "check_peers";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(2))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let all = self.coord.replica_numbers().await?;
        self.looks_left -= 1;
        if self.looks_left > 0 {
            // Not all have shown themselves yet.
            return Ok(Next::AtPace);
        }
        let own = self.replica.to_string();
        if let Err(error) = self.setup.check_first_peer(&own, &all) {
            tracing::error!(%error, "stopping");
            self.shutdown.give_up();
        }
        Ok(Next::Never)
    }
}
