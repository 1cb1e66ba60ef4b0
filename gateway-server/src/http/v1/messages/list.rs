//! `GET /sessions/{id}/messages`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::SessionId;
use gateway_core::message::{ChatId, Direction, InvalidChatId, MessageFilter, MessageStatus};
use gateway_core::session::SessionRef;
use gateway_core::store::PlatformStore;
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{Cursor, MessageView};
use crate::http::answer::{Answer, Listed};
use crate::http::auth::OwnSession;
use crate::http::extract::ApiQuery;
use crate::http::page::{Page, PageQuery};
use crate::http::problem::{ApiResult, Problem};
use crate::http::v1::sessions::card;
use crate::identity::Caller;

/// The filters of a list of messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MessageQuery {
    /// Only of this chat: a number or an id, as in `to` of a send. A person is found by either id.
    #[serde(default)]
    chat: Option<String>,
    /// Only messages of this direction.
    #[serde(default)]
    direction: Option<Direction>,
    /// Only messages with this status.
    #[serde(default)]
    status: Option<MessageStatus>,
    /// Only messages of this type.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Only what was written from this time on.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Only what was written before this time.
    #[serde(default)]
    until: Option<Timestamp>,
}

impl MessageQuery {
    pub(super) fn filter(self, session: Option<SessionId>) -> ApiResult<MessageFilter> {
        let chat = self.chat.as_deref().map(named).transpose();
        let chat = chat.map_err(|error| Problem::field("chat", error.to_string()))?;
        Ok(MessageFilter {
            session,
            chat_id: chat.map(|chat| chat.to_string()),
            direction: self.direction,
            status: self.status,
            kind: self.kind,
            since: self.since,
            until: self.until,
        })
    }
}

/// Returns the chat that a filter names: in any dialect of `to`, or by the id with which it stands in a message.
fn named(text: &str) -> Result<ChatId, InvalidChatId> {
    text.parse()
        .or_else(|error| ChatId::reported(text).ok_or(error))
}

/// List a session's messages
///
/// What was written last comes first.
#[utoipa::path(get, path = "/sessions/{id}/messages", tag = "messages",
    params(("id" = SessionRef, Path, description = "Id or name"), MessageQuery, PageQuery),
    responses((status = 200, body = Listed<MessageView>)))]
pub(super) async fn list(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    ApiQuery(which): ApiQuery<MessageQuery>,
    page: Page,
) -> ApiResult<Answer<Vec<MessageView>>> {
    let session = card(&*store, &caller, &reference).await?;
    let filter = which.filter(Some(session.id))?;
    read(&*store, &caller, &filter, &page).await
}

pub(super) async fn read(
    store: &dyn PlatformStore,
    caller: &Caller,
    filter: &MessageFilter,
    page: &Page,
) -> ApiResult<Answer<Vec<MessageView>>> {
    let after = page.after::<Cursor>()?.map(|cursor| cursor.0);
    let mut tx = store.read_platform().await?;
    let rows = tx
        .messages(caller.tenant, filter, after, page.fetch())
        .await?;
    let key = |row: &_| Cursor::of(row).to_string();
    Ok(Answer::page(rows, page, key, MessageView::from))
}
