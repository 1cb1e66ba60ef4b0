//! `[auth]`: credentials of people and the secrets behind tokens.

use std::time::Duration;

use gateway_core::account::{LoginPolicy, RegistrationPolicy};
use serde::{Deserialize, Serialize};

use super::unit::{choice, duration, optional};
use super::{Invalid, Secret};

/// The options of tokens, passwords and logins.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Who may register.
    #[serde(deserialize_with = "choice")]
    pub registration: Registration,
    /// The first signs access tokens, all verify them.
    pub jwt_secrets: Vec<Secret>,
    /// Life of an access token.
    #[serde(with = "duration")]
    pub access_ttl: Duration,
    /// Life of a refresh token.
    #[serde(with = "duration")]
    pub refresh_ttl: Duration,
    /// Workers' tokens are an HMAC under it.
    #[serde(with = "optional")]
    pub worker_token_key: Option<Secret>,
    /// Message ids of requests with an idempotency key are an HMAC under it.
    #[serde(with = "optional")]
    pub message_id_key: Option<Secret>,
    /// The most passwords that are hashed at the same time.
    pub password_hashers: usize,
    /// Failed logins per account or address and window.
    pub login_attempts: u32,
    /// The window of `login_attempts`.
    #[serde(with = "duration")]
    pub login_window: Duration,
}

/// Who may register a tenant with `POST /auth/register`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    Open,
    /// Only `gateway-server admin create-tenant` makes accounts.
    Closed,
}

impl Auth {
    /// The rules of logins.
    #[must_use]
    pub fn login_policy(&self) -> LoginPolicy {
        LoginPolicy {
            registration: match self.registration {
                Registration::Open => RegistrationPolicy::Open,
                Registration::Closed => RegistrationPolicy::Closed,
            },
            refresh_lifetime: self.refresh_ttl,
            attempts: self.login_attempts,
            window: self.login_window,
            ..LoginPolicy::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::unless_positive([
            ("auth.access_ttl", self.access_ttl),
            ("auth.refresh_ttl", self.refresh_ttl),
            ("auth.login_window", self.login_window),
        ])?;
        let longer = self.refresh_ttl > self.access_ttl;
        Invalid::unless(
            "auth.refresh_ttl",
            longer,
            "must be longer than auth.access_ttl",
        )?;
        Invalid::unless(
            "auth.password_hashers",
            self.password_hashers > 0,
            "must be more than 0",
        )?;
        Invalid::unless(
            "auth.login_attempts",
            self.login_attempts > 0,
            "must be more than 0",
        )
    }
}
