//! Lets the caches follow the store.
//!
//! Trust is counted from when a look was *sent*, and so is the job's pace: where the database is far away, a
//! look takes its time. The shortest pause keeps a storm of notices from becoming one of queries.

use std::time::Duration;

use gateway_core::coord::Notice;

use super::frame::{Job, JobError, Next, Pace};
use crate::cache::Caches;

const PACE: Pace = Pace {
    longest: Duration::from_secs(2),
    shortest: Duration::from_millis(100),
};

#[derive(Debug)]
pub(crate) struct FollowChanges {
    pub(crate) caches: Caches,
}

impl Job for FollowChanges {
    const NAME: &'static str = "follow_changes";
    const LISTENS: bool = true;

    fn pace(&self) -> Pace {
        PACE
    }

    fn wakes_on(&mut self, notice: &Notice) -> bool {
        self.caches.hear(notice)
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        self.caches.look().await?;
        Ok(Next::AtPace)
    }
}
