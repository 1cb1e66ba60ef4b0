//! `GET /sessions`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::session::{SessionFilter, Status};
use gateway_core::store::PlatformStore;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::SessionView;
use crate::http::answer::{Answer, Listed};
use crate::http::extract::ApiQuery;
use crate::http::page::{Page, PageQuery};
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// The filters of a list of sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionQuery {
    /// Only sessions with this status.
    #[serde(default)]
    status: Option<Status>,
}

/// List sessions
///
/// In the order in which they were made.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(SessionQuery, PageQuery),
    responses((status = 200, body = Listed<SessionView>)))]
pub(super) async fn list(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    ApiQuery(which): ApiQuery<SessionQuery>,
    page: Page,
) -> ApiResult<Answer<Vec<SessionView>>> {
    let filter = SessionFilter {
        status: which.status,
        only: caller.only(),
    };
    let after = page.after()?;
    let mut tx = store.read_platform().await?;
    let rows = tx
        .cards(caller.tenant, &filter, after, page.fetch())
        .await?;
    let view = |row| SessionView::of(row, &caller);
    Ok(Answer::page(rows, &page, |row| row.id.to_string(), view))
}
