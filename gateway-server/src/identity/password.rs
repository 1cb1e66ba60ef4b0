//! Passwords: Argon2id (19 MiB, t = 2, p = 1), off the async threads and few at a time.
//!
//! Each hash takes some 25 ms of a core and 19 MiB, which is what makes guessing expensive and what
//! would let anybody exhaust this machine; so they wait for a permit. A login of somebody unknown
//! verifies a decoy, so that it takes as long as a wrong password.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use gateway_core::entropy::Entropy;
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Of no password: the hash part is all zeros.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZGVjb3lkZWNveWRlY295ZA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SALT_BYTES: usize = 16;

/// A password could not be hashed: a defect of this program, or no memory is left.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct PasswordError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Hashes and verifies passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
}

impl Passwords {
    /// At most `at_once` at the same time.
    #[must_use]
    pub fn new(at_once: usize, entropy: Arc<dyn Entropy>) -> Self {
        let permits = Arc::new(Semaphore::new(at_once));
        Self { permits, entropy }
    }

    /// The hash to store, in PHC form.
    ///
    /// # Errors
    /// Only a defect of this program or a lack of memory.
    pub async fn hash(&self, password: Secret) -> Result<String, PasswordError> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        let hash = move || {
            let bytes = password.expose().as_bytes();
            let hash = Argon2::default().hash_password_with_salt(bytes, &salt);
            hash.map(|hash| hash.to_string())
        };
        self.run(hash)
            .await?
            .map_err(|error| PasswordError(error.to_string().into()))
    }

    /// Whether `password` is the one of `hash`; without a hash it takes as long and it is not.
    ///
    /// # Errors
    /// Only a defect of this program.
    pub async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let known = hash.is_some();
        let verify = move || {
            let hash = hash.as_deref().unwrap_or(DECOY);
            let bytes = password.expose().as_bytes();
            PasswordVerifier::<str>::verify_password(&Argon2::default(), bytes, hash).is_ok()
        };
        Ok(self.run(verify).await? && known)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::OsEntropy;

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let passwords = Passwords::new(2, Arc::new(OsEntropy));
        let secret = || Secret::new("correct horse");
        let hash = passwords.hash(secret()).await.expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = |secret, hash| passwords.verify(secret, hash);
        assert!(
            verify(secret(), Some(hash.clone()))
                .await
                .expect("an answer")
        );
        let wrong = Secret::new("wrong horse");
        assert!(!verify(wrong, Some(hash)).await.expect("an answer"));
        assert!(!verify(secret(), None).await.expect("an answer"));
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
