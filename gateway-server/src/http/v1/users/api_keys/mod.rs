//! API keys: credentials of programs. The secret is shown once, when it is made.

mod create;
mod list;
mod revoke;
mod rotate;
mod update;

use gateway_core::account::IssuedKey;
use gateway_core::id::{ApiKeyId, SessionId};
use gateway_core::identity::{Access, ApiKey, Scope};
use gateway_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::http::routes::Routes;

/// Returns every route of this group.
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

impl From<IssuedKey> for CreatedKey {
    fn from(issued: IssuedKey) -> Self {
        let IssuedKey { secret, key } = issued;
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
