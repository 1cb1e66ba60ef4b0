//! What a login is answered with: a pair of tokens, and who it is for.

use gateway_core::account::{self, OpenedLogin};
use gateway_core::id::{TenantId, UserId};
use gateway_core::tenant::{Tenant, TenantStatus, TierName};
use gateway_core::time::Timestamp;
use gateway_core::user::{Role, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Secret;
use crate::http::problem::{ApiResult, Problem};

/// A login.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Login {
    /// For the `Authorization` header; valid for `expiresIn` seconds.
    access_token: String,
    /// Exchanged once for the next pair.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: u64,
    user: Profile,
}

/// A person.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(in crate::http) struct Profile {
    id: UserId,
    email: String,
    name: Option<String>,
    role: Role,
    tenant: Account,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_login_at: Option<Timestamp>,
}

/// The tenant a person belongs to.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tenant)]
struct Account {
    id: TenantId,
    name: String,
    #[schema(value_type = String)]
    tier: TierName,
    status: TenantStatus,
}

impl Profile {
    fn new(user: &User, tenant: Tenant) -> Self {
        Self {
            id: user.id,
            email: user.email.as_str().to_owned(),
            name: user.name.clone(),
            role: user.role,
            tenant: Account {
                id: tenant.id,
                name: tenant.name,
                tier: tenant.tier,
                status: tenant.status,
            },
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
        }
    }
}

impl From<OpenedLogin> for Login {
    fn from(opened: OpenedLogin) -> Self {
        Self {
            access_token: opened.access_token,
            refresh_token: opened.refresh_token.reveal().to_owned(),
            expires_in: opened.expires_in.as_secs(),
            user: Profile::new(&opened.user, opened.tenant),
        }
    }
}

impl From<account::Profile> for Profile {
    fn from(profile: account::Profile) -> Self {
        Self::new(&profile.user, profile.tenant)
    }
}

/// A password as it comes in: 10 to 128 characters.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
pub(in crate::http) struct NewPassword(Secret);

impl NewPassword {
    /// Returns a rule for request structs.
    pub(in crate::http) fn check(&self, (): &()) -> Result<(), garde::Error> {
        account::NewPassword::parse(self.0.expose())
            .map(drop)
            .map_err(|error| garde::Error::new(error.to_string()))
    }

    /// Makes the password, once the rule has been checked.
    pub(in crate::http) fn parse(&self) -> ApiResult<account::NewPassword> {
        account::NewPassword::parse(self.0.expose()).map_err(Problem::internal)
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
