//! API keys: the credentials of programs.
//!
//! A key is its own parent row: whoever changes, replaces or revokes it locks it first. So a change that
//! waited for a revocation finds the key revoked and leaves it so, and a revoked key is never replaced.
//! Whatever gives a key, or gives it more, first locks the tenant and the login by which the person acts.

use std::time::Duration;

use super::{ATTEMPTS, Accounts, Committed, Ended, KeyError, tenant_that_may_grant};
use crate::audit::{AuditEntry, action, object};
use crate::id::{ApiKeyId, SessionId, TenantId};
use crate::identity::{Actor, ApiKey, ApiKeySecret, Principal, Scope};
use crate::session::SessionRef;
use crate::store::{PlatformTx, retry_conflicts};
use crate::tenant::TenantStatus;
use crate::time::Timestamp;

/// The longest time for which a replaced key stays good.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 86_400);

/// What a key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// What the tenant calls it.
    pub name: String,
    /// What it may do; everything a key can do if none is named.
    pub scopes: Option<Vec<Scope>>,
    /// The only session it may touch.
    pub session: Option<SessionId>,
    /// From when it is refused.
    pub expires_at: Option<Timestamp>,
}

/// What to change of a key; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPatch {
    pub name: Option<String>,
    /// Other scopes, all of them.
    pub scopes: Option<Vec<Scope>>,
    /// Another expiry, or none any more.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A new key with its secret, which is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedKey {
    /// To be shown once.
    pub secret: ApiKeySecret,
    pub key: ApiKey,
}

impl Accounts {
    /// Makes an API key.
    ///
    /// # Errors
    /// The expiry is over, the tenant has no such session or may not act, the actor's login has ended, or the
    /// store fails.
    pub async fn create_key(
        &self,
        actor: &Actor,
        tenant: TenantId,
        new: NewKey,
    ) -> Result<Committed<IssuedKey>, KeyError> {
        let mut tx = self.store.begin_platform().await?;
        let now = tx.now().await?;
        in_future(new.expires_at, now)?;
        tenant_that_may_grant(&mut *tx, actor, tenant).await?;
        if let Some(id) = new.session {
            let session = tx.card(tenant, &SessionRef::Id(id)).await?;
            session.ok_or(KeyError::UnknownSession)?;
        }
        let issued = self.draw(tenant, new, now);
        tx.insert_key(&issued.key).await?;
        let entry = self.key_entry(now, actor, action::API_KEY_CREATED, &issued.key);
        tx.append_audit(&described(entry, &issued.key)).await?;
        tx.commit().await?;
        Ok(Committed::quiet(issued))
    }

