//! Rows of the audit log. They are added and read, never changed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::audit::{AuditEntry, AuditFilter, AuditReader, AuditRepo, FieldChange};
use gateway_core::id::{AuditId, TenantId};
use gateway_core::store::StoreError;
use sqlx::FromRow;
use sqlx::types::Json;

use super::tx::Tx;
use super::types::{Count, Id, Time};

macro_rules! columns {
    () => {
        "id, at, tenant_id, actor_kind, actor_id, address, request_id, action, object_kind, \
         object_id, changes"
    };
}

const APPEND: &str = concat!(
    "INSERT INTO audit (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
);

macro_rules! page {
    ($which:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM audit WHERE ",
            $which,
            "id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        )
    };
}

const ALL: &str = page!("");
const OF_TENANT: &str = page!("tenant_id = $4 AND ");
const OF_ACTION: &str = page!("action = $4 AND ");
const OF_BOTH: &str = page!("tenant_id = $4 AND action = $5 AND ");

#[derive(FromRow)]
struct AuditRow {
    id: Id,
    at: Time,
    tenant_id: Option<Id>,
    actor_kind: String,
    actor_id: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    action: String,
    object_kind: String,
    object_id: String,
    changes: Json<BTreeMap<String, FieldChange>>,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            id: AuditId::from_u128(row.id.0),
            at: row.at.0,
            tenant: row.tenant_id.map(|id| TenantId::from_u128(id.0)),
            actor_kind: row.actor_kind.into(),
            actor_id: row.actor_id,
            address: row.address,
            request_id: row.request_id,
            action: row.action.into(),
            object_kind: row.object_kind.into(),
            object_id: row.object_id,
            changes: row.changes.0,
        }
    }
}

#[async_trait]
impl AuditRepo for Tx {
    async fn append_audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.query(APPEND)
            .bind(Id(entry.id.as_u128()))
            .bind(Time(entry.at))
            .bind(entry.tenant.map(|id| Id(id.as_u128())))
            .bind(&*entry.actor_kind)
            .bind(entry.actor_id.as_deref())
            .bind(entry.address.as_deref())
            .bind(entry.request_id.as_deref())
            .bind(&*entry.action)
            .bind(&*entry.object_kind)
            .bind(entry.object_id.as_str())
            .bind(Json(&entry.changes))
            .execute()
            .await
            .map(drop)
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
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }
}
