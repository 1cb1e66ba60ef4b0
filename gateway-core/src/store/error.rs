//! What a store's failures mean to a caller, and how often an attempt is repeated.

use std::future::Future;

/// A value that a store holds at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// A user's address, over all tenants.
    Email,
    /// A user's id.
    UserId,
    /// A tenant's id.
    TenantId,
    /// The hash of an API key.
    ApiKey,
    /// An API key's id.
    ApiKeyId,
    /// A login's id.
    LoginId,
    /// The hash of a refresh token.
    RefreshToken,
    /// An audit entry's id.
    AuditId,
    /// A worker's id.
    WorkerId,
    /// The address of a worker that has not ended.
    WorkerEndpoint,
    /// A run of a worker.
    Incarnation,
    /// A session's id.
    SessionId,
    /// A session's name within its tenant.
    SessionName,
    /// A session's assignment at one epoch.
    Placement,
    /// A message's id within its tenant.
    MessageId,
}

impl Unique {
    /// Returns its name for a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::UserId => "user id",
            Self::TenantId => "tenant id",
            Self::ApiKey => "API key",
            Self::ApiKeyId => "API key id",
            Self::LoginId => "login id",
            Self::RefreshToken => "refresh token",
            Self::AuditId => "audit id",
            Self::WorkerId => "worker id",
            Self::WorkerEndpoint => "worker endpoint",
            Self::Incarnation => "incarnation",
            Self::SessionId => "session id",
            Self::SessionName => "session name",
            Self::Placement => "epoch of the session",
            Self::MessageId => "message id",
        }
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something that was read has changed, or the database asks for a repetition: begin again.
    #[error("the row was changed by somebody else meanwhile")]
    Conflict,
    /// A unique value is taken.
    #[error("the {} is already taken", .0.name())]
    Duplicate(Unique),
    /// The store cannot be reached or does not answer in time.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored row makes no sense.
    #[error("corrupt row in {table} ({id}): {why}")]
    Corrupt {
        table: &'static str,
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// Data that the database refuses (SQLSTATE class 21, 22, 23).
    #[error("the database refused the data")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else: a defect of the adapter or of the schema.
    #[error("the database failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Returns whether the same call may succeed if it is made again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict | Self::Unavailable(_) => true,
            Self::Duplicate(_) | Self::Corrupt { .. } | Self::Refused(_) | Self::Internal(_) => {
                false
            }
        }
    }
}

/// Runs whole attempts until one does not end in [`StoreError::Conflict`], at most `attempts` times.
///
/// `attempt` begins and commits its own transaction; nothing of a failed attempt survives.
///
/// # Errors
/// The last attempt's error.
pub async fn retry_conflicts<T, E, F, Fut>(attempts: u32, mut attempt: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: AsStoreError,
{
    let mut left = attempts;
    loop {
        left = left.saturating_sub(1);
        match attempt().await {
            Err(error) if left > 0 && error.is_conflict() => {
                tracing::debug!(
                    attempts.left = left,
                    "a transaction met another one; repeating"
                );
            }
            outcome => return outcome,
        }
    }
}

/// An error that may be a conflict between two transactions.
pub trait AsStoreError {
    /// Returns whether the whole attempt should be repeated.
    fn is_conflict(&self) -> bool;
}

impl AsStoreError for StoreError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }
}
