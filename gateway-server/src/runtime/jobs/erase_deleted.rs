//! Erases the credentials of deleted sessions whose first attempt was lost.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::orchestrator::Orchestrator;

use super::frame::{Job, JobError, Next, Pace};

#[derive(Debug)]
pub(crate) struct EraseDeleted {
    pub(crate) orchestrator: Arc<Orchestrator>,
}

impl Job for EraseDeleted {
    const NAME: &'static str = "erase_deleted";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(30))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        match self.orchestrator.erase_deleted().await? {
            true => Ok(Next::AtOnce),
            false => Ok(Next::AtPace),
        }
    }
}
