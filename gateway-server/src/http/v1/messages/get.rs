//! `GET /messages/{id}`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::MessageId;
use gateway_core::store::PlatformStore;

use super::view::MessageView;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::ApiPath;
use crate::http::problem::{ApiResult, Problem};
use crate::identity::Caller;

/// Read a message
#[utoipa::path(get, path = "/messages/{id}", tag = "messages",
    params(("id" = MessageId, Path, description = "The message's id")),
    responses((status = 200, body = Envelope<MessageView>)))]
pub(super) async fn get(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Answer<MessageView>> {
    let id = id.parse::<MessageId>();
    let id = id.map_err(|error| Problem::field("id", error.to_string()))?;
    let mut tx = store.read_platform().await?;
    let message = tx.message(caller.tenant, id).await?;
    let message = message.filter(|message| caller.may_touch(message.session).is_ok());
    let message = message.ok_or_else(|| Problem::not_found("message"))?;
    Ok(Answer::ok(MessageView::from(message)))
}
