//! `GET /admin/audit`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::audit::{AuditEntry, AuditFilter};
use gateway_core::id::{AuditId, TenantId};
use gateway_core::store::PlatformStore;
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::AuditEntryView;
use crate::http::answer::{Answer, Listed};
use crate::http::extract::ApiQuery;
use crate::http::page::{Page, PageQuery};
use crate::http::problem::ApiResult;

/// The filters of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct AuditQuery {
    /// Only what is about this tenant.
    #[serde(default)]
    tenant_id: Option<TenantId>,
    /// Only this action, such as `api_key.revoked`.
    #[serde(default)]
    action: Option<String>,
    /// Only from this time on, to the millisecond.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Only before this time, to the millisecond.
    #[serde(default)]
    until: Option<Timestamp>,
}

impl From<AuditQuery> for AuditFilter {
    fn from(query: AuditQuery) -> Self {
        Self {
            tenant: query.tenant_id,
            action: query.action,
            since: query.since,
            until: query.until,
        }
    }
}

/// List the audit log
///
/// Every change of a credential, every action of an operator and every registration of a worker, the newest
/// first. Entries of other releases may have actions, kinds and fields that this document does not name.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", params(AuditQuery, PageQuery),
    responses((status = 200, body = Listed<AuditEntryView>)))]
pub(super) async fn list(
    State(store): State<Arc<dyn PlatformStore>>,
    ApiQuery(which): ApiQuery<AuditQuery>,
    page: Page,
) -> ApiResult<Answer<Vec<AuditEntryView>>> {
    let before: Option<AuditId> = page.after()?;
    let mut tx = store.read_platform().await?;
    let rows = tx.audit(&which.into(), before, page.fetch()).await?;
    let key = |entry: &AuditEntry| entry.id.to_string();
    Ok(Answer::page(rows, &page, key, AuditEntryView::from))
}
