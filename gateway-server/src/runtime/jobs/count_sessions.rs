//! Counts the sessions for the metrics, so that no scrape has to.
//!
//! Every replica counts and shows all of them: an alert takes the maximum, and needs to know no leader.

use std::time::Duration;

use super::frame::{Job, JobError, Next, Pace};
use crate::store::sql::SqlStore;
use crate::telemetry::census_metrics::CensusMetrics;

#[derive(Debug)]
pub(crate) struct CountSessions {
    pub(crate) store: SqlStore,
    pub(crate) metrics: CensusMetrics,
}

impl Job for CountSessions {
    const NAME: &'static str = "count_sessions";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(15))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        self.metrics.sessions(&self.store.count_sessions().await?);
        Ok(Next::AtPace)
    }
}
