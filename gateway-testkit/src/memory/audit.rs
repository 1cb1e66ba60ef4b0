//! The audit log.

use async_trait::async_trait;
use gateway_core::audit::{AuditEntry, AuditFilter, AuditReader, AuditRepo};
use gateway_core::id::AuditId;
use gateway_core::store::{StoreError, Unique};

use super::tx::MemoryTx;

#[async_trait]
impl AuditRepo for MemoryTx {
    async fn append_audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.run(|world, me| {
            let row = entry.clone();
            world.audit.insert(me, &entry.id, row, Unique::AuditId)
        })
        .await
    }
}

#[async_trait]
impl AuditReader for MemoryTx {
    async fn audit(
        &mut self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (first, end) = filter.span(before);
        self.run(|world, me| {
            let wanted = |entry: &&AuditEntry| {
                (first..end).contains(&entry.id)
                    && (filter.tenant.is_none() || entry.tenant == filter.tenant)
                    && filter
                        .action
                        .as_ref()
                        .is_none_or(|name| entry.action == *name)
            };
            let rows = world.audit.rows(me).map(|(_, row)| row).filter(wanted);
            let mut newest_first: Vec<AuditEntry> = rows.cloned().collect();
            newest_first.reverse();
            newest_first.truncate(limit as usize);
            Ok(newest_first)
        })
        .await
    }
}
