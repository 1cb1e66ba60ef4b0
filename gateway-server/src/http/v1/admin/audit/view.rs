//! An entry of the audit log, as operators see it.

use std::collections::BTreeMap;

use gateway_core::audit::{AuditEntry, AuditName, FieldChange};
use gateway_core::id::{AuditId, TenantId};
use gateway_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Who did what to whom, when and from where.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub(super) struct AuditEntryView {
    id: AuditId,
    created_at: Timestamp,
    /// The tenant whose data it is about; `null` for what belongs to the operator.
    tenant_id: Option<TenantId>,
    actor: ActorView,
    /// What was done, such as `api_key.revoked` or `worker.registered`.
    #[schema(value_type = String)]
    action: AuditName,
    object: ObjectView,
    /// The fields that changed, by name.
    changes: BTreeMap<String, ChangeView>,
    /// The id of the request, by which the log has more.
    request_id: Option<String>,
}

/// Who acted, and from where.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorView {
    /// `user`, `key`, `worker`, `operator` (the command line of the server) or `system` (the gateway itself).
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: AuditName,
    /// The id of the user or key; `null` for all others.
    id: Option<String>,
    /// The address that the request came from; `null` if it came over no network.
    address: Option<String>,
}

/// What it was done to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditObject)]
struct ObjectView {
    /// `user`, `login`, `api_key`, `tenant` or `worker`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: AuditName,
    id: String,
}

/// How a field changed. Of a secret neither value is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditChange)]
struct ChangeView {
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        let changes = entry.changes.into_iter();
        Self {
            id: entry.id,
            created_at: entry.at,
            tenant_id: entry.tenant,
            actor: ActorView {
                kind: entry.actor_kind,
                id: entry.actor_id,
                address: entry.address,
            },
            action: entry.action,
            object: ObjectView {
                kind: entry.object_kind,
                id: entry.object_id,
            },
            changes: changes
                .map(|(name, change)| (name, change.into()))
                .collect(),
            request_id: entry.request_id,
        }
    }
}

impl From<FieldChange> for ChangeView {
    fn from(change: FieldChange) -> Self {
        Self {
            before: change.before,
            after: change.after,
        }
    }
}
