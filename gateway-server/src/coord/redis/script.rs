//! What Redis does in one step, as scripts, and the keys they touch.
//!
//! A key carries the session it belongs to in braces, so all keys of one session lie in one slot of a
//! cluster. Numbers that are compared are written with leading zeros and compared as text: Lua's numbers are
//! exact to 2^53 only.

use fred::types::scripts::Script;
use gateway_core::coord::PairingSecret;
use gateway_core::id::SessionId;
use gateway_core::session::ChallengeKind;

/// Stores ARGV[2] for ARGV[3] milliseconds, unless the stored value has a higher rank than ARGV[1].
const KEEP_NEWEST: &str = "
local known = redis.call('HGET', KEYS[1], 'rank')
if known and known > ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'rank', ARGV[1], 'text', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1";

/// Adds one to a counter. A counter without an end gets one, ARGV[1] milliseconds from now.
const COUNT: &str = "
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {count, left}";

/// Returns the counter and what is left of its window, or nothing if it does not run.
const COUNTED: &str = "
local count = redis.call('GET', KEYS[1])
if not count then return {} end
return {tonumber(count), redis.call('PTTL', KEYS[1])}";

/// Checks that scripts run and may write.
const PROBE: &str = "redis.call('SET', KEYS[1], '1', 'PX', '60000') return 1";

/// Every script, with its hash computed once.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) keep_newest: Script,
    pub(super) count: Script,
    pub(super) counted: Script,
    pub(super) probe: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            keep_newest: Script::from_lua(KEEP_NEWEST),
            count: Script::from_lua(COUNT),
            counted: Script::from_lua(COUNTED),
            probe: Script::from_lua(PROBE),
        }
    }
}

/// Makes the names of keys, all under one prefix.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn secret(&self, session: SessionId, kind: ChallengeKind) -> String {
        let kind = match kind {
            ChallengeKind::Qr => "qr",
            ChallengeKind::PairingCode => "pairing",
            ChallengeKind::Passkey => "passkey",
        };
        format!("{}:{{{session}}}:{kind}", self.prefix)
    }

    pub(super) fn counter(&self, name: &str) -> String {
        format!("{}:count:{name}", self.prefix)
    }

    /// Returns the key of the set of replicas.
    pub(super) fn replicas(&self) -> String {
        format!("{}:{{live}}", self.prefix)
    }

    /// Returns the key of what one replica shows, in the same slot of a cluster as those of all others.
    pub(super) fn live(&self, replica: &str) -> String {
        format!("{}:{{live}}:{replica}", self.prefix)
    }

    pub(super) fn probe(&self) -> String {
        format!("{}:probe", self.prefix)
    }

    /// Returns the channel of notices. Channels know no databases, so the prefix alone keeps two gateways
    /// apart.
    pub(super) fn channel(&self) -> String {
        format!("{}:notices", self.prefix)
    }
}

/// Returns the rank of a code: its epoch, then its index.
pub(super) fn rank_of_secret(secret: &PairingSecret) -> String {
    format!("{:020}.{:010}", secret.epoch.0, secret.index)
}

#[cfg(test)]
mod tests {
    use gateway_core::id::Epoch;
    use gateway_core::time::Timestamp;

    use super::*;

    #[test]
    fn the_keys_of_one_session_share_a_slot() {
        let keys = Keys::new("gateway");
        let session = SessionId::from_u128(7);
        let tag = format!("{{{session}}}");
        for kind in super::super::super::local::KINDS {
            assert!(keys.secret(session, kind).contains(&tag));
        }
        assert!(keys.live("a").starts_with(&keys.replicas()));
    }

    #[test]
    fn ranks_as_text_order_like_the_numbers() {
        let rank = |epoch, index| {
            rank_of_secret(&PairingSecret {
                epoch: Epoch(epoch),
                kind: ChallengeKind::Qr,
                index,
                text: String::new(),
                expires_at: Timestamp::from_micros(0),
            })
        };
        assert!(rank(9, 9) < rank(10, 0) && rank(10, 0) < rank(10, 1));
        assert!(rank(u64::MAX - 1, u32::MAX) < rank(u64::MAX, 0));
    }
}
