//! Accounts: tenants, the people and API keys that act for them, and their logins.
//!
//! Every operation is one transaction that also writes its entry of the audit log, takes an
//! [`Actor`] (or, where nobody is known yet, an
//! [`Origin`](crate::identity::Origin)) and returns [`Committed`]: its value together with what caches
//! must forget. An operation that ends a credential first writes the row that granting one locks or
//! compares (the login, the user, the tenant, the key itself), so that it also ends what is being granted
//! at the same moment; and a person whose login has ended is granted nothing more. Transactions that take
//! several of these rows take the tenant first, then the user, then the login.
//!
//! [`Accounts`] needs a store, a [`PasswordHasher`] and randomness; [`Logins`] adds what logging in needs.

mod change_password;
mod error;
mod key;
mod login;
mod password;
mod profile;
mod refresh;
mod tenant;
mod throttle;
mod token;

use std::sync::Arc;

pub use error::{AccountError, KeyError};
pub use key::{IssuedKey, KeyPatch, LONGEST_OVERLAP, NewKey};
pub use login::{LoginPolicy, Logins, LoginsPorts, NewRegistration, RegistrationPolicy};
pub use password::{InvalidPassword, NewPassword, Password, PasswordError, PasswordHasher};
pub use profile::{Profile, ProfilePatch};
pub use refresh::REFRESH_LEEWAY;
pub use tenant::NewAccount;
pub use token::{AccessTokenSigner, OpenedLogin, RefreshSecret, SignError};

use crate::audit::AuditEntry;
use crate::entropy::Entropy;
use crate::id::{TenantId, TokenFamilyId, UserId};
use crate::identity::Actor;
use crate::store::{PlatformStore, PlatformTx, StoreError};
use crate::tenant::{Tenant, TenantStatus};
use crate::time::Timestamp;
use crate::user::User;

/// How often an attempt that met another transaction is repeated.
const ATTEMPTS: u32 = 8;

/// A credential that an operation has ended or narrowed, and that caches must forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The API key with that SHA-256, or some of what it may do.
    Key { tenant: TenantId, hash: [u8; 32] },
    Login {
        tenant: TenantId,
        login: TokenFamilyId,
    },
    /// Every login of a person.
    User { tenant: TenantId, user: UserId },
    /// What every credential of a tenant may do.
    Tenant { tenant: TenantId },
}

impl Ended {
    /// Returns the tenant whose credential it is.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        match self {
            Self::Key { tenant, .. }
            | Self::Login { tenant, .. }
            | Self::User { tenant, .. }
            | Self::Tenant { tenant } => *tenant,
        }
    }
}

/// What an operation has committed: its value, and what caches must forget before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "caches go on honouring a credential that has ended until they are told"]
pub struct Committed<T> {
    /// What the caller asked for.
    pub value: T,
    /// What has ended, if anything has.
    pub ended: Option<Ended>,
}

impl<T> Committed<T> {
    const fn quiet(value: T) -> Self {
        Self { value, ended: None }
    }

    const fn ending(value: T, ended: Ended) -> Self {
        Self {
            value,
            ended: Some(ended),
        }
    }
}

/// Operations on tenants, people and API keys. Clones share their ports.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Arc<dyn PlatformStore>,
    passwords: Arc<dyn PasswordHasher>,
    entropy: Arc<dyn Entropy>,
}

impl Accounts {
    /// Makes the operations over these ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn PlatformStore>,
        passwords: Arc<dyn PasswordHasher>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            passwords,
            entropy,
        }
    }

    /// Begins an entry of the audit log about something of `tenant`.
    fn entry(
        &self,
        now: Timestamp,
        tenant: TenantId,
        actor: &Actor,
        action: &'static str,
        object: (&'static str, &dyn ToString),
    ) -> AuditEntry {
        AuditEntry::new(now, &*self.entropy, actor, action, object).of(tenant)
    }
}

/// Returns the tenant, held as it is until the transaction ends, if it may be given credentials.
async fn tenant_that_may_act(
    tx: &mut dyn PlatformTx,
    id: TenantId,
) -> Result<Tenant, AccountError> {
    active(tx.tenant_for_grant(id).await?)
}

/// Returns the tenant like [`tenant_that_may_act`], if also the login by which `actor` acts has not ended; it
/// does not end before the transaction does.
async fn tenant_that_may_grant(
    tx: &mut dyn PlatformTx,
    actor: &Actor,
    id: TenantId,
) -> Result<Tenant, AccountError> {
    let tenant = tenant_that_may_act(tx, id).await?;
    if let Some(login) = actor.login
        && !tx.login_for_grant(id, login).await?
    {
        return Err(AccountError::LoginEnded);
    }
    Ok(tenant)
}

fn active(tenant: Option<Tenant>) -> Result<Tenant, AccountError> {
    let tenant = tenant.ok_or(AccountError::TenantGone)?;
    match tenant.status {
        TenantStatus::Active => Ok(tenant),
        TenantStatus::Suspended => Err(AccountError::TenantSuspended),
    }
}

/// Ends every login of `user`, whose row this transaction has locked, and stores the row.
async fn end_logins(
    tx: &mut dyn PlatformTx,
    user: &mut User,
    now: Timestamp,
) -> Result<(), StoreError> {
    user.token_generation += 1;
    user.version += 1;
    user.updated_at = now;
    tx.save_user(user).await?;
    tx.end_logins_of(user.tenant, user.id).await
}
