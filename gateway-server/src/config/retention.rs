//! `[retention]`: how long what is kept, and how fast it is forgotten.

use std::time::Duration;

use gateway_core::change::REMEMBERED;
use gateway_core::retention::RetentionPolicy;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::duration;

/// How long records that accumulate are kept. Messages are kept as long as their tenant's plan says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The pause between two rounds over all kinds of records.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// The most rows that one step deletes.
    pub batch: u32,
    #[serde(with = "duration")]
    pub events: Duration,
    /// Credentials, after they were archived.
    #[serde(with = "duration")]
    pub archived_credentials: Duration,
    /// Refresh tokens and logins, after their end.
    #[serde(with = "duration")]
    pub refresh_tokens: Duration,
    #[serde(with = "duration")]
    pub audit: Duration,
    #[serde(with = "duration")]
    pub quota_hours: Duration,
    /// Leases, after they were fenced.
    #[serde(with = "duration")]
    pub leases: Duration,
    /// Placements, after their end.
    #[serde(with = "duration")]
    pub placements: Duration,
    /// How long notes of deleted rows are kept, which tell caches to forget.
    #[serde(with = "duration")]
    pub deletions: Duration,
}

impl Retention {
    /// Converts the ages into the core's policy.
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
        let day = Duration::from_secs(86_400);
        let events = (day..=day * 30).contains(&self.events);
        let bounds =
            "must be 1 to 30 days: readers come back within a day, and the log is not an archive";
        Invalid::unless("retention.events", events, bounds)?;
        for (key, age) in [
            ("retention.archived_credentials", self.archived_credentials),
            ("retention.audit", self.audit),
            ("retention.leases", self.leases),
            ("retention.placements", self.placements),
        ] {
            let why = "must be at least a day: it tells what happened after an incident";
            Invalid::unless(key, age >= day, why)?;
        }
        let hour = self.quota_hours >= Duration::from_secs(7_200);
        let too_short = "must be at least two hours: a count is in use until its hour is over";
        Invalid::unless("retention.quota_hours", hour, too_short)?;
        let remembered = self.deletions >= REMEMBERED;
        let too_short = "must be at least an hour: other replicas read these notes";
        Invalid::unless("retention.deletions", remembered, too_short)
    }
}
