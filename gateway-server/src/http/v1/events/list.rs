//! `GET /events`

use axum::extract::State;
use gateway_core::event::{Event, EventEnvelope, EventFilter};
use gateway_core::id::SessionId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::answer::{Answer, Listed};
use crate::http::extract::ApiQuery;
use crate::http::page::{Number, Page, PageQuery};
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};
use crate::identity::Caller;

/// The cursor and the filters of a list of events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http::v1) struct After {
    /// `pagination.nextCursor` of the answer before.
    #[serde(default)]
    after: Option<String>,
    /// The same as `after`, as other lists call it.
    #[serde(default)]
    cursor: Option<String>,
    /// How many events to answer: 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Only these types, separated by commas.
    #[serde(default, rename = "type")]
    names: Option<String>,
}

impl After {
    fn page(&self) -> ApiResult<Page> {
        let (name, cursor) = match (&self.after, &self.cursor) {
            (Some(after), Some(cursor)) if after != cursor => {
                let text = "is another one than `cursor`; send one of them";
                return Err(Problem::field("after", text));
            }
            (None, Some(cursor)) => ("cursor", Some(cursor)),
            (after, _) => ("after", after.as_ref()),
        };
        PageQuery::new(self.limit.clone(), cursor.cloned()).page(name)
    }

    fn names(&self) -> ApiResult<Vec<String>> {
        let Some(text) = &self.names else {
            return Ok(Vec::new());
        };
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        match names.iter().find(|name| !Event::NAMES.contains(name)) {
            Some(_) => {
                let known = Event::NAMES.join(", ");
                Err(Problem::field("type", format!("must be among {known}")))
            }
            None => Ok(names.into_iter().map(str::to_owned).collect()),
        }
    }
}

/// List events
///
/// The oldest first. `nextCursor` is always there once anything was read: ask again with it for what has
/// happened since.
#[utoipa::path(get, path = "/events", tag = "events", params(After),
    responses((status = 200, body = Listed<Event>)))]
pub(super) async fn list(
    State(parts): State<ServerParts>,
    caller: Caller,
    ApiQuery(after): ApiQuery<After>,
) -> ApiResult<Answer<Vec<EventEnvelope>>> {
    read(&parts, &caller, caller.only(), &after).await
}

/// Reads a page of the caller's events, of one session or of all.
pub(in crate::http::v1) async fn read(
    parts: &ServerParts,
    caller: &Caller,
    session: Option<SessionId>,
    after: &After,
) -> ApiResult<Answer<Vec<EventEnvelope>>> {
    let page = after.page()?;
    let names = after.names()?;
    let filter = EventFilter { session, names };
    let from = page.after::<Number>()?.map_or(0, |number| number.0);
    let (tenant, limit) = (caller.tenant, page.limit());
    let read = parts.events.page(tenant, &filter, from, limit).await?;
    let newest = read.events.last().map_or(from, |event| event.position);
    let next = (newest > 0).then(|| newest.to_string());
    Ok(Answer::stretch(read.events, &page, next.as_deref()))
}
