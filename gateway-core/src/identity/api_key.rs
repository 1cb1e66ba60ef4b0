//! API keys: 256 random bits with a checksum, stored as a hash.
//!
//! The checksum refuses a typo or a forged key before any look-up; SHA-256 is enough for a secret of
//! that size, so a request costs no password hashing.

use std::fmt;

use sha2::{Digest, Sha256};

use super::Scope;
use crate::entropy::Entropy;
use crate::id::{ApiKeyId, SessionId, TenantId};
use crate::time::Timestamp;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY: usize = 43;
const CHECK: usize = 6;

/// The secret text of a key: `gwk_`, 43 random characters, 6 of checksum.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

/// The error of a text that is not an API key, or is mistyped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key (gwk_…), or mistyped")]
pub struct InvalidApiKey;

impl ApiKeySecret {
    /// What every key starts with.
    pub const PREFIX: &'static str = "gwk_";

    /// Creates a fresh secret: 43 characters of 62 are 256 bits.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let body = random_text(entropy);
        let check = checksum(&body);
        Self(format!("{}{body}{check}", Self::PREFIX))
    }

    /// Checks form and checksum.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let rest = text.strip_prefix(Self::PREFIX).ok_or(InvalidApiKey)?;
        if rest.len() != BODY + CHECK || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidApiKey);
        }
        let (body, check) = rest.split_at(BODY);
        if checksum(body) != check {
            return Err(InvalidApiKey);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns what is stored of the secret: its SHA-256.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// Returns the first characters, which are shown to tell keys apart.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.0.chars().take(12).collect()
    }

    /// Returns the secret itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gwk_[redacted]")
    }
}

/// Draws the text of a secret: 43 characters of 62 are 256 bits.
pub(crate) fn random_text(entropy: &dyn Entropy) -> String {
    (0..BODY)
        .map(|_| char::from(ALPHABET[entropy.below(62) as usize]))
        .collect()
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest
        .iter()
        .take(CHECK)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % 62]))
        .collect()
}

/// The row of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub tenant: TenantId,
    /// What the tenant calls it.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// The first characters of the secret.
    pub prefix: String,
    /// What it may do; never empty.
    pub scopes: Vec<Scope>,
    /// The only session it may touch.
    pub session: Option<SessionId>,
    /// From when on it is refused; none means never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Grows with every write but [`super::KeyRepo::touch_key`].
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ApiKey {
    /// Returns whether the key is accepted at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting(std::sync::atomic::AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                let next = self
                    .0
                    .fetch_add(0x9e37_79b9, std::sync::atomic::Ordering::Relaxed);
                *byte = (next >> 7) as u8;
            }
        }
    }

    #[test]
    fn a_typo_is_noticed_without_a_look_up() {
        let key = ApiKeySecret::generate(&Counting(1.into()));
        assert_eq!(ApiKeySecret::parse(key.reveal()).as_ref(), Ok(&key));
        let mut typo = key.reveal().to_owned().into_bytes();
        typo[10] = if typo[10] == b'a' { b'b' } else { b'a' };
        assert!(ApiKeySecret::parse(&String::from_utf8_lossy(&typo)).is_err());
        assert!(ApiKeySecret::parse("gwk_short").is_err());
        assert!(!format!("{key:?}").contains(&key.reveal()[4..]));
    }
}
