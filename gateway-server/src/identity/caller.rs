//! Whom a valid credential belongs to.
//!
//! All of these come from a credential and from the store, never from the rest of a request, so whatever is
//! read or written with them stays within one tenant, one login or one run of a worker.

use std::ops::Deref;
use std::sync::Arc;

use gateway_core::id::{SessionId, TenantId, TokenFamilyId, UserId};
use gateway_core::identity::Principal;
use gateway_core::orchestrator::Join;
use gateway_core::session::Owner;
use gateway_core::tenant::Tier;
use gateway_core::user::Role;

/// A tenant's user or program. Clones share what is known of it.
#[derive(Clone, Debug)]
pub struct Caller(Arc<CallerFacts>);

/// What is known of a tenant's user or program.
#[derive(Debug)]
pub struct CallerFacts {
    /// The tenant whose data may be read and written.
    pub tenant: TenantId,
    pub tier: Tier,
    /// The user or API key.
    pub principal: Principal,
}

impl From<CallerFacts> for Caller {
    fn from(facts: CallerFacts) -> Self {
        Self(Arc::new(facts))
    }
}

impl Deref for Caller {
    type Target = CallerFacts;

    fn deref(&self) -> &CallerFacts {
        &self.0
    }
}

/// A logged-in user.
#[derive(Clone, Debug)]
pub struct Person {
    pub tenant: TenantId,
    pub user: UserId,
    /// What the user may do, as the store says; the role in the access token is not looked at.
    pub role: Role,
    /// The login that the access token belongs to.
    pub family: TokenFamilyId,
}

/// The run of a worker whose token was shown. Its incarnation is the worker's present one.
#[derive(Clone, Debug)]
pub struct WorkerCaller(pub Owner);

/// What a worker that registers has proved. The row of the worker says which one a one-time token is for.
#[derive(Clone, Copy, Debug)]
pub struct Joiner(pub Join);

/// The credential is restricted to another session: to its holder, this session does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential is restricted to another session")]
pub struct OtherSession;

impl Caller {
    /// Returns the only session that the credential may touch, if it is restricted to one.
    #[must_use]
    pub fn only(&self) -> Option<SessionId> {
        match &self.principal {
            Principal::Key { session, .. } => *session,
            Principal::User { .. } | Principal::Worker(_) => None,
        }
    }

    /// Returns whether the caller is an operator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match self.principal {
            Principal::User { role, .. } => role == Role::Admin,
            Principal::Key { .. } | Principal::Worker(_) => false,
        }
    }

    /// Checks that the credential may touch `session`, which belongs to its tenant.
    ///
    /// # Errors
    /// The credential is restricted to another session.
    pub fn may_touch(&self, session: SessionId) -> Result<(), OtherSession> {
        match self.only() {
            Some(only) if only != session => Err(OtherSession),
            Some(_) | None => Ok(()),
        }
    }
}
