//! How many sessions there are of each kind, for operators.
//!
//! All of it is read from indexes that are there for other statements, so a look reads no row and no write pays for it.

use gateway_core::session::Status;
use gateway_core::store::StoreError;

use super::SqlStore;
use super::types::Count;
use crate::telemetry::census_metrics::SessionCensus;

const BY_STATUS: &str = "SELECT status, count(*) FROM sessions GROUP BY status";

const HELD: &str =
    "SELECT phase, count(*) FROM sessions WHERE worker_id IS NOT NULL GROUP BY phase";

const WAITING: &str = "SELECT count(*) FROM sessions WHERE phase = 'WAITING'";

impl SqlStore {
    /// Counts all sessions. Statuses and phases may be of two moments; what a newer release calls otherwise is
    /// left out.
    ///
    /// # Errors
    /// The store fails.
    pub async fn count_sessions(&self) -> Result<SessionCensus, StoreError> {
        let mut read = self.pool.read().await?;
        let by_status: Vec<(String, Count)> = read.query(BY_STATUS).all().await?;
        let mut by_phase: Vec<(String, Count)> = read.query(HELD).all().await?;
        let (waiting,) = read.query(WAITING).one().await?;
        by_phase.push(("WAITING".to_owned(), waiting));
        Ok(SessionCensus {
            by_status: Status::ALL.map(|status| number(&by_status, status.name())),
            by_phase: SessionCensus::PHASES.map(|phase| number(&by_phase, phase)),
        })
    }
}

fn number(counts: &[(String, Count)], name: &str) -> u64 {
    let found = counts.iter().find(|(known, _)| known == name);
    found.map_or(0, |(_, count)| count.0)
}
