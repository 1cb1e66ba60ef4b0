//! Changing one's own password.

use super::{
    ATTEMPTS, AccountError, Committed, Ended, Logins, NewPassword, OpenedLogin, Password,
    end_logins, tenant_that_may_act,
};
use crate::audit::{action, object};
use crate::id::{TenantId, UserId};
use crate::identity::Actor;
use crate::store::retry_conflicts;
use crate::user::User;

impl Logins {
    /// Replaces a person's password, ends every login of theirs and opens a new one. Wrong passwords count
    /// like failed logins.
    ///
    /// # Errors
    /// `current` is not the present password, there were too many attempts, there is no such person, the
    /// tenant may not act, or the store fails.
    pub async fn change_password(
        &self,
        actor: &Actor,
        tenant: TenantId,
        user: UserId,
        current: &Password,
        new: &NewPassword,
    ) -> Result<Committed<OpenedLogin>, AccountError> {
        let accounts = self.accounts();
        let user = accounts
            .store
            .read_platform()
            .await?
            .user(tenant, user)
            .await?;
        let user = user.ok_or(AccountError::UnknownUser)?;
        let attempt = self.attempt(&user.email, &actor.origin).await?;
        let hash = Some(user.password_hash.as_str());
        if !accounts.passwords.verify(current, hash).await? {
            attempt.failed().await;
            return Err(AccountError::WrongPassword);
        }
        attempt.succeeded().await?;
        let hash = accounts.passwords.hash(new.password()).await?;
        retry_conflicts(ATTEMPTS, || self.replace_password(actor, &user, &hash)).await
    }

    /// Stores the new hash unless the password has changed since it was checked.
    async fn replace_password(
        &self,
        actor: &Actor,
        known: &User,
        hash: &str,
    ) -> Result<Committed<OpenedLogin>, AccountError> {
        let accounts = self.accounts();
        let mut tx = accounts.store.begin_platform().await?;
        let now = tx.now().await?;
        let tenant = tenant_that_may_act(&mut *tx, known.tenant).await?;
        let locked = tx.lock_user(known.tenant, known.id).await?;
        let unchanged = locked.filter(|user| user.password_hash == known.password_hash);
        let mut user = unchanged.ok_or(AccountError::WrongPassword)?;
        hash.clone_into(&mut user.password_hash);
        end_logins(&mut *tx, &mut user, now).await?;
        let (what, whom) = (action::USER_PASSWORD_CHANGED, (object::USER, &user.id as _));
        let entry = accounts.entry(now, user.tenant, actor, what, whom);
        tx.append_audit(&entry.changed_secret("password")).await?;
        let ended = Ended::User {
            tenant: user.tenant,
            user: user.id,
        };
        let opened = self.open(&mut *tx, actor, user, tenant, now).await?;
        tx.commit().await?;
        Ok(Committed::ending(opened, ended))
    }
}