    /// Returns the tenant's keys in id order after `after`, revoked ones too, at most `limit`.
    ///
    /// # Errors
    /// The store fails.
    pub async fn keys(
        &self,
        tenant: TenantId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, KeyError> {
        let mut tx = self.store.read_platform().await?;
        Ok(tx.keys(tenant, after, limit).await?)
    }

    /// Changes name, scopes or expiry of a key. Its secret stays the same, and a revoked one stays revoked.
    ///
    /// # Errors
    /// The tenant has no such key or may not act, the actor's login has ended, the expiry is over, or the
    /// store fails.
    pub async fn update_key(
        &self,
        actor: &Actor,
        tenant: TenantId,
        id: ApiKeyId,
        patch: &KeyPatch,
    ) -> Result<Committed<ApiKey>, KeyError> {
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.store.begin_platform().await?;
            let now = tx.now().await?;
            in_future(patch.expires_at.flatten(), now)?;
            tenant_that_may_grant(&mut *tx, actor, tenant).await?;
            let before = lock(&mut *tx, tenant, id).await?;
            let after = patch.apply(before.clone());
            tx.save_key(&after).await?;
            let entry = self.key_entry(now, actor, action::API_KEY_UPDATED, &after);
            tx.append_audit(&compared(entry, &before, &after)).await?;
            tx.commit().await?;
            Ok(ending(after.clone(), &after))
        })
        .await
    }

    /// Makes a key of the same name, scopes, restriction and expiry. The old one is refused after
    /// `overlap`, and not later than before.
    ///
    /// # Errors
    /// The tenant has no such key, it has ended, the overlap is longer than [`LONGEST_OVERLAP`], the tenant
    /// may not act, the actor's login has ended, or the store fails.
    pub async fn rotate_key(
        &self,
        actor: &Actor,
        tenant: TenantId,
        id: ApiKeyId,
        overlap: Duration,
    ) -> Result<Committed<IssuedKey>, KeyError> {
        if overlap > LONGEST_OVERLAP {
            return Err(KeyError::OverlapTooLong);
        }
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.store.begin_platform().await?;
            let now = tx.now().await?;
            tenant_that_may_grant(&mut *tx, actor, tenant).await?;
            let before = lock(&mut *tx, tenant, id).await?;
            if !before.is_valid(now) {
                return Err(KeyError::KeyEnded);
            }
            let after = retired(before.clone(), now, overlap);
            tx.save_key(&after).await?;
            let issued = self.draw(tenant, successor(&before), now);
            tx.insert_key(&issued.key).await?;
            let entry = self.key_entry(now, actor, action::API_KEY_ROTATED, &after);
            let entry = compared(entry, &before, &after).with("successor", &issued.key.id);
            tx.append_audit(&entry).await?;
            tx.commit().await?;
            Ok(ending(issued, &after))
        })
        .await
    }

    /// Revokes a key: it is refused from now on. Repeating it changes nothing.
    ///
    /// # Errors
    /// The tenant has no such key, or the store fails.
    pub async fn revoke_key(
        &self,
        actor: &Actor,
        tenant: TenantId,
        id: ApiKeyId,
    ) -> Result<Committed<ApiKey>, KeyError> {
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.store.begin_platform().await?;
            let now = tx.now().await?;
            let before = lock(&mut *tx, tenant, id).await?;
            if before.revoked_at.is_some() {
                return Ok(ending(before.clone(), &before));
            }
            let mut after = before.clone();
            after.revoked_at = Some(now);
            after.version += 1;
            tx.save_key(&after).await?;
            let entry = self.key_entry(now, actor, action::API_KEY_REVOKED, &after);
            tx.append_audit(&compared(entry, &before, &after)).await?;
            tx.commit().await?;
            Ok(ending(after.clone(), &after))
        })
        .await
    }

    /// Returns who shows that key; none if the key is unknown or has ended, or its tenant may not act.
    ///
    /// # Errors
    /// The store fails.
    pub async fn authenticate_key(
        &self,
        secret: &ApiKeySecret,
    ) -> Result<Option<Principal>, KeyError> {
        let found = self
            .store
            .read_platform()
            .await?
            .fill_key(&secret.hash())
            .await?;
        let good = found.filter(|found| {
            found.key.is_valid(found.now) && found.tenant.status == TenantStatus::Active
        });
        Ok(good.map(|found| Principal::Key {
            tenant: found.key.tenant,
            key: found.key.id,
            scopes: found.key.scopes,
            session: found.key.session,
        }))
    }

    fn draw(&self, tenant: TenantId, new: NewKey, now: Timestamp) -> IssuedKey {
        let secret = ApiKeySecret::generate(&*self.entropy);
        let key = ApiKey {
            id: ApiKeyId::generate(now, &*self.entropy),
            tenant,
            name: new.name,
            hash: secret.hash(),
            prefix: secret.prefix(),
            scopes: new.scopes.map_or_else(|| Scope::ALL.to_vec(), distinct),
            session: new.session,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
            version: 1,
            created_at: now,
        };
        IssuedKey { secret, key }
    }

    fn key_entry(
        &self,
        now: Timestamp,
        actor: &Actor,
        what: &'static str,
        key: &ApiKey,
    ) -> AuditEntry {
        self.entry(now, key.tenant, actor, what, (object::API_KEY, &key.id))
    }
}

impl KeyPatch {
    fn apply(&self, mut key: ApiKey) -> ApiKey {
        if let Some(name) = &self.name {
            key.name.clone_from(name);
        }
        if let Some(scopes) = &self.scopes {
            key.scopes = distinct(scopes.clone());
        }
        key.expires_at = self.expires_at.unwrap_or(key.expires_at);
        key.version += 1;
        key
    }
}

fn described(entry: AuditEntry, key: &ApiKey) -> AuditEntry {
    entry
        .with("name", &key.name)
        .with("prefix", &key.prefix)
        .with("scopes", &key.scopes)
        .with("sessionId", &key.session)
        .with("expiresAt", &key.expires_at)
}

fn compared(entry: AuditEntry, before: &ApiKey, after: &ApiKey) -> AuditEntry {
    entry
        .changed("name", &before.name, &after.name)
        .changed("scopes", &before.scopes, &after.scopes)
        .changed("expiresAt", &before.expires_at, &after.expires_at)
        .changed("revokedAt", &before.revoked_at, &after.revoked_at)
}

fn ending<T>(value: T, key: &ApiKey) -> Committed<T> {
    let (tenant, hash) = (key.tenant, key.hash);
    Committed::ending(value, Ended::Key { tenant, hash })
}

/// Returns the old key, accepted for `overlap` more, and never longer than before.
fn retired(mut key: ApiKey, now: Timestamp, overlap: Duration) -> ApiKey {
    let end = now.plus(overlap);
    key.expires_at = Some(key.expires_at.map_or(end, |expiry| expiry.min(end)));
    if overlap.is_zero() {
        key.revoked_at = Some(now);
    }
    key.version += 1;
    key
}

fn successor(key: &ApiKey) -> NewKey {
    NewKey {
        name: key.name.clone(),
        scopes: Some(key.scopes.clone()),
        session: key.session,
        expires_at: key.expires_at,
    }
}

async fn lock(tx: &mut dyn PlatformTx, tenant: TenantId, id: ApiKeyId) -> Result<ApiKey, KeyError> {
    tx.lock_key(tenant, id).await?.ok_or(KeyError::UnknownKey)
}

/// Sorts scopes and removes repeated ones.
fn distinct(mut scopes: Vec<Scope>) -> Vec<Scope> {
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn in_future(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), KeyError> {
    match expires_at {
        Some(at) if at <= now => Err(KeyError::ExpiryInPast),
        Some(_) | None => Ok(()),
    }
}
