//! Who does something, for the record of what was done.

use std::net::{IpAddr, Ipv6Addr};

use crate::id::{ApiKeyId, TenantId, TokenFamilyId, UserId};

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address; none if it did not come over a network.
    pub address: Option<IpAddr>,
    /// The id under which the request is found in logs.
    pub request_id: Option<String>,
}

/// Who acts. The credential has been checked by whoever makes this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A person who has logged in.
    User {
        tenant: TenantId,
        user: UserId,
    },
    /// A program with an API key.
    Key {
        tenant: TenantId,
        key: ApiKeyId,
    },
    /// A worker that registers; what is done names it.
    Worker,
    /// Somebody at the command line of the server's machine.
    Operator,
    System,
}

impl ActorKind {
    /// Returns the name that records carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::Key { .. } => "key",
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::System => "system",
        }
    }

    /// Returns the id of the person or key; all others have none.
    #[must_use]
    pub fn id(self) -> Option<String> {
        match self {
            Self::User { user, .. } => Some(user.to_string()),
            Self::Key { key, .. } => Some(key.to_string()),
            Self::Worker | Self::Operator | Self::System => None,
        }
    }
}

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    /// The login by which a person acts. Whatever that person is granted is refused once it has ended.
    pub login: Option<TokenFamilyId>,
    pub origin: Origin,
}

impl Actor {
    /// Makes the actor for a person who has logged in.
    #[must_use]
    pub const fn user(tenant: TenantId, user: UserId, origin: Origin) -> Self {
        Self {
            kind: ActorKind::User { tenant, user },
            login: None,
            origin,
        }
    }

    /// Names the login by which the person acts.
    #[must_use]
    pub const fn by(mut self, login: TokenFamilyId) -> Self {
        self.login = Some(login);
        self
    }

    /// Makes the actor for a worker that registers.
    #[must_use]
    pub const fn worker(origin: Origin) -> Self {
        Self {
            kind: ActorKind::Worker,
            login: None,
            origin,
        }
    }

    /// Makes the actor for commands at the command line.
    #[must_use]
    pub fn operator() -> Self {
        Self {
            kind: ActorKind::Operator,
            login: None,
            origin: Origin::default(),
        }
    }

    /// Makes the actor for what the gateway does by itself.
    #[must_use]
    pub fn system() -> Self {
        Self {
            kind: ActorKind::System,
            login: None,
            origin: Origin::default(),
        }
    }
}

/// Returns the network that limits count as one client: an IPv4 address by itself, or the 64 bits of
/// an IPv6 address that one subscriber is given.
#[must_use]
pub fn client_network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_client() {
        let network = |text: &str| client_network(text.parse().expect("an address"));
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

    #[test]
    fn only_people_and_keys_have_an_id() {
        let origin = Origin::default();
        let user = Actor::user(TenantId::from_u128(1), UserId::from_u128(2), origin);
        assert_eq!(user.kind.name(), "user");
        assert!(user.kind.id().is_some_and(|id| id.starts_with("usr_")));
        assert_eq!(Actor::operator().kind.id(), None);
        assert_eq!(Actor::system().kind.name(), "system");
    }
}
