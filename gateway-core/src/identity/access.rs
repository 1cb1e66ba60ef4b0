//! Access classes of routes, and which principal they admit.

use serde::{Deserialize, Serialize};

use crate::id::{ApiKeyId, SessionId, TenantId, UserId};
use crate::session::Owner;
use crate::user::Role;

/// What a key may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    #[serde(rename = "sessions:read")]
    SessionsRead,
    /// Create, connect, change and delete sessions.
    #[serde(rename = "sessions:write")]
    SessionsWrite,
    #[serde(rename = "messages:read")]
    MessagesRead,
    #[serde(rename = "messages:send")]
    MessagesSend,
    #[serde(rename = "events:read")]
    EventsRead,
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    #[serde(rename = "usage:read")]
    UsageRead,
}

impl Scope {
    /// All scopes. A key that is made without naming any has all of them.
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

    /// Returns the name on the wire and in the store.
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

    /// Returns the scope of that name, as [`Scope::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Who may call a route. It is declared where the route is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
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

/// The proven identity of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    User {
        tenant: TenantId,
        user: UserId,
        /// What the user may do.
        role: Role,
    },
    /// A program with a key.
    Key {
        tenant: TenantId,
        key: ApiKeyId,
        /// What the key may do.
        scopes: Vec<Scope>,
        /// The only session that the key may touch, if it is restricted to one.
        session: Option<SessionId>,
    },
    /// A run of a worker.
    Worker(Owner),
}

/// Why a principal is not admitted; either is answered 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The route takes another kind of credential; the text says which.
    #[error("this credential is not accepted here; {0}")]
    Credential(&'static str),
    /// The key lacks the scope.
    #[error("the API key needs the scope {}", .0.name())]
    Scope(Scope),
}

impl Access {
    /// Checks that `principal` may use a route of this class.
    ///
    /// # Errors
    /// It may not use the route; the error says what is missing.
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
    /// Returns the tenant it belongs to; workers belong to none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::User { tenant, .. } | Self::Key { tenant, .. } => Some(*tenant),
            Self::Worker(_) => None,
        }
    }
}
