//! The names of everything that is made for a run.
//!
//! The worker stub, the seeded rows and the load are three processes that must mean the same workers,
//! sessions and keys. All of them are therefore counted from nought and named here, so nothing has to be
//! passed between them but the numbers.

use std::net::Ipv4Addr;

use gateway_core::entropy::Entropy;
use gateway_core::id::{ApiKeyId, SessionId, TenantId};
use gateway_core::identity::ApiKeySecret;

/// What the workers register with.
pub(crate) const BOOTSTRAP: &str = "a-bootstrap-token-for-the-benchmark-only";
/// What every other secret of the servers is.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef-benchmark";
/// The plan that nobody reaches the limits of.
pub(crate) const TIER: &str = "BENCH";

/// Where ids begin: the layout of version 7, at a moment in 2025.
const BASE: u128 = 0x0196_0000_0000_7000_8000_0000_0000_0000;

/// How many workers, sessions, tenants and keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Registered workers.
    pub(crate) workers: u32,
    /// Connected sessions, spread evenly over the workers.
    pub(crate) sessions: u32,
    /// Tenants, at most one per session.
    pub(crate) tenants: u32,
    /// API keys, spread evenly over the tenants.
    pub(crate) keys: u32,
}

impl Size {
    /// Returns a thousand keys and as many tenants, with fewer tenants where there are fewer sessions.
    pub(crate) fn of(sessions: u32, workers: u32) -> Self {
        Self {
            workers,
            sessions,
            tenants: sessions.clamp(1, 1000),
            keys: 1000,
        }
    }

    /// Returns the tenant of a session.
    pub(crate) const fn tenant_of(&self, session: u32) -> u32 {
        session % self.tenants
    }

    /// Returns the worker of a session.
    pub(crate) const fn worker_of(&self, session: u32) -> u32 {
        session % self.workers
    }

    /// Returns the tenant of a key.
    pub(crate) const fn tenant_of_key(&self, key: u32) -> u32 {
        key % self.tenants
    }

    /// Returns the key that the `turn`th request uses for `session`: the tenant's keys in turn.
    pub(crate) fn key_for(&self, session: u32, turn: u32) -> u32 {
        let tenant = self.tenant_of(session);
        let keys = (self.keys - tenant).div_ceil(self.tenants).max(1);
        tenant + self.tenants * (turn % keys)
    }
}

/// Returns the id of a worker.
pub(crate) fn worker(number: u32) -> String {
    format!("bench-{number}")
}

/// Returns the incarnation of a worker in one run of the stub.
pub(crate) fn incarnation(run: &str, number: u32) -> String {
    format!("run-{run}-{number}")
}

/// Returns the base URL of a worker: one port on an address of its own, so that each has connections of
/// its own.
pub(crate) fn endpoint(port: u16, number: u32) -> String {
    format!("http://127.1.{}.{}:{port}", number / 250, 1 + number % 250)
}

/// Returns the number of the worker at an address of [`endpoint`].
pub(crate) const fn worker_at(address: Ipv4Addr) -> u32 {
    let [_, _, hundreds, place] = address.octets();
    hundreds as u32 * 250 + (place as u32).saturating_sub(1)
}

/// Returns the id of a session.
pub(crate) const fn session(number: u32) -> SessionId {
    SessionId::from_u128(BASE | number as u128)
}

/// Returns the id of a tenant.
pub(crate) const fn tenant(number: u32) -> TenantId {
    TenantId::from_u128(BASE | number as u128)
}

/// Returns the id of a key.
pub(crate) const fn key_id(number: u32) -> ApiKeyId {
    ApiKeyId::from_u128(BASE | number as u128)
}

/// Returns the secret of a key.
pub(crate) fn key(number: u32) -> ApiKeySecret {
    ApiKeySecret::generate(&Counted::from(number))
}

/// Numbers that look random and are the same in every process.
#[derive(Debug)]
struct Counted(std::sync::atomic::AtomicU64);

impl From<u32> for Counted {
    fn from(number: u32) -> Self {
        Self((u64::from(number) << 32).into())
    }
}

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mixed = (next ^ (next >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed >> 32) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_repeat() {
        assert_eq!(key(7).reveal(), key(7).reveal());
        assert_ne!(key(7).reveal(), key(8).reveal());
    }

    #[test]
    fn a_worker_is_known_by_its_address() {
        for number in [0, 9, 249, 250, 999] {
            let endpoint = endpoint(80, number);
            let host = endpoint.trim_start_matches("http://");
            let address = host.trim_end_matches(":80").parse();
            assert_eq!(worker_at(address.expect("an address")), number);
        }
    }

    #[test]
    fn a_session_is_used_with_keys_of_its_tenant() {
        for size in [
            Size::of(10, 10),
            Size::of(1000, 10),
            Size::of(100_000, 1000),
        ] {
            for session in 0..size.sessions.min(5000) {
                for turn in [0, 1, 99, 1234] {
                    let key = size.key_for(session, turn);
                    assert!(key < size.keys);
                    assert_eq!(size.tenant_of_key(key), size.tenant_of(session));
                }
            }
        }
    }

    #[test]
    fn workers_have_addresses_of_their_own() {
        assert_eq!(endpoint(9000, 0), "http://127.1.0.1:9000");
        assert_eq!(endpoint(9000, 999), "http://127.1.3.250:9000");
    }
}
