//! What a login is answered with: a pair of tokens, and who it is for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::entropy::Entropy;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::RefreshToken;
use gateway_core::store::PlatformTx;
use gateway_core::tenant::{Tenant, TenantStatus, TierName};
use gateway_core::time::Timestamp;
use gateway_core::user::{Role, User};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::config::Secret;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};

/// What refresh tokens start with.
const PREFIX: &str = "gwr_";

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
    pub(in crate::http) fn new(user: &User, tenant: Tenant) -> Self {
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

/// What is stored of a refresh token. Another text than one of ours has a hash that nobody has.
pub(in crate::http) fn hash(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

/// Stores the next refresh token of a family in `tx`; commit before answering it.
pub(in crate::http) async fn open(
    parts: &ServerParts,
    tx: &mut dyn PlatformTx,
    user: &User,
    tenant: Tenant,
    family: Option<TokenFamilyId>,
) -> ApiResult<Login> {
    let now = tx.now().await?;
    let family = family.unwrap_or_else(|| TokenFamilyId::generate(now, &*parts.entropy));
    let refresh = draw(&*parts.entropy);
    let row = RefreshToken {
        hash: hash(&refresh),
        family,
        tenant: user.tenant,
        user: user.id,
        expires_at: now.plus(parts.auth.refresh_ttl),
        used_at: None,
        created_at: now,
    };
    tx.insert_refresh(&row).await?;
    let access = &parts.verifiers.access;
    let token = access.issue(user, family, parts.clock.now(), &*parts.entropy);
    Ok(Login {
        access_token: token.map_err(Problem::internal)?,
        refresh_token: refresh.expose().to_owned(),
        expires_in: access.ttl().as_secs(),
        user: Profile::new(user, tenant),
    })
}

fn draw(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// A password as it comes in: 10 to 128 characters.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
pub(in crate::http) struct NewPassword(pub(in crate::http) Secret);

impl NewPassword {
    /// A rule for request structs.
    pub(in crate::http) fn check(&self, (): &()) -> Result<(), garde::Error> {
        match self.0.expose().chars().count() {
            10..=128 => Ok(()),
            _ => Err(garde::Error::new("must have 10 to 128 characters")),
        }
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
