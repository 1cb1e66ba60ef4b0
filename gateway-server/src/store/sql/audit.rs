//! Rows of the audit log. They are added and read, never changed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::audit::{
    AuditEntry, AuditFilter, AuditName, AuditReader, AuditRepo, FieldChange,
};
use gateway_core::id::{AuditId, TenantId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::table::table;
use super::text::{Part, sql};
use super::tx::{Sql, Tx};
use super::types::{Count, Id};

table! {
    /// Who did what to whom.
    AUDIT = "audit";
    AuditRow of AuditEntry, named |row| AuditId::from_u128(row.id.0);
    columns {
        id: AuditId = id,
        at: Timestamp = at,
        tenant_id: Option<TenantId> = tenant,
        actor_kind: AuditName = actor_kind,
        actor_id: Option<String> = actor_id,
        address: Option<String> = address,
        request_id: Option<String> = request_id,
        action: AuditName = action,
        object_kind: AuditName = object_kind,
        object_id: String = object_id,
        changes: BTreeMap<String, FieldChange> = changes,
    }
}

const APPEND: Sql =
    sql!["INSERT INTO audit (" {AUDIT.written()} ") VALUES (" {AUDIT.parameters()} ")"];

const ALL: Sql = sql!["SELECT " {AUDIT.columns()} " FROM audit WHERE " {PAGE}];

const OF_TENANT: Sql =
    sql!["SELECT " {AUDIT.columns()} " FROM audit WHERE tenant_id = $4 AND " {PAGE}];

const OF_ACTION: Sql =
    sql!["SELECT " {AUDIT.columns()} " FROM audit WHERE action = $4 AND " {PAGE}];

const OF_BOTH: Sql = sql!["SELECT " {AUDIT.columns()} " FROM audit
    WHERE tenant_id = $4 AND action = $5 AND " {PAGE}];

const PAGE: Part = Part::Text("id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3");

#[async_trait]
impl AuditRepo for Tx {
    async fn append_audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let query = self.query(APPEND).row::<AuditRow>(entry);
        query.execute().await.map(drop)
    }
}

#[async_trait]
impl AuditReader for Tx {
    async fn audit(
        &mut self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (first, end) = filter.span(before);
        let tenant = filter.tenant.map(|id| Id(id.as_u128()));
        let (sql, action) = match (tenant, filter.action.as_deref()) {
            (None, None) => (ALL, None),
            (Some(_), None) => (OF_TENANT, None),
            (None, Some(action)) => (OF_ACTION, Some(action)),
            (Some(_), Some(action)) => (OF_BOTH, Some(action)),
        };
        let mut query = self
            .query(sql)
            .bind(Id(first.as_u128()))
            .bind(Id(end.as_u128()))
            .bind(Count::from(limit));
        if let Some(tenant) = tenant {
            query = query.bind(tenant);
        }
        if let Some(action) = action {
            query = query.bind(action);
        }
        let rows: Vec<AuditRow> = query.all().await?;
        rows.into_iter().map(AuditEntry::try_from).collect()
    }
}
