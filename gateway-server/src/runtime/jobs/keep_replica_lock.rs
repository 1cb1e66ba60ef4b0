//! Looks whether this replica may still be there, and stops it when another one has taken its place on the
//! database.
//!
//! Where several may be, one that does not belong there is no reason for all the others to stop.

use std::time::Duration;

use super::frame::{Job, JobError, Next, Pace};
use crate::shutdown::Shutdown;
use crate::store::replica::{ReplicaError, ReplicaLock};
use crate::telemetry::ErrorChain;

#[derive(Debug)]
pub(crate) struct KeepReplicaLock {
    pub(crate) lock: ReplicaLock,
    pub(crate) shutdown: Shutdown,
}

impl Job for KeepReplicaLock {
    const NAME: &'static str = "keep_replica_lock";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(2))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        match self.lock.keep().await {
            Ok(()) => Ok(Next::AtPace),
            Err(error @ ReplicaError::Held) => {
                tracing::error!(error = %ErrorChain(&error), "stopping");
                self.shutdown.give_up();
                Ok(Next::Never)
            }
            Err(error @ (ReplicaError::Alone | ReplicaError::Unreachable(_))) => {
                Err(JobError::Other(Box::new(error)))
            }
        }
    }
}
