//! Tenants: the customers who own sessions, keys and usage.

pub mod quota;
mod repo;
mod tier;

use serde::{Deserialize, Serialize};

pub use repo::{Drawn, QuotaRepo, TenantRepo};
pub use tier::{Tier, TierName};

use crate::id::TenantId;
use crate::time::Timestamp;

/// Whether the credentials of a tenant are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TenantStatus {
    /// Its credentials are accepted.
    Active,
    /// Every credential of it is refused.
    Suspended,
}

impl TenantStatus {
    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
        }
    }

    /// Returns the status of that name, as [`TenantStatus::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// The row of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// The name that the tenant has given itself.
    pub name: String,
    pub tier: TierName,
    pub status: TenantStatus,
    /// Grows with every write.
    pub version: u64,
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}
