//! Why an operation on accounts was not carried out.

use std::time::Duration;

use super::{PasswordError, SignError};
use crate::store::{AsStoreError, StoreError};
use crate::tenant::TierName;

/// Why an operation on a tenant, a person or a login was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Nobody may register.
    #[error("registration is closed here; ask the operator for an account")]
    RegistrationClosed,
    /// Somebody is registered with that address.
    #[error("somebody is registered with that e-mail address already")]
    EmailTaken,
    /// Nobody has that address, or the password is another one; which of the two is not said.
    #[error("e-mail address and password do not belong together")]
    WrongCredentials,
    /// The password that a person gave to change it is not the present one.
    #[error("is not the present password")]
    WrongPassword,
    /// Too many passwords were wrong.
    #[error("too many failed logins; wait, or ask for another password")]
    TooManyAttempts {
        /// When another attempt is counted anew.
        retry_after: Duration,
    },
    /// There is no such person.
    #[error("no such user")]
    UnknownUser,
    /// The tenant does not exist any more.
    #[error("this account is gone")]
    TenantGone,
    /// The tenant may not act.
    #[error("this account is suspended; ask the operator")]
    TenantSuspended,
    /// The login by which the person acts has ended meanwhile.
    #[error("this login has ended; log in again")]
    LoginEnded,
    /// There is no plan of that name.
    #[error("there is no tier {asked}; choose one of {}", list(known))]
    UnknownTier {
        /// The name that was asked for.
        asked: TierName,
        /// The names that there are.
        known: Vec<TierName>,
    },
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] PasswordError),
    /// The access token could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(names: &[TierName]) -> String {
    let names: Vec<&str> = names.iter().map(TierName::as_str).collect();
    names.join(", ")
}

impl AsStoreError for AccountError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

/// Why an operation on an API key was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The tenant has no such key.
    #[error("no such API key")]
    UnknownKey,
    /// The tenant has no session of that id.
    #[error("no such session")]
    UnknownSession,
    /// The expiry is not after now.
    #[error("must be in the future")]
    ExpiryInPast,
    /// The old key cannot stay good for so long.
    #[error("must be at most 604800 seconds (a week)")]
    OverlapTooLong,
    /// The key has ended, so there is nothing to replace.
    #[error("the key is revoked or expired; make a new one")]
    KeyEnded,
    /// The tenant may not be given a key.
    #[error(transparent)]
    Account(AccountError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AccountError> for KeyError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => Self::Store(error),
            other @ (AccountError::RegistrationClosed
            | AccountError::EmailTaken
            | AccountError::WrongCredentials
            | AccountError::WrongPassword
            | AccountError::TooManyAttempts { .. }
            | AccountError::UnknownUser
            | AccountError::TenantGone
            | AccountError::TenantSuspended
            | AccountError::LoginEnded
            | AccountError::UnknownTier { .. }
            | AccountError::Hash(_)
            | AccountError::Sign(_)) => Self::Account(other),
        }
    }
}

impl AsStoreError for KeyError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}
