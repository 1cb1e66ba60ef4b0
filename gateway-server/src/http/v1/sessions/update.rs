//! `PATCH /sessions/{id}`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::id::SessionName;
use gateway_core::orchestrator::{CardPatch, Orchestrator};
use gateway_core::session::SessionRef;
use gateway_core::store::PlatformStore;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::view::{SessionView, some_few_pairs, typed};
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::extract::{ApiJson, nullable, one_line};
use crate::http::problem::{ApiResult, Problem};
use crate::identity::Caller;

/// What to change; what is absent stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateSession {
    /// The new name.
    #[serde(default)]
    #[garde(length(chars, min = 1, max = 255))]
    name: Option<String>,
    /// How people write its name. If absent, it is a new `name` as it was sent; `null` for the name itself.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    #[garde(inner(inner(length(chars, max = 255), custom(one_line))))]
    display_name: Option<Option<String>>,
    /// The new description; `null` removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    #[garde(inner(length(chars, max = 1000)))]
    description: Option<Option<String>>,
    /// The new metadata, which replaces all pairs.
    #[serde(default)]
    #[garde(custom(some_few_pairs))]
    metadata: Option<BTreeMap<String, Value>>,
}

/// Change a session's name, description or metadata
#[utoipa::path(patch, path = "/sessions/{id}", tag = "sessions",
    extensions(("x-problems" = json!(["duplicate", "conflict"]))),
    request_body = UpdateSession,
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 200, body = Envelope<SessionView>)))]
pub(super) async fn update(
    State(store): State<Arc<dyn PlatformStore>>,
    State(orchestrator): State<Arc<Orchestrator>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    ApiJson(body): ApiJson<UpdateSession>,
) -> ApiResult<Answer<SessionView>> {
    let name = body.name.as_deref().map(SessionName::parse).transpose();
    let renamed = body.name.clone().map(Some);
    let patch = CardPatch {
        name: name.map_err(|error| Problem::field("name", error.to_string()))?,
        display_name: body.display_name.or(renamed).map(typed),
        description: body.description,
        metadata: body.metadata,
    };
    let session = super::card(&*store, &caller, &reference).await?;
    let updated = orchestrator.update(caller.tenant, session.id, &patch);
    Ok(Answer::ok(SessionView::of(updated.await?, &caller)))
}
