//! `GET /messages`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::session::SessionRef;
use gateway_core::store::PlatformStore;
use serde::Deserialize;
use utoipa::IntoParams;

use super::list::{MessageQuery, read};
use super::view::MessageView;
use crate::http::answer::{Answer, Listed};
use crate::http::extract::ApiQuery;
use crate::http::page::{Page, PageQuery};
use crate::http::problem::{ApiResult, Problem};
use crate::http::v1::sessions::card;
use crate::identity::Caller;

/// The filter of a list of messages by session.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfSession {
    /// Only of this session: id or name.
    #[serde(default)]
    session: Option<String>,
}

/// List messages of all sessions
///
/// What was written last comes first.
#[utoipa::path(get, path = "/messages", tag = "messages",
    extensions(("x-problems" = json!(["not_found"]))), params(OfSession, MessageQuery, PageQuery),
    responses((status = 200, body = Listed<MessageView>)))]
pub(super) async fn list_all(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    ApiQuery(of): ApiQuery<OfSession>,
    ApiQuery(which): ApiQuery<MessageQuery>,
    page: Page,
) -> ApiResult<Answer<Vec<MessageView>>> {
    let session = match &of.session {
        None => caller.only(),
        Some(text) => {
            let reference = SessionRef::parse(text);
            let reference =
                reference.map_err(|error| Problem::field("session", error.to_string()))?;
            Some(card(&*store, &caller, &reference).await?.id)
        }
    };
    read(&*store, &caller, &which.filter(session)?, &page).await
}
