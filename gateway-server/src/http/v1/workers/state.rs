//! `GET` and `PUT /workers/{id}/sessions/{sid}/state`, `POST …/state/journal`
//!
//! Opaque bytes, only for the session's owner at its present epoch. The row is asked first, so that a
//! former owner learns the epoch; what makes a late write fail is the state store's own seal.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gateway_core::id::{Epoch, InvalidId, SessionId, WorkerId};
use gateway_core::protocol::state::{
    EPOCH_HEADER, SNAPSHOT_SEQ_HEADER, STATE_MEDIA_TYPE, STATE_SEQ_HEADER, decode_entries,
    encode_state,
};
use gateway_core::state::StateStore;
use gateway_core::store::PlatformStore;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::own::{OwnWorker, holds, number};
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiPath, Octets};
use crate::http::problem::{ApiResult, Problem};

/// A session that the calling run of a worker holds at the epoch it names.
pub(super) struct HeldSession {
    session: SessionId,
    epoch: Epoch,
}

impl<S> FromRequestParts<S> for HeldSession
where
    Arc<dyn PlatformStore>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let OwnWorker(owner) = OwnWorker::from_request_parts(parts, state).await?;
        let segments = ApiPath::<(String, String)>::from_request_parts(parts, state).await?;
        let ApiPath((_, session)) = segments;
        let session: Result<SessionId, InvalidId> = session.parse();
        let session = session.map_err(|error| Problem::field("sid", error.to_string()))?;
        let epoch = Epoch(number(&parts.headers, EPOCH_HEADER)?);
        holds(
            &*Arc::<dyn PlatformStore>::from_ref(state),
            &owner,
            session,
            epoch,
        )
        .await?;
        Ok(Self { session, epoch })
    }
}

/// The newest sequence of a session's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StateSequence)]
pub(super) struct Sequence {
    seq: u64,
}

/// Read a session's state
///
/// Seals it to the epoch first: from then on no former owner can write. The body is frames: 8 bytes of
/// length, 8 of sequence (big-endian), the bytes; first the snapshot, then the journal.
#[utoipa::path(get, path = "/workers/{id}/sessions/{sid}/state", tag = "workers",
    extensions(("x-problems" = json!(["stale_epoch", "unknown_session"]))),
    params(
        ("id" = WorkerId, Path, description = "The worker's own id"),
        ("sid" = SessionId, Path, description = "The session's id"),
        ("X-Epoch" = u64, Header, description = "The session's epoch"),
    ),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream",
        headers(("x-epoch" = u64), ("x-state-seq" = u64), ("x-snapshot-seq" = u64)))))]
pub(super) async fn read(
    State(states): State<Arc<dyn StateStore>>,
    held: HeldSession,
) -> ApiResult<Response> {
    let state = states.seal(held.session, held.epoch).await?;
    let snapshot_seq = state.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let mut response = encode_state(&state).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(STATE_MEDIA_TYPE),
    );
    for (name, value) in [
        (EPOCH_HEADER, state.version.epoch.0),
        (STATE_SEQ_HEADER, state.version.seq),
        (SNAPSHOT_SEQ_HEADER, snapshot_seq),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    Ok(response)
}

/// Replace a session's snapshot
///
/// It contains everything up to `X-State-Seq`, which must be the newest sequence, and takes the next one.
/// Answered when it is durable.
#[utoipa::path(put, path = "/workers/{id}/sessions/{sid}/state", tag = "workers",
    extensions(("x-problems" = json!(["stale_epoch", "seq_conflict", "unknown_session"]))),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(
        ("id" = WorkerId, Path, description = "The worker's own id"),
        ("sid" = SessionId, Path, description = "The session's id"),
        ("X-Epoch" = u64, Header, description = "The session's epoch"),
        ("X-State-Seq" = u64, Header, description = "The newest sequence"),
    ),
    responses((status = 200, body = Envelope<Sequence>)))]
pub(super) async fn replace(
    State(states): State<Arc<dyn StateStore>>,
    held: HeldSession,
    headers: HeaderMap,
    Octets(body): Octets,
) -> ApiResult<Answer<Sequence>> {
    let after = number(&headers, STATE_SEQ_HEADER)?;
    let seq = states
        .put_snapshot(held.session, held.epoch, after, &body)
        .await?;
    Ok(Answer::ok(Sequence { seq }))
}

/// Append to a session's journal
///
/// Frames of 4 bytes of length (big-endian) and the bytes, all or none, at most 1,000 of 256 KiB each. They take the sequences after
/// `X-State-Seq`, which must be the newest one. Answered when they are durable.
#[utoipa::path(post, path = "/workers/{id}/sessions/{sid}/state/journal", tag = "workers",
    extensions(("x-problems" = json!(["stale_epoch", "seq_conflict", "unknown_session"]))),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(
        ("id" = WorkerId, Path, description = "The worker's own id"),
        ("sid" = SessionId, Path, description = "The session's id"),
        ("X-Epoch" = u64, Header, description = "The session's epoch"),
        ("X-State-Seq" = u64, Header, description = "The newest sequence"),
    ),
    responses((status = 200, body = Envelope<Sequence>)))]
pub(super) async fn append(
    State(states): State<Arc<dyn StateStore>>,
    held: HeldSession,
    headers: HeaderMap,
    Octets(body): Octets,
) -> ApiResult<Answer<Sequence>> {
    let after = number(&headers, STATE_SEQ_HEADER)?;
    let entries = entries(&body)?;
    let seq = states
        .append(held.session, held.epoch, after, &entries)
        .await?;
    Ok(Answer::ok(Sequence { seq }))
}

fn entries(body: &Bytes) -> ApiResult<Vec<Vec<u8>>> {
    decode_entries(body).map_err(|error| Problem::field("body", error.to_string()))
}
