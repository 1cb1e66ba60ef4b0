//! Making accounts: a tenant and its first person, in one transaction.
//!
//! Used wherever an account comes from: registration, the command line, `dev`.

use gateway_core::entropy::Entropy;
use gateway_core::id::{TenantId, UserId};
use gateway_core::store::{PlatformStore, PlatformTx, StoreError};
use gateway_core::tenant::{Tenant, TenantStatus, TierName};
use gateway_core::user::{Email, Role, User};

use crate::config::Secret;
use crate::identity::{PasswordError, Passwords};

/// What an account is made of.
#[derive(Debug)]
pub struct NewAccount {
    /// The person's address, unique over all tenants.
    pub email: Email,
    /// What they call themselves.
    pub name: Option<String>,
    /// What the tenant is called.
    pub tenant_name: String,
    /// What the person may do.
    pub role: Role,
    /// The tenant's plan.
    pub tier: TierName,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Somebody is registered with that address.
    #[error("somebody is registered with that e-mail address already")]
    EmailTaken,
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] PasswordError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a tenant and its first person, in a transaction of their own.
///
/// # Errors
/// The address is known, or the store's.
pub async fn create(
    store: &dyn PlatformStore,
    passwords: &Passwords,
    entropy: &dyn Entropy,
    account: NewAccount,
    password: Secret,
) -> Result<(Tenant, User), AccountError> {
    let password_hash = passwords.hash(password).await?;
    let mut tx = store.begin_platform().await?;
    let made = insert(&mut *tx, entropy, account, password_hash).await?;
    tx.commit().await?;
    Ok(made)
}

/// The same, as part of a transaction.
///
/// # Errors
/// The address is known, or the store's.
pub async fn insert(
    tx: &mut dyn PlatformTx,
    entropy: &dyn Entropy,
    account: NewAccount,
    password_hash: String,
) -> Result<(Tenant, User), AccountError> {
    let now = tx.now().await?;
    let tenant = Tenant {
        id: TenantId::generate(now, entropy),
        name: account.tenant_name,
        tier: account.tier,
        status: TenantStatus::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let user = User {
        id: UserId::generate(now, entropy),
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
    tx.insert_tenant(&tenant).await?;
    match tx.insert_user(&user).await {
        Ok(()) => Ok((tenant, user)),
        Err(StoreError::Duplicate { .. }) => Err(AccountError::EmailTaken),
        Err(error) => Err(error.into()),
    }
}

/// Sets a new password and ends every login of that person; `None` if nobody has that address.
///
/// # Errors
/// The password cannot be hashed, or the store's.
pub async fn reset_password(
    store: &dyn PlatformStore,
    passwords: &Passwords,
    email: &Email,
    password: Secret,
) -> Result<Option<User>, AccountError> {
    let password_hash = passwords.hash(password).await?;
    let mut tx = store.begin_platform().await?;
    let Some(mut user) = tx.user_by_email(email).await? else {
        return Ok(None);
    };
    user.password_hash = password_hash;
    user.token_generation += 1;
    user.version += 1;
    user.updated_at = tx.now().await?;
    tx.save_user(&user).await?;
    tx.revoke_user_refresh(user.tenant, user.id).await?;
    tx.commit().await?;
    Ok(Some(user))
}

/// A password that nobody has to type twice: 20 characters of 32, 100 bits.
#[must_use]
pub fn generate_password(entropy: &dyn Entropy) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..20)
        .map(|_| char::from(ALPHABET[(entropy.next_u64() % 32) as usize]))
        .collect()
}
