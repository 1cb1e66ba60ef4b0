//! Passwords: Argon2id (19 MiB, t = 2, p = 1), off the async threads and few at a time.
//!
//! Each hash takes some 25 ms of a core and 19 MiB, which is what makes guessing expensive and what
//! would let anybody exhaust this machine; so they wait for a permit. A login of somebody unknown
//! verifies a decoy, so that it takes as long as a wrong password.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier};
use async_trait::async_trait;
use gateway_core::account::{Password, PasswordError, PasswordHasher};
use gateway_core::entropy::Entropy;
use tokio::sync::Semaphore;

/// A hash that no password has: its hash part is all zeros.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZGVjb3lkZWNveWRlY295ZA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SALT_BYTES: usize = 16;

/// Hashes and verifies passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
}

impl Passwords {
    /// Makes a hasher that works on at most `at_once` passwords at the same time.
    #[must_use]
    pub fn new(at_once: usize, entropy: Arc<dyn Entropy>) -> Self {
        let permits = Arc::new(Semaphore::new(at_once));
        Self { permits, entropy }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await;
        let permit = permit.map_err(|error| PasswordError(Box::new(error)))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|error| PasswordError(Box::new(error)))
    }
}

#[async_trait]
impl PasswordHasher for Passwords {
    async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        let password = password.clone();
        let hash = move || {
            let bytes = password.reveal().as_bytes();
            let hash = Argon2::default().hash_password_with_salt(bytes, &salt);
            hash.map(|hash| hash.to_string())
        };
        self.run(hash)
            .await?
            .map_err(|error| PasswordError(error.to_string().into()))
    }

    async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, PasswordError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(DECOY).to_owned();
        let password = password.clone();
        let verify = move || {
            let bytes = password.reveal().as_bytes();
            PasswordVerifier::<str>::verify_password(&Argon2::default(), bytes, &hash).is_ok()
        };
        Ok(self.run(verify).await? && known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::OsEntropy;

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let passwords = Passwords::new(2, Arc::new(OsEntropy));
        let secret = Password::new("correct horse");
        let hash = passwords.hash(&secret).await.expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let wrong = Password::new("wrong horse");
        for (password, hash, is_right) in [
            (&secret, Some(&*hash), true),
            (&wrong, Some(&*hash), false),
            (&secret, None, false),
        ] {
            let verified = passwords.verify(password, hash).await;
            assert_eq!(verified.expect("an answer"), is_right);
        }
    }

    #[test]
    fn the_decoy_costs_as_much_as_a_password() {
        let decoy = argon2::PasswordHash::new(DECOY).expect("a hash");
        let params = argon2::Params::try_from(&decoy).expect("params");
        let real = argon2::Params::default();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (real.m_cost(), real.t_cost(), real.p_cost())
        );
        assert!(decoy.salt.is_some() && decoy.hash.is_some());
    }
}
