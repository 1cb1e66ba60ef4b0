//! `POST /sessions`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::id::SessionName;
use gateway_core::orchestrator::{NewCard, Orchestrator};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::view::{SessionView, few_pairs, typed};
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, one_line};
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::Caller;

/// A session to be made.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateSession {
    /// Unique within the tenant; normalised to lower case and hyphens. Without it, one is made of
    /// `displayName`, with a number at its end if that is taken.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 255))]
    name: Option<String>,
    /// How people write its name; `name` as it was sent, if absent.
    #[serde(default)]
    #[garde(inner(length(chars, max = 255), custom(one_line)))]
    display_name: Option<String>,
    /// A description for people.
    #[serde(default)]
    #[garde(length(chars, max = 1000))]
    description: Option<String>,
    /// Free pairs, repeated in every event.
    #[serde(default)]
    #[garde(custom(few_pairs))]
    metadata: BTreeMap<String, Value>,
}

/// Make a session
///
/// It is `DISCONNECTED` and on no worker until it is connected.
#[utoipa::path(post, path = "/sessions", tag = "sessions",
    extensions(("x-problems" = json!(["duplicate", "limit_exceeded"]))),
    request_body = CreateSession,
    responses((status = 201, body = Envelope<SessionView>)))]
pub(super) async fn create(
    State(orchestrator): State<Arc<Orchestrator>>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateSession>,
) -> ApiResult<Answer<SessionView>> {
    if body.name.is_none() && body.display_name.is_none() {
        return Err(Problem::field("name", "is required, or displayName"));
    }
    if caller.only().is_some() {
        let text = "this key is restricted to one session; use one without a restriction";
        return Err(Problem::new(Kind::Forbidden, text));
    }
    let name = body.name.as_deref().map(SessionName::parse).transpose();
    let card = NewCard {
        tenant: caller.tenant,
        name: name.map_err(|error| Problem::field("name", error.to_string()))?,
        display_name: typed(body.display_name.or(body.name)),
        description: body.description,
        metadata: body.metadata,
        limit: Some(caller.tier.sessions),
    };
    let session = orchestrator.create(card).await?;
    Ok(Answer::created(SessionView::of(session, &caller)))
}
