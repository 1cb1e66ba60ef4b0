//! People who log in.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::id::{TenantId, UserId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// May do everything within the own tenant.
    User,
    /// May also use the routes of operators.
    Admin,
}

impl Role {
    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Admin => "ADMIN",
        }
    }

    /// Returns the role of that name, as [`Role::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::User, Self::Admin]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// An e-mail address, trimmed and lower case, so that every store sorts and collides alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The error of a text that is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as name@example.com, at most 254 characters")]
pub struct InvalidEmail;

impl Email {
    /// Normalises and checks the form: one `@`, something on both sides, a dot in the domain, no white
    /// space or control characters.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim().to_lowercase();
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let dotted =
            domain.split('.').count() > 1 && domain.split('.').all(|part| !part.is_empty());
        let fits = text.len() <= 254 && !local.is_empty() && local.len() <= 64;
        if fits && dotted && !domain.contains('@') && text.chars().all(plain) {
            return Ok(Self(text));
        }
        Err(InvalidEmail)
    }

    /// Returns the normalised address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The row of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub tenant: TenantId,
    /// Their address, unique over all tenants.
    pub email: Email,
    /// What they call themselves.
    pub name: Option<String>,
    /// The password's hash in PHC form.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// The generation of access tokens that is accepted; raising it ends all of them at once.
    pub token_generation: u64,
    /// Grows with every write.
    pub version: u64,
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// When they last logged in.
    pub last_login_at: Option<Timestamp>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Keeps users.
#[async_trait]
pub trait UserRepo: Send {
    /// Returns the tenant's user of that id, or none.
    async fn user(&mut self, tenant: TenantId, id: UserId) -> Result<Option<User>, StoreError>;

    /// Returns the tenant's user in its newest committed form and locks the row until this transaction
    /// ends. Taken after [`crate::tenant::TenantRepo::tenant_for_grant`], where both are.
    async fn lock_user(&mut self, tenant: TenantId, id: UserId)
    -> Result<Option<User>, StoreError>;

    /// Returns the user with that address, of whatever tenant: only for logging in.
    async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>, StoreError>;

    /// Stores a new user. [`StoreError::Duplicate`] if the address is known.
    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError>;

    /// Replaces the row if the stored version is one less; else [`StoreError::Conflict`].
    /// [`StoreError::Duplicate`] if the new address is known.
    async fn save_user(&mut self, user: &User) -> Result<(), StoreError>;
}
