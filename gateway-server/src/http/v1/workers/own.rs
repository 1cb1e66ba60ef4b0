//! A worker speaks only for itself.

use axum::extract::FromRequestParts;
use gateway_core::id::{Epoch, SessionId, WorkerId};
use gateway_core::session::Owner;
use gateway_core::store::PlatformStore;
use http::HeaderMap;
use http::request::Parts;

use crate::http::extract::ApiPath;
use crate::http::note_session;
use crate::http::page::{InvalidNumber, Number};
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::WorkerCaller;

/// The run of the worker that the path names, which is the one that calls.
#[derive(Clone, Debug)]
pub(super) struct OwnWorker(pub(super) Owner);

impl<S: Send + Sync> FromRequestParts<S> for OwnWorker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let WorkerCaller(owner) = WorkerCaller::from_request_parts(parts, state).await?;
        let segments = ApiPath::<Vec<(String, String)>>::from_request_parts(parts, state).await?;
        let named = segments
            .0
            .first()
            .and_then(|(_, text)| WorkerId::parse(text).ok());
        if named.as_ref() != Some(&owner.worker) {
            return Err(Problem::not_found("worker"));
        }
        Ok(Self(owner))
    }
}

/// Refuses a body that names another worker or run than the token.
///
/// # Errors
/// 409 `wrong_incarnation` for another run, a field error for another worker.
pub(super) fn same(
    owner: &Owner,
    worker: Option<&str>,
    incarnation: Option<&str>,
) -> ApiResult<()> {
    is_self(owner, worker)?;
    if incarnation.is_some_and(|named| named != owner.incarnation.as_str()) {
        let text = "the incarnation in the body is not the one of the token";
        let problem = Problem::new(Kind::WrongIncarnation, text);
        return Err(problem.with("current", owner.incarnation.as_str()));
    }
    Ok(())
}

/// Refuses a body that names another worker than the token.
///
/// # Errors
/// A field error.
pub(super) fn is_self(owner: &Owner, worker: Option<&str>) -> ApiResult<()> {
    let Some(named) = worker else { return Ok(()) };
    match WorkerId::parse(named) {
        Ok(id) if id == owner.worker => Ok(()),
        Ok(_) | Err(_) => Err(Problem::field(
            "workerId",
            "must be the worker of the token",
        )),
    }
}

/// Reads a number in a header.
///
/// # Errors
/// A field error if the header is missing or no number.
pub(super) fn number(headers: &HeaderMap, name: &'static str) -> ApiResult<u64> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let value = value.and_then(|text| text.trim().parse::<Number>().ok());
    let number = value.ok_or_else(|| Problem::field(name, InvalidNumber.to_string()))?;
    Ok(number.0)
}

/// Checks that this run of the worker holds the session at this epoch.
///
/// # Errors
/// A [`Problem`] if there is no such session, or if it is at another epoch or somebody else's.
pub(super) async fn holds(
    store: &dyn PlatformStore,
    owner: &Owner,
    session: SessionId,
    epoch: Epoch,
) -> ApiResult<()> {
    note_session(session);
    let mut tx = store.read_platform().await?;
    let row = tx.session(session).await?;
    let row = row.ok_or_else(|| Problem::new(Kind::UnknownSession, "no such session; stop it"))?;
    if row.owner() == Some(owner) && row.epoch == epoch {
        return Ok(());
    }
    let text = format!("this worker does not hold the session at epoch {epoch}");
    Err(Problem::new(Kind::StaleEpoch, text).with("current", row.epoch.0))
}
