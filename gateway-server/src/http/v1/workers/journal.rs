//! `POST /workers/{id}/state/journal`: the journals of several sessions in one call.
//!
//! A worker with many busy sessions would otherwise make a call for each. What becomes of one session's entries
//! says nothing of the others'; only a store that is away fails the whole, and all of it is sent again.

use std::sync::Arc;

use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt, stream};
use gateway_core::id::{SessionId, WorkerId};
use gateway_core::protocol::state::{JournalAnswer, JournalGroup, JournalResult, decode_groups};
use gateway_core::session::Owner;
use gateway_core::state::StateStore;
use gateway_core::store::PlatformStore;

use super::batch::check_size;
use super::own::{OwnWorker, holds};
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::Octets;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::telemetry::ErrorChain;

/// How many sessions are written at once.
const AT_ONCE: usize = 8;

/// Append to the journals of several sessions
///
/// For each session 16 bytes of id (the bits of `ses_…`), 8 of epoch, 8 of the sequence that its entries follow, 4 of
/// their number (all big-endian), then each entry as 4 bytes of length and the bytes. The results are in the same order;
/// each is what the call for that session alone would have answered. Without a session it shows whether state can be
/// stored at this moment.
#[utoipa::path(post, path = "/workers/{id}/state/journal", tag = "workers",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<JournalAnswer>)))]
pub(super) async fn append(
    State(states): State<Arc<dyn StateStore>>,
    State(store): State<Arc<dyn PlatformStore>>,
    OwnWorker(owner): OwnWorker,
    Octets(body): Octets,
) -> ApiResult<Answer<JournalAnswer>> {
    let groups = decode_groups(&body);
    let groups = groups.map_err(|error| Problem::field("body", error.to_string()))?;
    check_size("body", groups.len())?;
    if groups.is_empty() {
        states.probe().await?;
    }
    let (states, store, owner) = (&*states, &*store, &owner);
    let write = |group: JournalGroup| async move {
        let session = group.session;
        match written(states, store, owner, group).await {
            Err(problem) if problem.kind() == Kind::ConnectivityError => Err(problem),
            outcome => Ok(result(session, outcome)),
        }
    };
    let results = stream::iter(groups).map(write).buffered(AT_ONCE);
    let results = results.try_collect().await?;
    Ok(Answer::ok(JournalAnswer { results }))
}

async fn written(
    states: &dyn StateStore,
    store: &dyn PlatformStore,
    owner: &Owner,
    group: JournalGroup,
) -> ApiResult<u64> {
    let JournalGroup {
        session,
        epoch,
        after,
        entries,
    } = group;
    holds(store, owner, session, epoch).await?;
    Ok(states.append(session, epoch, after, &entries).await?)
}

fn result(session_id: SessionId, outcome: ApiResult<u64>) -> JournalResult {
    let (seq, problem) = match outcome {
        Ok(seq) => (Some(seq), None),
        Err(problem) => (None, Some(problem)),
    };
    if let Some(problem) = problem
        .as_ref()
        .filter(|problem| problem.kind() == Kind::InternalError)
    {
        let cause = ErrorChain(problem);
        tracing::error!(session.id = %session_id, %cause, "the journal of a session cannot be written");
    }
    let current = |problem: &Problem| problem.value("current")?.as_u64();
    JournalResult {
        session_id,
        seq,
        current: problem.as_ref().and_then(current),
        kind: problem
            .as_ref()
            .map(|problem| problem.kind().slug().to_owned()),
        error: problem.as_ref().map(ToString::to_string),
    }
}
