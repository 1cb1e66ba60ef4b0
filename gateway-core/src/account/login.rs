//! Registering, logging in and logging out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::throttle::{Allowance, Attempt};
use super::{
    ATTEMPTS, AccessTokenSigner, AccountError, Accounts, Committed, Ended, NewAccount, NewPassword,
    OpenedLogin, Password, RefreshSecret, tenant_that_may_act,
};
use crate::audit::{action, object};
use crate::coord::Coordinator;
use crate::id::{TenantId, TokenFamilyId};
use crate::identity::{Actor, Login, Origin, RefreshToken};
use crate::store::{PlatformTx, retry_conflicts};
use crate::tenant::{Tenant, TierName};
use crate::time::{Clock, Timestamp};
use crate::user::{Email, Role, User};

/// What logging in needs beyond [`Accounts`].
#[derive(Clone, Debug)]
pub struct LoginsPorts {
    pub accounts: Accounts,
    pub tokens: Arc<dyn AccessTokenSigner>,
    pub coord: Arc<dyn Coordinator>,
    /// When access tokens are signed.
    pub clock: Arc<dyn Clock>,
}

/// What is configured about logins.
#[derive(Clone, Debug)]
pub struct LoginPolicy {
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// The plan of everybody who registers.
    pub first_tier: TierName,
    /// How long a refresh token is good.
    pub refresh_lifetime: Duration,
    /// Failed attempts allowed per account or network in one window.
    pub attempts: u32,
    /// How long failed attempts are counted together.
    pub window: Duration,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        let [first, ..] = crate::tenant::Tier::defaults();
        Self {
            registration: RegistrationPolicy::Open,
            first_tier: first.name,
            refresh_lifetime: Duration::from_secs(30 * 86_400),
            attempts: 10,
            window: Duration::from_secs(15 * 60),
        }
    }
}

/// Who may register a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Everybody.
    Open,
    /// Nobody: whoever runs the gateway makes the accounts.
    Closed,
}

/// What a person who registers says of themselves.
#[derive(Clone, Debug)]
pub struct NewRegistration {
    /// The person's address, unique over all tenants.
    pub email: Email,
    /// What the person is called.
    pub name: Option<String>,
    /// What the tenant is called; its person's address unless said otherwise.
    pub tenant_name: Option<String>,
}

/// Operations on logins. Clones share their ports.
#[derive(Clone)]
pub struct Logins {
    pub(super) ports: LoginsPorts,
    pub(super) policy: LoginPolicy,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Logins {
    /// Makes the operations over these ports.
    #[must_use]
    pub const fn new(ports: LoginsPorts, policy: LoginPolicy) -> Self {
        Self { ports, policy }
    }

    /// Returns the operations on tenants, people and keys.
    #[must_use]
    pub const fn accounts(&self) -> &Accounts {
        &self.ports.accounts
    }

    /// Makes a tenant on the first plan and its first person, and logs them in.
    ///
    /// # Errors
    /// Registration is closed, the address is known, the password cannot be hashed, or the store fails.
    pub async fn register(
        &self,
        origin: &Origin,
        registration: NewRegistration,
        password: &NewPassword,
    ) -> Result<Committed<OpenedLogin>, AccountError> {
        if self.policy.registration == RegistrationPolicy::Closed {
            return Err(AccountError::RegistrationClosed);
        }
        let accounts = self.accounts();
        let password_hash = accounts.passwords.hash(password.password()).await?;
        let NewRegistration {
            email,
            name,
            tenant_name,
        } = registration;
        let account = NewAccount {
            tenant_name: tenant_name.unwrap_or_else(|| email.as_str().to_owned()),
            email,
            name,
            role: Role::User,
            tier: self.policy.first_tier.clone(),
        };
        let mut tx = accounts.store.begin_platform().await?;
        let now = tx.now().await?;
        let (tenant, user) = accounts.rows(account, password_hash, now);
        let actor = Actor::user(tenant.id, user.id, origin.clone());
        accounts
            .insert_account(&mut *tx, &actor, &tenant, &user)
            .await?;
        let opened = self.open(&mut *tx, &actor, user, tenant, now).await?;
        tx.commit().await?;
        Ok(Committed::quiet(opened))
    }

    /// Begins a login of whoever has that address and password.
    ///
    /// Nobody learns whether the address is known: the answer and the time it takes are the same.
    ///
    /// # Errors
    /// They do not belong together, there were too many attempts, the tenant may not act, or the store fails.
    pub async fn log_in(
        &self,
        origin: &Origin,
        email: &Email,
        password: &Password,
    ) -> Result<Committed<OpenedLogin>, AccountError> {
        let accounts = self.accounts();
        let attempt = self.attempt(email, origin).await?;
        let user = accounts
            .store
            .read_platform()
            .await?
            .user_by_email(email)
            .await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let right = accounts.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| right) else {
            attempt.failed().await;
            return Err(AccountError::WrongCredentials);
        };
        attempt.succeeded().await?;
        retry_conflicts(ATTEMPTS, || self.enter(origin, &user)).await
    }

