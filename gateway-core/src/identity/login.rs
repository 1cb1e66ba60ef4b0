//! Logins and their refresh tokens.
//!
//! A login is one row, the parent of every refresh token that descends from it. Granting the next token
//! writes that row on the condition that the login has not ended, and ending the login writes it too. So
//! under READ COMMITTED one of the two waits for the other: a grant that is on its way when the login
//! ends is either refused, or its tokens are of a login that has ended.

use std::time::Duration;

use async_trait::async_trait;

use crate::id::{TenantId, TokenFamilyId, UserId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The row of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub id: TokenFamilyId,
    pub tenant: TenantId,
    pub user: UserId,
    pub created_at: Timestamp,
    /// When the newest of its refresh tokens expires.
    pub expires_at: Timestamp,
    /// When it was ended before its time, if it was. Every token of it is refused from then on.
    pub ended_at: Option<Timestamp>,
}

/// The row of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The login that it descends from.
    pub family: TokenFamilyId,
    pub tenant: TenantId,
    pub user: UserId,
    /// From when it is refused.
    pub expires_at: Timestamp,
    /// When it was first exchanged.
    pub used_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl RefreshToken {
    /// Returns whether the token was first exchanged at most `leeway` before `now`.
    #[must_use]
    pub fn was_used_within(&self, leeway: Duration, now: Timestamp) -> bool {
        self.used_at.is_some_and(|used| now.since(used) <= leeway)
    }
}

/// What a store says about a refresh token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshUse {
    /// It was good and counts as used from now on.
    First(RefreshToken),
    /// It was used before, at [`RefreshToken::used_at`].
    Again(RefreshToken),
    /// It is unknown or expired, or its login has ended.
    Invalid,
}

/// Where logins and refresh tokens are kept.
#[async_trait]
pub trait LoginRepo: Send {
    /// Stores a new login.
    async fn insert_login(&mut self, login: &Login) -> Result<(), StoreError>;

    /// Sets when the login expires unless it has ended, and returns whether it has not.
    ///
    /// The row stays locked until this transaction ends, so nobody ends the login meanwhile.
    async fn extend_login(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends the login now, and returns whether it had not ended yet.
    async fn end_login(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError>;

    /// Ends every login of the user now.
    ///
    /// Call it after [`crate::user::UserRepo::lock_user`], which every new login takes too; otherwise a
    /// login that is being opened meanwhile is missed.
    async fn end_logins_of(&mut self, tenant: TenantId, user: UserId) -> Result<(), StoreError>;

    /// Returns whether the login is known and has not ended; its access tokens hold only as long.
    async fn login_is_live(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError>;

    /// Returns whether the login is known and has not ended, in its newest committed form, and keeps it from
    /// being ended until this transaction ends.
    ///
    /// Whoever grants a person another credential takes it after the tenant, so the end of the login by which
    /// the person acts is either seen by the grant or waits for it.
    async fn login_for_grant(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError>;

    /// Stores a new refresh token of a login.
    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError>;

    /// Marks a token as used, atomically: of any number of concurrent calls exactly one gets
    /// [`RefreshUse::First`].
    async fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<RefreshUse, StoreError>;
}
