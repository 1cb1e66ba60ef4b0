//! `POST /admin/workers`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use gateway_core::entropy::Entropy;
use gateway_core::orchestrator::{AddWorker, Orchestrator, check_labels, parse_worker_id};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::view::WorkerView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::ApiJson;
use crate::http::problem::{ApiResult, Problem};
use crate::identity::JOIN_TOKEN_PREFIX;

/// A slot to be reserved.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReserveWorker {
    /// 1 to 50 characters; normalised to lower case and hyphens.
    #[garde(skip)]
    worker_id: String,
    /// The most sessions it may hold; its own registration replaces it.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 1000))]
    max_sessions: u32,
    /// Labels for placement.
    #[serde(default)]
    #[garde(skip)]
    labels: BTreeMap<String, String>,
}

const fn one() -> u32 {
    1
}

/// The slot, and the token for it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReservedWorker {
    #[serde(flatten)]
    worker: WorkerView,
    /// What the worker registers with, once. It is shown only here.
    join_token: String,
}

/// Reserve a worker id
///
/// The worker is `PENDING` until it registers with the one-time token.
#[utoipa::path(post, path = "/admin/workers", tag = "admin",
    extensions(("x-problems" = json!(["duplicate"]))),
    request_body = ReserveWorker,
    responses((status = 201, body = Envelope<ReservedWorker>)))]
pub(super) async fn add(
    State(orchestrator): State<Arc<Orchestrator>>,
    State(entropy): State<Arc<dyn Entropy>>,
    Acting(actor): Acting,
    ApiJson(body): ApiJson<ReserveWorker>,
) -> ApiResult<Answer<ReservedWorker>> {
    check_labels(&body.labels).map_err(|error| Problem::field("labels", error))?;
    let id = parse_worker_id(&body.worker_id);
    let id = id.map_err(|error| Problem::field("workerId", error))?;
    let join_token = new_join_token(&*entropy);
    let add = AddWorker {
        id,
        max_sessions: body.max_sessions,
        labels: body.labels,
        join_token_hash: Sha256::digest(&join_token).into(),
    };
    let worker = orchestrator.add_worker(&actor, &add).await?.into();
    Ok(Answer::created(ReservedWorker { worker, join_token }))
}

fn new_join_token(entropy: &dyn Entropy) -> String {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    format!("{JOIN_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret))
}
