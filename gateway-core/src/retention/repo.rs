//! What forgets rows. Crosses tenants by design.

use async_trait::async_trait;

use crate::id::TenantId;
use crate::store::StoreError;
use crate::time::Timestamp;

/// A kind of rows that have one age for all tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgedRows {
    /// Events that were published, by when they happened.
    Events,
    /// Refresh tokens, by when they expire.
    RefreshTokens,
    /// Logins, by when the newest of their refresh tokens expires.
    Logins,
    /// Entries of the audit log, by when they were written.
    Audit,
    /// Counts of requests, by their hour.
    QuotaHours,
    /// Leases that were fenced, by when; not the one of a worker's present incarnation, which says that the
    /// incarnation has ended.
    Leases,
    /// Placements that have ended, by when.
    Placements,
    /// Notes of deleted rows, by when they were deleted.
    Deletions,
}

impl AgedRows {
    /// Every kind, in the order in which a round goes over them.
    pub const ALL: [Self; 8] = [
        Self::Events,
        Self::RefreshTokens,
        Self::Logins,
        Self::Audit,
        Self::QuotaHours,
        Self::Leases,
        Self::Placements,
        Self::Deletions,
    ];

    /// Returns the kind's name, for metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::RefreshTokens => "refresh_tokens",
            Self::Logins => "logins",
            Self::Audit => "audit",
            Self::QuotaHours => "quota_hours",
            Self::Leases => "leases",
            Self::Placements => "placements",
            Self::Deletions => "deletions",
        }
    }
}

/// Deletes rows that have grown old.
#[async_trait]
pub trait RetentionRepo: Send {
    /// Deletes rows of a kind whose time is before `before`, at most `limit` of them. Returns how many it
    /// deleted.
    ///
    /// Older rows go first. Fewer than `limit` means that no more were found.
    async fn delete_aged(
        &mut self,
        rows: AgedRows,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Returns up to `limit` tenants in id order after `after`.
    async fn tenants_after(
        &mut self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError>;

    /// Deletes messages of a tenant that were created before `before`, at most `limit` of them, older ones
    /// first. Returns how many it deleted.
    async fn delete_messages(
        &mut self,
        tenant: TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
