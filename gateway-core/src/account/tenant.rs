//! Making tenants, and what operators decide about them.

use super::{ATTEMPTS, AccountError, Accounts, Committed, Ended, NewPassword, end_logins};
use crate::audit::{action, object};
use crate::id::{TenantId, UserId};
use crate::identity::Actor;
use crate::store::{PlatformTx, StoreError, Unique, retry_conflicts};
use crate::tenant::{Tenant, TenantStatus, TierName};
use crate::time::Timestamp;
use crate::user::{Email, Role, User};

/// What an account is made of: a tenant and its first person.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The person's address, unique over all tenants.
    pub email: Email,
    /// What the person is called.
    pub name: Option<String>,
    /// What the tenant is called.
    pub tenant_name: String,
    /// What the person may do.
    pub role: Role,
    pub tier: TierName,
}

impl Accounts {
    /// Makes a tenant and its first person.
    ///
    /// # Errors
    /// No such plan, the address is known, the password cannot be hashed, or the store fails.
    pub async fn open_account(
        &self,
        actor: &Actor,
        account: NewAccount,
        password: &NewPassword,
    ) -> Result<Committed<(Tenant, User)>, AccountError> {
        let password_hash = self.passwords.hash(password.password()).await?;
        let mut tx = self.store.begin_platform().await?;
        require_tier(&mut *tx, &account.tier).await?;
        let now = tx.now().await?;
        let (tenant, user) = self.rows(account, password_hash, now);
        self.insert_account(&mut *tx, actor, &tenant, &user).await?;
        tx.commit().await?;
        Ok(Committed::quiet((tenant, user)))
    }

    /// Makes the rows of an account.
    pub(super) fn rows(
        &self,
        account: NewAccount,
        password_hash: String,
        now: Timestamp,
    ) -> (Tenant, User) {
        let tenant = Tenant {
            id: TenantId::generate(now, &*self.entropy),
            name: account.tenant_name,
            tier: account.tier,
            status: TenantStatus::Active,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let user = User {
            id: UserId::generate(now, &*self.entropy),
            tenant: tenant.id,
            email: account.email,
            name: account.name,
            password_hash,
            role: account.role,
            token_generation: 0,
            version: 1,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        };
        (tenant, user)
    }

    pub(super) async fn insert_account(
        &self,
        tx: &mut dyn PlatformTx,
        actor: &Actor,
        tenant: &Tenant,
        user: &User,
    ) -> Result<(), AccountError> {
        tx.insert_tenant(tenant).await?;
        tx.insert_user(user).await.map_err(email_taken)?;
        let (what, whom) = (action::USER_REGISTERED, (object::USER, &user.id as _));
        let entry = self
            .entry(user.created_at, tenant.id, actor, what, whom)
            .with("email", &user.email)
            .with("role", &user.role)
            .with("tier", &tenant.tier);
        tx.append_audit(&entry).await?;
        Ok(())
    }

    /// Puts a tenant on another plan.
    ///
    /// # Errors
    /// No such tenant, no such plan, or the store fails.
    pub async fn set_tier(
        &self,
        actor: &Actor,
        tenant: TenantId,
        tier: &TierName,
    ) -> Result<Committed<Tenant>, AccountError> {
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.store.begin_platform().await?;
            require_tier(&mut *tx, tier).await?;
            let what = action::TENANT_TIER_SET;
            self.change_tenant(tx, actor, tenant, what, |row| row.tier.clone_from(tier))
                .await
        })
        .await
    }

    /// Suspends a tenant or lets it act again. While it is suspended every credential of it is refused.
    ///
    /// # Errors
    /// No such tenant, or the store fails.
    pub async fn set_standing(
        &self,
        actor: &Actor,
        tenant: TenantId,
        status: TenantStatus,
    ) -> Result<Committed<Tenant>, AccountError> {
        let what = match status {
            TenantStatus::Active => action::TENANT_ACTIVATED,
            TenantStatus::Suspended => action::TENANT_SUSPENDED,
        };
        retry_conflicts(ATTEMPTS, || async {
            let tx = self.store.begin_platform().await?;
            self.change_tenant(tx, actor, tenant, what, |row| row.status = status)
                .await
        })
        .await
    }

    async fn change_tenant(
        &self,
        mut tx: Box<dyn PlatformTx>,
        actor: &Actor,
        tenant: TenantId,
        what: &'static str,
        change: impl FnOnce(&mut Tenant) + Send,
    ) -> Result<Committed<Tenant>, AccountError> {
        let now = tx.now().await?;
        let before = tx.tenant(tenant).await?.ok_or(AccountError::TenantGone)?;
        let mut after = before.clone();
        change(&mut after);
        after.version += 1;
        after.updated_at = now;
        tx.save_tenant(&after).await?;
        let entry = self
            .entry(now, tenant, actor, what, (object::TENANT, &tenant))
            .changed("tier", &before.tier, &after.tier)
            .changed("status", &before.status, &after.status);
        tx.append_audit(&entry).await?;
        tx.commit().await?;
        Ok(Committed::ending(after, Ended::Tenant { tenant }))
    }

    /// Gives the person with that address a new password and ends every login of theirs.
    ///
    /// # Errors
    /// Nobody has that address, the password cannot be hashed, or the store fails.
    pub async fn reset_password(
        &self,
        actor: &Actor,
        email: &Email,
        password: &NewPassword,
    ) -> Result<Committed<User>, AccountError> {
        let hash = self.passwords.hash(password.password()).await?;
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.store.begin_platform().await?;
            let now = tx.now().await?;
            let found = tx.user_by_email(email).await?;
            let found = found.ok_or(AccountError::UnknownUser)?;
            let locked = tx.lock_user(found.tenant, found.id).await?;
            let mut user = locked.ok_or(AccountError::UnknownUser)?;
            user.password_hash.clone_from(&hash);
            end_logins(&mut *tx, &mut user, now).await?;
            let (what, whom) = (action::USER_PASSWORD_RESET, (object::USER, &user.id as _));
            let entry = self.entry(now, user.tenant, actor, what, whom);
            tx.append_audit(&entry.changed_secret("password")).await?;
            tx.commit().await?;
            let (tenant, id) = (user.tenant, user.id);
            Ok(Committed::ending(user, Ended::User { tenant, user: id }))
        })
        .await
    }
}

/// Turns the duplicate that a store reports for a known address into its error.
pub(super) fn email_taken(error: StoreError) -> AccountError {
    match error {
        StoreError::Duplicate(Unique::Email) => AccountError::EmailTaken,
        other @ (StoreError::Conflict
        | StoreError::Duplicate(_)
        | StoreError::Unavailable(_)
        | StoreError::Corrupt { .. }
        | StoreError::Refused(_)
        | StoreError::Internal(_)) => other.into(),
    }
}

/// Refuses a plan that does not exist.
async fn require_tier(tx: &mut dyn PlatformTx, tier: &TierName) -> Result<(), AccountError> {
    if tx.tier(tier).await?.is_some() {
        return Ok(());
    }
    let known = tx.tiers().await?.into_iter().map(|tier| tier.name);
    Err(AccountError::UnknownTier {
        asked: tier.clone(),
        known: known.collect(),
    })
}
