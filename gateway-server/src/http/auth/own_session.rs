//! Who is asking, and about which session, for handlers.
//!
//! The guard of the route puts the caller into the request; a handler that asks for one which its route's
//! access class does not give is a defect and answers 500.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use gateway_core::session::{Session, SessionRef};
use gateway_core::store::{PlatformStore, PlatformTx};
use http::request::Parts;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::http::extract::ApiPath;
use crate::http::problem::{ApiResult, Problem};
use crate::identity::{Caller, Joiner, Person, WorkerCaller};

/// The session that the path names (its first parameter): a well-formed reference that the credential may
/// touch. Whether the tenant has such a session is for the handler's own look-up to say.
///
/// Every route that acts on one session takes it, so that the restriction of keys holds everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSession(pub SessionRef);

impl<S> FromRequestParts<S> for OwnSession
where
    Arc<dyn PlatformStore>: FromRef<S>,
    Handle: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let segments = ApiPath::<Vec<(String, String)>>::from_request_parts(parts, state).await?;
        let Some((name, text)) = segments.0.into_iter().next() else {
            return Err(Problem::internal("the route has no session in its path"));
        };
        let reference =
            SessionRef::parse(&text).map_err(|error| Problem::field(name, error.to_string()))?;
        match (caller.only(), &reference) {
            (None, _) => {}
            (Some(_), SessionRef::Id(id)) => caller.may_touch(*id)?,
            (Some(_), SessionRef::Name(_)) => {
                let store = Arc::from_ref(state);
                // The request may be served on a core, where no query is polled.
                let looking = Handle::from_ref(state).spawn(find(store, caller, reference.clone()));
                let found = AbortOnDropHandle::new(looking).await;
                found.map_err(Problem::internal)??;
            }
        }
        Ok(Self(reference))
    }
}

async fn find(
    store: Arc<dyn PlatformStore>,
    caller: Caller,
    reference: SessionRef,
) -> ApiResult<()> {
    let mut tx = store.read_platform().await?;
    session_of(&caller, &mut *tx, &reference).await?;
    Ok(())
}

/// Reads the session of the caller's tenant that `reference` names.
///
/// # Errors
/// 404 if there is none, or if the credential is restricted to another one.
pub(crate) async fn session_of(
    caller: &Caller,
    tx: &mut dyn PlatformTx,
    reference: &SessionRef,
) -> ApiResult<Session> {
    let card = tx.card(caller.tenant, reference).await?;
    let session = card.ok_or_else(|| Problem::not_found("session"))?;
    caller.may_touch(session.id)?;
    Ok(session)
}

macro_rules! from_extensions {
    ($($name:ident)*) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                let found = parts.extensions.get::<Self>().cloned();
                found.ok_or_else(|| {
                    Problem::internal(concat!("the route's access class gives no ", stringify!($name)))
                })
            }
        }
    )*};
}

from_extensions!(Caller Person WorkerCaller Joiner);
