//! `POST /webhooks/messages`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::message::Intake;
use gateway_core::protocol::{InboundMessage, Reports};

use super::batch::{Received, ReportBatch, take_in};
use super::own::is_self;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::FactJson;
use crate::http::problem::ApiResult;
use crate::identity::WorkerCaller;

/// Report messages that came in
///
/// One or several, any number of times: a message is known by session, chat, sender and id. Acknowledge
/// them to WhatsApp only after the answer. An answer 400, 409, 413 or 422 with the gateway's error `type` to a report
/// that was sent alone, and an entry under `rejected`, are final: acknowledge it, count it and never repeat it.
#[utoipa::path(post, path = "/webhooks/messages", tag = "workers",
    extensions(("x-problems" = json!(["stale_epoch", "unknown_session", "overloaded"]))),
    request_body = Reports<InboundMessage>,
    responses((status = 200, body = Envelope<Received>)))]
pub(super) async fn report(
    State(intake): State<Arc<Intake>>,
    WorkerCaller(owner): WorkerCaller,
    FactJson(batch): FactJson<ReportBatch<InboundMessage>>,
) -> ApiResult<Answer<Received>> {
    let (intake, owner) = (&intake, &owner);
    let take = |report: InboundMessage| async move {
        is_self(owner, report.worker_id.as_deref())?;
        Ok(intake.inbound(owner, report).await)
    };
    Ok(Answer::ok(take_in(batch, take).await?))
}
