//! `[retention]`: how long what is kept, and how fast it is forgotten.

use std::time::Duration;

use gateway_core::change::REMEMBERED;
use gateway_core::retention::RetentionPolicy;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::duration;

/// Ages of everything that accumulates. Messages are kept as long as their tenant's plan says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Between two rounds over everything.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Rows that one step deletes at most.
    pub batch: u32,
    /// The event log.
    #[serde(with = "duration")]
    pub events: Duration,
    /// Credentials, after they were archived.
    #[serde(with = "duration")]
    pub archived_credentials: Duration,
    /// Refresh tokens and logins, after their end.
    #[serde(with = "duration")]
    pub refresh_tokens: Duration,
    /// The audit log.
    #[serde(with = "duration")]
    pub audit: Duration,
    /// Counts of requests.
    #[serde(with = "duration")]
    pub quota_hours: Duration,
    /// Leases, after they were fenced.
    #[serde(with = "duration")]
    pub leases: Duration,
    /// Placements, after their end.
    #[serde(with = "duration")]
    pub placements: Duration,
    /// Notes of deleted rows.
    #[serde(with = "duration")]
    pub deletions: Duration,
}

impl Retention {
    /// The ages, as the core takes them.
    #[must_use]
    pub const fn policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            events: self.events,
            archived_credentials: self.archived_credentials,
            refresh_tokens: self.refresh_tokens,
            audit: self.audit,
            quota_hours: self.quota_hours,
            leases: self.leases,
            placements: self.placements,
            deletions: self.deletions,
            batch: self.batch,
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let spans = [("retention.interval", self.interval)];
        Invalid::unless_positive(spans)?;
        Invalid::unless("retention.batch", self.batch > 0, "must be more than 0")?;
        let hour = self.quota_hours >= Duration::from_secs(7_200);
        let too_short = "must be at least two hours: a count is in use until its hour is over";
        Invalid::unless("retention.quota_hours", hour, too_short)?;
        let remembered = self.deletions >= REMEMBERED;
        let too_short = "must be at least an hour: other replicas read these notes";
        Invalid::unless("retention.deletions", remembered, too_short)
    }
}
