//! Passwords: what they may be, and the port that hashes them.

use std::fmt::{self, Debug};

use async_trait::async_trait;

use crate::entropy::Entropy;

/// A password that somebody typed. It is never shown.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Makes a password of any text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for hashing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The text cannot become a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 10 to 128 characters")]
pub struct InvalidPassword;

/// A password that somebody may have from now on: 10 to 128 characters.
#[derive(Clone, Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Checks the length in characters.
    ///
    /// # Errors
    /// Fewer than 10 or more than 128.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        match text.chars().count() {
            10..=128 => Ok(Self(Password::new(text))),
            _ => Err(InvalidPassword),
        }
    }

    /// Draws one that nobody has to type twice: 20 characters of 32 are 100 bits.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let text: String = (0..20)
            .map(|_| char::from(ALPHABET[(entropy.next_u64() % 32) as usize]))
            .collect();
        Self(Password(text))
    }

    /// Returns the password that was checked.
    #[must_use]
    pub const fn password(&self) -> &Password {
        &self.0
    }
}

/// A password could not be hashed: a defect of the hasher, or no memory is left.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct PasswordError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Hashes and verifies passwords.
///
/// An implementation makes guessing expensive, and bounds what all calls at once cost the machine.
#[async_trait]
pub trait PasswordHasher: Debug + Send + Sync {
    /// Returns the hash to store, with everything that verifying needs.
    async fn hash(&self, password: &Password) -> Result<String, PasswordError>;

    /// Returns whether `password` is the one of `hash`.
    ///
    /// Without a hash it is not, and that takes as long as a wrong password: so nobody learns who is
    /// registered.
    async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, PasswordError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_in_characters() {
        for (text, good) in [
            ("123456789".to_owned(), false),
            ("ü".repeat(10), true),
            ("x".repeat(128), true),
            ("x".repeat(129), false),
        ] {
            assert_eq!(NewPassword::parse(&text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let password = NewPassword::parse("correct horse").expect("long enough");
        assert!(!format!("{password:?}").contains("horse"));
    }
}
