//! Where the audit log is kept.

use async_trait::async_trait;

use super::AuditEntry;
use crate::id::{AuditId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Writes entries. A store that keeps no audit log may drop them.
#[async_trait]
pub trait AuditRepo: Send {
    /// Appends an entry; it becomes durable together with everything else in this transaction.
    async fn append_audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError>;
}

/// Which entries are wanted; what is absent does not restrict them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub tenant: Option<TenantId>,
    /// The name of one action.
    pub action: Option<String>,
    /// At or after this time, to the millisecond.
    pub since: Option<Timestamp>,
    /// Before this time, to the millisecond.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Returns the span of ids that times and position ask for: the first one, and the one behind the last.
    #[must_use]
    pub fn span(&self, before: Option<AuditId>) -> (AuditId, AuditId) {
        let first = self.since.map_or(AuditId::from_u128(0), AuditId::first_of);
        let until = self.until.map(AuditId::first_of);
        let end = [before, until].into_iter().flatten().min();
        (first, end.unwrap_or(AuditId::from_u128(u128::MAX)))
    }
}

/// Reads entries. Crosses tenants by design: it is for operators.
#[async_trait]
pub trait AuditReader: Send {
    /// Returns the entries that `filter` asks for with an id below `before`, the newest first, at most
    /// `limit`.
    async fn audit(
        &mut self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError>;
}
