//! API keys: credentials of programs. The secret is shown once, when it is made.

mod create;
mod list;
mod revoke;
mod rotate;
mod update;

use gateway_core::id::{ApiKeyId, SessionId};
use gateway_core::identity::{Access, ApiKey, ApiKeySecret, Scope};
use gateway_core::store::PlatformTx;
use gateway_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};
use crate::http::routes::Routes;
use crate::identity::Person;

/// Every route of this group.
pub fn routes() -> Routes {
    Routes::new()
        .add(Access::User, routes!(create::create, list::list))
        .add(Access::User, routes!(update::update, revoke::revoke))
        .add(Access::User, routes!(rotate::rotate))
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
struct Key {
    id: ApiKeyId,
    /// What its secret begins with.
    prefix: String,
    name: String,
    scopes: Vec<Scope>,
    /// The only session it may touch, if it is restricted.
    session_id: Option<SessionId>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// To the minute.
    last_used_at: Option<Timestamp>,
    created_at: Timestamp,
}

/// A new API key with its secret, which is never shown again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatedApiKey)]
struct CreatedKey {
    id: ApiKeyId,
    /// The secret.
    key: String,
    prefix: String,
    name: String,
    scopes: Vec<Scope>,
    session_id: Option<SessionId>,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl From<ApiKey> for Key {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            name: key.name,
            scopes: key.scopes,
            session_id: key.session,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
        }
    }
}

impl CreatedKey {
    fn new(secret: &ApiKeySecret, key: ApiKey) -> Self {
        Self {
            id: key.id,
            key: secret.reveal().to_owned(),
            prefix: key.prefix,
            name: key.name,
            scopes: key.scopes,
            session_id: key.session,
            expires_at: key.expires_at,
            created_at: key.created_at,
        }
    }
}

/// What a key is made of.
#[derive(Clone)]
struct Wish {
    name: String,
    scopes: Vec<Scope>,
    session: Option<SessionId>,
    expires_at: Option<Timestamp>,
}

/// Stores a fresh key in `tx`; commit before answering it.
async fn make(
    parts: &ServerParts,
    tx: &mut dyn PlatformTx,
    person: &Person,
    wish: Wish,
) -> ApiResult<CreatedKey> {
    let now = tx.now().await?;
    let secret = ApiKeySecret::generate(&*parts.entropy);
    let key = ApiKey {
        id: ApiKeyId::generate(now, &*parts.entropy),
        tenant: person.tenant,
        name: wish.name,
        hash: secret.hash(),
        prefix: secret.prefix(),
        scopes: wish.scopes,
        session: wish.session,
        expires_at: wish.expires_at,
        revoked_at: None,
        last_used_at: None,
        created_at: now,
    };
    tx.insert_key(&key).await?;
    Ok(CreatedKey::new(&secret, key))
}

async fn row(tx: &mut dyn PlatformTx, person: &Person, id: ApiKeyId) -> ApiResult<ApiKey> {
    let key = tx.key(person.tenant, id).await?;
    key.ok_or_else(|| Problem::not_found("API key"))
}

/// In their order, each once.
fn distinct(mut scopes: Vec<Scope>) -> Vec<Scope> {
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// # Errors
/// The time is over already.
fn in_future(expires_at: Option<Timestamp>, now: Timestamp) -> ApiResult<()> {
    match expires_at {
        Some(at) if at <= now => Err(Problem::field("expiresAt", "must be in the future")),
        Some(_) | None => Ok(()),
    }
}
