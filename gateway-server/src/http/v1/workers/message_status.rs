//! `POST /webhooks/message-status`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::message::Intake;
use gateway_core::protocol::{MessageReport, Reports};

use super::batch::{Received, ReportBatch, take_in};
use super::own::is_self;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::FactJson;
use crate::http::problem::ApiResult;
use crate::identity::WorkerCaller;

/// Report what became of messages that were sent
///
/// One or several, in any order, any number of times. A report names the run that made it, which may have
/// ended since. A message that was sent through the gateway is named by both of its ids, one that was written on the
/// phone by `fromMe`, `chat` and its id at WhatsApp. What is about no message of the gateway is dropped.
#[utoipa::path(post, path = "/webhooks/message-status", tag = "workers",
    extensions(("x-problems" = json!(["stale_epoch", "unknown_session", "overloaded"]))),
    request_body = Reports<MessageReport>,
    responses((status = 200, body = Envelope<Received>)))]
pub(super) async fn report(
    State(intake): State<Arc<Intake>>,
    WorkerCaller(owner): WorkerCaller,
    FactJson(batch): FactJson<ReportBatch<MessageReport>>,
) -> ApiResult<Answer<Received>> {
    let (intake, owner) = (&intake, &owner);
    let take = |report: MessageReport| async move {
        is_self(owner, report.worker_id.as_deref())?;
        Ok(intake.status(owner, &report).await)
    };
    Ok(Answer::ok(take_in(batch, take).await?))
}