    /// Ends a login: its refresh and access tokens are refused from now on. Repeating it changes nothing.
    ///
    /// # Errors
    /// The store fails.
    pub async fn log_out(
        &self,
        actor: &Actor,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<Committed<()>, AccountError> {
        let accounts = self.accounts();
        let mut tx = accounts.store.begin_platform().await?;
        if tx.end_login(tenant, login).await? {
            let now = tx.now().await?;
            let (what, which) = (action::LOGIN_ENDED, (object::LOGIN, &login as _));
            let entry = accounts.entry(now, tenant, actor, what, which);
            tx.append_audit(&entry).await?;
            tx.commit().await?;
        }
        Ok(Committed::ending((), Ended::Login { tenant, login }))
    }

    /// Begins an attempt to prove the password of the account with that address.
    pub(super) async fn attempt(
        &self,
        email: &Email,
        origin: &Origin,
    ) -> Result<Attempt<'_>, AccountError> {
        let allowed = Allowance {
            attempts: self.policy.attempts,
            window: self.policy.window,
        };
        Attempt::begin(&*self.ports.coord, allowed, email, origin.address).await
    }

    /// Opens a login of `known`, whose password was checked a moment ago and may have been changed since.
    async fn enter(
        &self,
        origin: &Origin,
        known: &User,
    ) -> Result<Committed<OpenedLogin>, AccountError> {
        let mut tx = self.accounts().store.begin_platform().await?;
        let now = tx.now().await?;
        let tenant = tenant_that_may_act(&mut *tx, known.tenant).await?;
        let locked = tx.lock_user(known.tenant, known.id).await?;
        let unchanged = locked.filter(|user| user.password_hash == known.password_hash);
        let mut user = unchanged.ok_or(AccountError::WrongCredentials)?;
        user.last_login_at = Some(now);
        user.version += 1;
        tx.save_user(&user).await?;
        let actor = Actor::user(user.tenant, user.id, origin.clone());
        let opened = self.open(&mut *tx, &actor, user, tenant, now).await?;
        tx.commit().await?;
        Ok(Committed::quiet(opened))
    }

    /// Opens a login of a person whose row this transaction has locked or made.
    pub(super) async fn open(
        &self,
        tx: &mut dyn PlatformTx,
        actor: &Actor,
        user: User,
        tenant: Tenant,
        now: Timestamp,
    ) -> Result<OpenedLogin, AccountError> {
        let accounts = self.accounts();
        let login = Login {
            id: TokenFamilyId::generate(now, &*accounts.entropy),
            tenant: user.tenant,
            user: user.id,
            created_at: now,
            expires_at: now.plus(self.policy.refresh_lifetime),
            ended_at: None,
        };
        tx.insert_login(&login).await?;
        let (what, which) = (action::LOGIN_OPENED, (object::LOGIN, &login.id as _));
        let entry = accounts.entry(now, user.tenant, actor, what, which);
        tx.append_audit(&entry).await?;
        self.issue(tx, login.id, user, tenant, now).await
    }

    /// Stores the next refresh token of a login that this transaction has made or extended.
    pub(super) async fn issue(
        &self,
        tx: &mut dyn PlatformTx,
        login: TokenFamilyId,
        user: User,
        tenant: Tenant,
        now: Timestamp,
    ) -> Result<OpenedLogin, AccountError> {
        let entropy = &*self.accounts().entropy;
        let refresh_token = RefreshSecret::generate(entropy);
        let row = RefreshToken {
            hash: refresh_token.hash(),
            family: login,
            tenant: user.tenant,
            user: user.id,
            expires_at: now.plus(self.policy.refresh_lifetime),
            used_at: None,
            created_at: now,
        };
        tx.insert_refresh(&row).await?;
        let tokens = &self.ports.tokens;
        let access_token = tokens.sign(&user, login, self.ports.clock.now(), entropy)?;
        Ok(OpenedLogin {
            login,
            access_token,
            expires_in: tokens.lifetime(),
            refresh_token,
            user,
            tenant,
        })
    }
}
