//! What a person sees and changes of themselves.

use super::tenant::email_taken;
use super::{ATTEMPTS, AccountError, Accounts, Committed, active};
use crate::audit::{action, object};
use crate::id::{TenantId, UserId};
use crate::identity::Actor;
use crate::store::{PlatformTx, retry_conflicts};
use crate::tenant::Tenant;
use crate::user::{Email, User};

/// A person and their tenant.
#[derive(Clone, Debug)]
pub struct Profile {
    pub user: User,
    pub tenant: Tenant,
}

/// What to change of a person; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilePatch {
    /// Another name, or no name any more.
    pub name: Option<Option<String>>,
    pub email: Option<Email>,
}

impl Accounts {
    /// Returns a person and their tenant.
    ///
    /// # Errors
    /// There is no such person, the tenant may not act, or the store fails.
    pub async fn profile(&self, tenant: TenantId, user: UserId) -> Result<Profile, AccountError> {
        let mut tx = self.store.read_platform().await?;
        profile(&mut *tx, tenant, user).await
    }

    /// Returns the person with that address, of whatever tenant.
    ///
    /// # Errors
    /// Nobody has it, or the store fails.
    pub async fn user_by_email(&self, email: &Email) -> Result<User, AccountError> {
        let found = self
            .store
            .read_platform()
            .await?
            .user_by_email(email)
            .await?;
        found.ok_or(AccountError::UnknownUser)
    }

    /// Changes a person's name or address.
    ///
    /// # Errors
    /// There is no such person, the address is taken, the tenant may not act, or the store fails.
    pub async fn update_profile(
        &self,
        actor: &Actor,
        tenant: TenantId,
        user: UserId,
        patch: &ProfilePatch,
    ) -> Result<Committed<Profile>, AccountError> {
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.store.begin_platform().await?;
            let now = tx.now().await?;
            let before = profile(&mut *tx, tenant, user).await?;
            let mut after = before.clone();
            let row = &mut after.user;
            row.name = patch.name.clone().unwrap_or_else(|| row.name.take());
            if let Some(email) = &patch.email {
                row.email.clone_from(email);
            }
            row.version += 1;
            row.updated_at = now;
            tx.save_user(row).await.map_err(email_taken)?;
            let (what, whom) = (action::USER_UPDATED, (object::USER, &user as _));
            let entry = self
                .entry(now, tenant, actor, what, whom)
                .changed("name", &before.user.name, &after.user.name)
                .changed("email", &before.user.email, &after.user.email);
            tx.append_audit(&entry).await?;
            tx.commit().await?;
            Ok(Committed::quiet(after))
        })
        .await
    }
}

async fn profile(
    tx: &mut dyn PlatformTx,
    tenant: TenantId,
    user: UserId,
) -> Result<Profile, AccountError> {
    let found = tx.user(tenant, user).await?;
    let user = found.ok_or(AccountError::UnknownUser)?;
    let tenant = active(tx.tenant(tenant).await?)?;
    Ok(Profile { user, tenant })
}
