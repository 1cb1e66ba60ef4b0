//! Access classes of routes, and which principal they admit.

use serde::{Deserialize, Serialize};

use crate::id::{ApiKeyId, SessionId, TenantId, UserId};
use crate::session::Owner;
use crate::user::Role;

/// What a key may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    /// Read sessions.
    #[serde(rename = "sessions:read")]
    SessionsRead,
    /// Create, connect, change and delete sessions.
    #[serde(rename = "sessions:write")]
    SessionsWrite,
    /// Read messages.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Send messages.
    #[serde(rename = "messages:send")]
    MessagesSend,
    /// Read events.
    #[serde(rename = "events:read")]
    EventsRead,
    /// Read webhook endpoints.
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// Change webhook endpoints.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// Read usage.
    #[serde(rename = "usage:read")]
    UsageRead,
}

impl Scope {
    /// All of them; a key that names none has all.
    pub const ALL: [Self; 8] = [
        Self::SessionsRead,
        Self::SessionsWrite,
        Self::MessagesRead,
        Self::MessagesSend,
        Self::EventsRead,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::UsageRead,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
            Self::MessagesRead => "messages:read",
            Self::MessagesSend => "messages:send",
            Self::EventsRead => "events:read",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::UsageRead => "usage:read",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Who a route is for. Declared where the route is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A logged-in user; no key.
    User,
    /// A logged-in user, or a key with this scope.
    Key(Scope),
    /// A logged-in user with the role of an operator; no key.
    Admin,
    /// A worker with its own token.
    Worker,
    /// A worker process with the fleet's bootstrap token or a reserved id's one-time token.
    Bootstrap,
}

/// Who is asking, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A logged-in user.
    User {
        /// Their tenant.
        tenant: TenantId,
        /// Who.
        user: UserId,
        /// What they may do.
        role: Role,
    },
    /// A program with a key.
    Key {
        /// Its tenant.
        tenant: TenantId,
        /// Which key.
        key: ApiKeyId,
        /// What it may do.
        scopes: Vec<Scope>,
        /// The only session it may touch, if it is restricted.
        session: Option<SessionId>,
    },
    /// A run of a worker.
    Worker(Owner),
}

/// Why a principal is not admitted; both are 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The route takes another kind of credential.
    #[error("this credential is not accepted here; {0}")]
    Credential(&'static str),
    /// The key lacks the scope.
    #[error("the API key needs the scope {}", .0.name())]
    Scope(Scope),
}

impl Access {
    /// Whether `principal` may use a route of this class.
    ///
    /// # Errors
    /// It may not; the error says what is missing.
    pub fn admits(self, principal: &Principal) -> Result<(), Denied> {
        match (self, principal) {
            (Self::Public, _)
            | (Self::User | Self::Key(_), Principal::User { .. })
            | (
                Self::Admin,
                Principal::User {
                    role: Role::Admin, ..
                },
            )
            | (Self::Worker, Principal::Worker(_)) => Ok(()),
            (Self::Key(scope), Principal::Key { scopes, .. }) if scopes.contains(&scope) => Ok(()),
            (Self::Key(scope), Principal::Key { .. }) => Err(Denied::Scope(scope)),
            (Self::User, Principal::Key { .. } | Principal::Worker(_)) => {
                Err(Denied::Credential("log in and use the access token"))
            }
            (Self::Key(_), Principal::Worker(_)) => {
                Err(Denied::Credential("use an API key or an access token"))
            }
            (
                Self::Admin,
                Principal::User {
                    role: Role::User, ..
                }
                | Principal::Key { .. }
                | Principal::Worker(_),
            ) => Err(Denied::Credential("log in as an administrator")),
            (Self::Worker, Principal::User { .. } | Principal::Key { .. }) => {
                Err(Denied::Credential("use the worker token"))
            }
            (
                Self::Bootstrap,
                Principal::User { .. } | Principal::Key { .. } | Principal::Worker(_),
            ) => Err(Denied::Credential("use the bootstrap token")),
        }
    }
}

impl Principal {
    /// The tenant it belongs to; workers belong to none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::User { tenant, .. } | Self::Key { tenant, .. } => Some(*tenant),
            Self::Worker(_) => None,
        }
    }
}
