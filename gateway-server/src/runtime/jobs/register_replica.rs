//! Says in the store that this replica is there, and counts all of them.
//!
//! Their number is needed where each replica keeps to its share of a limit: in the quotas, and in the
//! coordinator for the time that Redis is away.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::Coordinator;
use gateway_core::id::ReplicaId;
use gateway_core::store::PlatformStore;

use super::frame::{Job, JobError, Next, Pace};
use crate::quota::Quotas;

/// Well within the time after which a silent replica is not counted any more.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct RegisterReplica {
    pub(crate) replica: ReplicaId,
    pub(crate) store: Arc<dyn PlatformStore>,
    pub(crate) quotas: Quotas,
    pub(crate) coord: Arc<dyn Coordinator>,
}

impl Job for RegisterReplica {
    const NAME: &'static str = "register_replica";

    fn pace(&self) -> Pace {
        Pace::of(LONGEST_PAUSE)
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let mut tx = self.store.begin_platform().await?;
        tx.renew_replica(self.replica).await?;
        let replicas = tx.replicas().await?;
        tx.commit().await?;
        self.quotas.share(replicas);
        self.coord.note_replicas(replicas);
        Ok(Next::AtPace)
    }
}
