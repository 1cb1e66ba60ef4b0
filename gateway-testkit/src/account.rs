//! Accounts without a server: the ports of [`gateway_core::account`] with plain texts for secrets.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures_executor::block_on;
//! use gateway_core::account::{NewKey, NewPassword, NewRegistration};
//! use gateway_core::identity::{Actor, Origin};
//! use gateway_core::user::Email;
//! use gateway_testkit::account::memory_logins;
//! use gateway_testkit::clock::ManualClock;
//!
//! let logins = block_on(memory_logins(Arc::new(ManualClock::default()), 7))?;
//! let registration = NewRegistration {
//!     email: Email::parse("ada@example.com")?,
//!     name: None,
//!     tenant_name: None,
//! };
//! let password = NewPassword::parse("correct horse")?;
//! let origin = Origin::default();
//! let login = block_on(logins.register(&origin, registration, &password))?.value;
//!
//! let actor = Actor::user(login.tenant.id, login.user.id, origin);
//! let key = NewKey { name: "ci".to_owned(), scopes: None, session: None, expires_at: None };
//! let accounts = logins.accounts();
//! let issued = block_on(accounts.create_key(&actor, login.tenant.id, key))?.value;
//! let principal = block_on(accounts.authenticate_key(&issued.secret))?;
//! assert_eq!(principal.and_then(|who| who.tenant()), Some(login.tenant.id));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::account::{
    AccessTokenSigner, Accounts, LoginPolicy, Logins, LoginsPorts, Password, PasswordError,
    PasswordHasher, SignError,
};
use gateway_core::entropy::Entropy;
use gateway_core::id::TokenFamilyId;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::tenant::Tier;
use gateway_core::time::{Clock, Timestamp};
use gateway_core::user::User;

use crate::entropy::SeededEntropy;
use crate::memory::{MemoryCoordinator, MemoryStore};

/// Keeps passwords as they are. Its hashes begin with `plain:`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainPasswords;

#[async_trait]
impl PasswordHasher for PlainPasswords {
    async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        Ok(format!("plain:{}", password.reveal()))
    }

    async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, PasswordError> {
        let known = hash.and_then(|hash| hash.strip_prefix("plain:"));
        Ok(known == Some(password.reveal()))
    }
}

/// Writes access tokens that anybody can read: user, login and generation.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainTokens;

impl AccessTokenSigner for PlainTokens {
    fn sign(
        &self,
        user: &User,
        login: TokenFamilyId,
        _: Timestamp,
        _: &dyn Entropy,
    ) -> Result<String, SignError> {
        Ok(format!("{}.{login}.{}", user.id, user.token_generation))
    }

    fn lifetime(&self) -> Duration {
        Duration::from_secs(900)
    }
}

/// Makes the operations over any store, with its clock and a coordinator in memory.
#[must_use]
pub fn logins_over(
    store: Arc<dyn PlatformStore>,
    clock: Arc<dyn Clock>,
    seed: u64,
    policy: LoginPolicy,
) -> Logins {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let ports = LoginsPorts {
        accounts: Accounts::new(store, Arc::new(PlainPasswords), entropy),
        tokens: Arc::new(PlainTokens),
        coord: Arc::new(MemoryCoordinator::new(Arc::clone(&clock))),
        clock,
    };
    Logins::new(ports, policy)
}

/// Makes the operations over a store in memory that knows the specified plans and nobody yet.
///
/// # Errors
/// None: the store in memory takes them.
pub async fn memory_logins(clock: Arc<dyn Clock>, seed: u64) -> Result<Logins, StoreError> {
    let store = MemoryStore::new(Arc::clone(&clock));
    let mut tx = store.begin_platform().await?;
    for tier in Tier::defaults() {
        tx.put_tier(&tier).await?;
    }
    tx.commit().await?;
    let policy = LoginPolicy::default();
    Ok(logins_over(Arc::new(store), clock, seed, policy))
}
