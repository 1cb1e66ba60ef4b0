//! Who is asking, for handlers.
//!
//! The guard of the route puts these into the request; a handler that asks for one which its route's
//! access class does not give is a defect and answers 500.

use axum::extract::FromRequestParts;
use gateway_core::id::{SessionId, TenantId, TokenFamilyId, UserId};
use gateway_core::identity::Principal;
use gateway_core::session::{Owner, Session, SessionRef};
use gateway_core::store::PlatformTx;
use gateway_core::tenant::Tier;
use gateway_core::user::Role;
use http::request::Parts;

use crate::app::App;
use crate::http::extract::ApiPath;
use crate::http::problem::{ApiResult, Problem};

/// A tenant's user or program.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose data it may touch. It comes from the credential, never from the request.
    pub tenant: TenantId,
    /// The tenant's plan.
    pub tier: Tier,
    /// Who exactly.
    pub principal: Principal,
}

/// A logged-in user.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their tenant.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    /// What they may do, by the store.
    pub role: Role,
    /// The login that the access token belongs to.
    pub family: TokenFamilyId,
}

/// The run of a worker whose token was shown. Its incarnation is the worker's present one.
#[derive(Clone, Debug)]
pub struct WorkerCaller(pub Owner);

/// What a worker registers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joiner {
    /// The fleet's bootstrap token.
    Fleet,
    /// The SHA-256 of a one-time token; whose it is, the row of the worker says.
    Ticket([u8; 32]),
}

impl Caller {
    /// The only session that the credential may touch, if it is restricted.
    #[must_use]
    pub fn only(&self) -> Option<SessionId> {
        match &self.principal {
            Principal::Key { session, .. } => *session,
            Principal::User { .. } | Principal::Worker(_) => None,
        }
    }

    /// Whether it is an operator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match self.principal {
            Principal::User { role, .. } => role == Role::Admin,
            Principal::Key { .. } | Principal::Worker(_) => false,
        }
    }

    /// Whether it may touch `session`, which is of its tenant.
    ///
    /// # Errors
    /// It is restricted to another one, which looks as if there were none.
    pub fn may_touch(&self, session: SessionId) -> ApiResult<()> {
        match self.only() {
            Some(only) if only != session => Err(Problem::not_found("session")),
            Some(_) | None => Ok(()),
        }
    }

    /// The tenant's session that `reference` names.
    ///
    /// # Errors
    /// There is none, or the credential is restricted to another one.
    pub async fn session(
        &self,
        tx: &mut dyn PlatformTx,
        reference: &SessionRef,
    ) -> ApiResult<Session> {
        let card = tx.card(self.tenant, reference).await?;
        let session = card.ok_or_else(|| Problem::not_found("session"))?;
        self.may_touch(session.id)?;
        Ok(session)
    }

    async fn permit(&self, app: &App, reference: &SessionRef) -> ApiResult<()> {
        match (self.only(), reference) {
            (None, _) => Ok(()),
            (Some(_), SessionRef::Id(id)) => self.may_touch(*id),
            (Some(_), SessionRef::Name(_)) => {
                let mut tx = app.store.read().await?;
                self.session(&mut *tx, reference).await.map(|_| ())
            }
        }
    }
}

/// The session that the path names (its first parameter): well formed, and one that the credential may
/// touch. Whether the tenant has it is for the handler's own look-up to say.
///
/// Every route that acts on one session takes it, so that the restriction of keys holds everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSession(pub SessionRef);

impl FromRequestParts<App> for OwnSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let segments = ApiPath::<Vec<(String, String)>>::from_request_parts(parts, app).await?;
        let Some((name, text)) = segments.0.into_iter().next() else {
            return Err(Problem::internal("the route has no session in its path"));
        };
        let reference =
            SessionRef::parse(&text).map_err(|error| Problem::field(name, error.to_string()))?;
        caller.permit(app, &reference).await?;
        Ok(Self(reference))
    }
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
