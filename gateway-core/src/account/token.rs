//! What a login gives: an access token, signed by a port, and a refresh token.

use std::fmt::{self, Debug};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::entropy::Entropy;
use crate::id::TokenFamilyId;
use crate::identity::random_text;
use crate::tenant::Tenant;
use crate::time::Timestamp;
use crate::user::User;

/// An access token could not be signed: a defect of the signer or of its keys.
#[derive(Debug, thiserror::Error)]
#[error("the access token could not be signed")]
pub struct SignError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Signs the access tokens of logins, as a port.
pub trait AccessTokenSigner: Debug + Send + Sync {
    /// Returns a token that says who the person is, which login it belongs to and
    /// [`User::token_generation`], and that expires [`Self::lifetime`] after `now`.
    ///
    /// # Errors
    /// The signer is not able to sign at all.
    fn sign(
        &self,
        user: &User,
        login: TokenFamilyId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, SignError>;

    /// Returns how long a token is good.
    fn lifetime(&self) -> Duration;
}

/// The secret text of a refresh token: `gwr_` and 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshSecret(String);

impl RefreshSecret {
    /// What every refresh token starts with.
    pub const PREFIX: &'static str = "gwr_";

    /// Draws a fresh one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(format!("{}{}", Self::PREFIX, random_text(entropy)))
    }

    /// Takes what a client shows. Any other text than one of ours has a hash that nobody has.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns what is stored of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// Returns the text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Debug for RefreshSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gwr_[redacted]")
    }
}

/// The tokens of a login, and whose they are.
#[derive(Clone)]
pub struct OpenedLogin {
    pub login: TokenFamilyId,
    /// Shown with every request.
    pub access_token: String,
    /// How long the access token is good.
    pub expires_in: Duration,
    /// Exchanged for the next pair of tokens.
    pub refresh_token: RefreshSecret,
    /// Who has logged in.
    pub user: User,
    pub tenant: Tenant,
}

impl Debug for OpenedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedLogin")
            .field("login", &self.login)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
