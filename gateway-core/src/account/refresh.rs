//! Exchanging a refresh token for the next pair of tokens.
//!
//! A refresh token is good once. A second use means that somebody has a copy, and nobody can tell who is
//! who, so the whole login ends. The exception is a repeat within [`REFRESH_LEEWAY`]: two tabs of one
//! browser that refresh at once, or a client that lost the answer, get another token of the same login.

use std::time::Duration;

use super::tenant_that_may_act;
use super::{ATTEMPTS, AccountError, Committed, Ended, Logins, OpenedLogin, RefreshSecret};
use crate::audit::{action, object};
use crate::identity::{Actor, Origin, RefreshToken, RefreshUse};
use crate::store::{PlatformTx, retry_conflicts};

/// How long after its first use a refresh token may be shown again.
pub const REFRESH_LEEWAY: Duration = Duration::from_secs(10);

impl Logins {
    /// Returns the next tokens of the login that the token belongs to; none if the token is unknown,
    /// expired or of a login that has ended, or was used before. The last of these ends the login.
    ///
    /// # Errors
    /// The tenant may not act, or the store fails.
    pub async fn refresh(
        &self,
        origin: &Origin,
        token: &RefreshSecret,
    ) -> Result<Committed<Option<OpenedLogin>>, AccountError> {
        let hash = token.hash();
        retry_conflicts(ATTEMPTS, || self.exchange(origin, &hash)).await
    }

    async fn exchange(
        &self,
        origin: &Origin,
        hash: &[u8; 32],
    ) -> Result<Committed<Option<OpenedLogin>>, AccountError> {
        let mut tx = self.accounts().store.begin_platform().await?;
        let now = tx.now().await?;
        let token = match tx.use_refresh(hash).await? {
            RefreshUse::First(token) => token,
            RefreshUse::Again(token) if token.was_used_within(REFRESH_LEEWAY, now) => token,
            RefreshUse::Again(token) => return self.end_reused(tx, origin, &token).await,
            RefreshUse::Invalid => return Ok(Committed::quiet(None)),
        };
        let tenant = tenant_that_may_act(&mut *tx, token.tenant).await?;
        let Some(user) = tx.user(token.tenant, token.user).await? else {
            return Ok(Committed::quiet(None));
        };
        let expires_at = now.plus(self.policy.refresh_lifetime);
        let extended = tx.extend_login(token.tenant, token.family, expires_at);
        if !extended.await? {
            return Ok(Committed::quiet(None));
        }
        let entry = self.entry_of(&token, now, origin, action::LOGIN_REFRESHED);
        tx.append_audit(&entry).await?;
        let opened = self
            .issue(&mut *tx, token.family, user, tenant, now)
            .await?;
        tx.commit().await?;
        Ok(Committed::quiet(Some(opened)))
    }

    /// Ends the login of a token that somebody has a copy of.
    async fn end_reused(
        &self,
        mut tx: Box<dyn PlatformTx>,
        origin: &Origin,
        token: &RefreshToken,
    ) -> Result<Committed<Option<OpenedLogin>>, AccountError> {
        let (tenant, login) = (token.tenant, token.family);
        if tx.end_login(tenant, login).await? {
            let now = tx.now().await?;
            let entry = self.entry_of(token, now, origin, action::LOGIN_REUSED);
            tx.append_audit(&entry).await?;
            tx.commit().await?;
            tracing::warn!(user.id = %token.user, "a refresh token was used twice; its login has ended");
        }
        Ok(Committed::ending(None, Ended::Login { tenant, login }))
    }

    fn entry_of(
        &self,
        token: &RefreshToken,
        now: crate::time::Timestamp,
        origin: &Origin,
        what: &'static str,
    ) -> crate::audit::AuditEntry {
        let actor = Actor::user(token.tenant, token.user, origin.clone());
        let login = (object::LOGIN, &token.family as _);
        self.accounts()
            .entry(now, token.tenant, &actor, what, login)
    }
}
