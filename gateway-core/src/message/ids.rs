//! Message ids that are fixed before the first attempt.
//!
//! With an `Idempotency-Key` the id is a keyed hash of tenant, session and key, so every repetition,
//! through whatever replica and after whatever crash, names the same message; without one it is random.
//! The id at WhatsApp is derived from it in either case, so a report that names both can be checked
//! without a look-up. The key of the hash is never rotated.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Sha256;

use crate::entropy::Entropy;
use crate::id::{MessageId, SessionId, TenantId};
use crate::time::Timestamp;

/// The id of a message at WhatsApp: `3EB0` and 18 upper-case hex digits for messages sent from here; opaque
/// for all others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct WaMessageId(String);

impl<'de> Deserialize<'de> for WaMessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = || D::Error::custom("must be 1 to 128 printable ASCII characters");
        Self::parse(&text).ok_or_else(refused)
    }
}

impl WaMessageId {
    /// Accepts any id that a worker may report: at most 128 characters of printable ASCII.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WaMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WaMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reports on a message come within this time, all but the last ones.
const RECENT: Duration = Duration::from_secs(24 * 3_600);
/// Longer than messages are kept.
const LONGEST_HISTORY: Duration = Duration::from_secs(400 * 24 * 3_600);

/// Derives message ids under a secret key.
#[derive(Clone)]
pub struct MessageIds {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for MessageIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageIds").finish_non_exhaustive()
    }
}

impl MessageIds {
    /// Creates a deriver under this key, which must never change as long as messages are stored.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // HMAC takes keys of any length; the error type exists for fixed-length MACs.
        let keyed = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { keyed }
    }

    /// Returns the id of a send with an idempotency key.
    #[must_use]
    pub fn keyed(&self, tenant: TenantId, session: SessionId, key: &str) -> MessageId {
        self.derive(
            b"key",
            &[
                &tenant.as_u128().to_be_bytes(),
                &session.as_u128().to_be_bytes(),
                key.as_bytes(),
            ],
        )
    }

    /// Returns a fresh id for a send without an idempotency key.
    #[must_use]
    pub fn random(now: Timestamp, entropy: &dyn Entropy) -> MessageId {
        MessageId::generate(now, entropy)
    }

    /// Returns whether a message of this id was made more than a day before `seen`, so that its first reports have
    /// long been recorded. Ids of sends with an idempotency key do not say when they were made: never.
    #[must_use]
    pub fn is_of_the_past(id: MessageId, seen: Timestamp) -> bool {
        if !id.is_time_ordered() {
            return false;
        }
        let made = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
        let made = Timestamp::from_micros(made.saturating_mul(1_000));
        // One hash in 64 looks time-ordered, and then like any time at all in ten thousand years: hardly ever like
        // one of these.
        let (oldest, youngest) = (seen.minus(LONGEST_HISTORY), seen.minus(RECENT));
        (oldest..youngest).contains(&made)
    }

    /// Returns the id of an inbound message, which is identified by session, chat, sender and its id at
    /// WhatsApp.
    #[must_use]
    pub fn inbound(
        &self,
        session: SessionId,
        chat: &str,
        sender: &str,
        wa: &WaMessageId,
    ) -> MessageId {
        self.derive(
            b"inbound",
            &[
                &session.as_u128().to_be_bytes(),
                chat.as_bytes(),
                sender.as_bytes(),
                wa.as_str().as_bytes(),
            ],
        )
    }

    /// Returns the id of a message that was written on the phone, which is identified by session, chat and its id at
    /// WhatsApp.
    #[must_use]
    pub fn own(&self, session: SessionId, chat: &str, wa: &WaMessageId) -> MessageId {
        self.derive(
            b"own",
            &[
                &session.as_u128().to_be_bytes(),
                chat.as_bytes(),
                wa.as_str().as_bytes(),
            ],
        )
    }

    /// Returns the id that an outbound message has at WhatsApp.
    #[must_use]
    pub fn wa(&self, id: MessageId) -> WaMessageId {
        let digest = self.digest(b"wa", &[&id.as_u128().to_be_bytes()]);
        WaMessageId(["3EB0", &hex::encode_upper(&digest[..9])].concat())
    }

    fn derive(&self, label: &[u8], parts: &[&[u8]]) -> MessageId {
        let digest = self.digest(label, parts);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        MessageId::from_u128(u128::from_be_bytes(bytes))
    }

    fn digest(&self, label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        for part in std::iter::once(&label).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}
