//! Forgetting what has grown old.
//!
//! Every kind of row that only ever accumulates has an age after which nobody needs it. A *round* goes over
//! all kinds; it is done in small steps, each a short transaction of a bounded number of rows, so that
//! forgetting a year of history never holds a lock that somebody waits for. One replica does it at a time
//! and each step checks that its term is not over.
//!
//! Messages are kept as long as their tenant's plan says, counted from when the gateway took them
//! (`history_days`); everything else has one age for all. What still runs (a lease that is held, a placement
//! that has not ended, a login that may be refreshed) has no age.

mod repo;
mod sweep;

pub use repo::{AgedRows, RetentionRepo};
pub use sweep::{Retention, SweepError, SweepStep};

use std::time::Duration;

use crate::change::REMEMBERED;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long what is kept, and how many rows one step deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    pub events: Duration,
    /// Credentials of accounts that are no longer linked, after they were archived.
    pub archived_credentials: Duration,
    /// Refresh tokens and logins, after their end.
    pub refresh_tokens: Duration,
    pub audit: Duration,
    /// Counts of requests per tenant and hour.
    pub quota_hours: Duration,
    /// Leases, after their incarnation was fenced.
    pub leases: Duration,
    /// Placements, after their end.
    pub placements: Duration,
    /// Notes of deleted rows; at least [`REMEMBERED`].
    pub deletions: Duration,
    /// The most rows that one step forgets.
    pub batch: u32,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self {
            events: 14 * DAY,
            archived_credentials: 30 * DAY,
            refresh_tokens: DAY,
            audit: 400 * DAY,
            quota_hours: 7 * DAY,
            leases: 7 * DAY,
            placements: 90 * DAY,
            deletions: REMEMBERED,
            batch: 1_000,
        }
    }
}

impl RetentionPolicy {
    /// Returns how long rows of this kind are kept.
    #[must_use]
    pub const fn age_of(&self, rows: AgedRows) -> Duration {
        match rows {
            AgedRows::Events => self.events,
            AgedRows::RefreshTokens | AgedRows::Logins => self.refresh_tokens,
            AgedRows::Audit => self.audit,
            AgedRows::QuotaHours => self.quota_hours,
            AgedRows::Leases => self.leases,
            AgedRows::Placements => self.placements,
            AgedRows::Deletions => self.deletions,
        }
    }
}
