//! Why a session is where it is: the `reason` that tenants read beside the status.
//!
//! Tenants match on these words, so they are part of the public API: a word never changes its meaning, and
//! every word that the gateway gives by itself stands here once, with what it means. A worker may give a
//! reason of its own, which is passed on as it came, cut to 512 characters.
//!
//! | status | reasons |
//! |---|---|
//! | `DISCONNECTED` | none, `qr_timeout`, `logged_out`; while it stops: `stopping`, `logging_out`, `deleting` |
//! | `CONNECTING` | `starting`, `no_capacity`, `pairing`, `syncing`, `restarting`, `retrying`, `worker_lost`, `start_refused`, `disconnected`, or the worker's own |
//! | `QR_REQUIRED`, `CONNECTED` | none |
//! | `RECONNECTING` | `worker_silent`, none, or the worker's own |
//! | `LOGGED_OUT` | `logged_out`, `no_credentials`, or the worker's own |
//! | `RESTRICTED` | `restricted` or the worker's own |
//! | `ERROR` | `start_timeout`, `start_refused`, `disconnected`, `recovery_failed`, `error`, `quarantined`, `unknown_status_…`, or the worker's own |

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::bounds::words;

macro_rules! reasons {
    ($( #[doc = $meaning:literal] $variant:ident = $word:literal, )+) => {
        /// Why a session is where it is. See the page of this module for which status has which.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $( #[doc = $meaning] $variant, )+
            /// The worker's own word, or `unknown_status_…` for a status that the gateway does not know.
            /// Made by [`Reason::parse`] alone, so it never holds one of the words above.
            Reported(String),
        }

        impl Reason {
            /// Every word that the gateway gives by itself, with its meaning.
            pub const KNOWN: &'static [(Self, &'static str)] = &[
                $( (Self::$variant, $meaning), )+
            ];

            /// Returns the word that tenants read and stores keep.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )+
                    Self::Reported(word) => word,
                }
            }

            /// Reads a word. One that is not the gateway's is a worker's, of which only the beginning is kept.
            #[must_use]
            pub fn parse(word: &str) -> Self {
                match word {
                    $( $word => Self::$variant, )+
                    other => Self::Reported(words(other)),
                }
            }
        }
    };
}

reasons! {
    /// A start is under way.
    Starting = "starting",
    /// No worker has room; it is placed as soon as one has.
    NoCapacity = "no_capacity",
    /// The code was scanned and the account is being linked.
    Pairing = "pairing",
    /// The account is linked and its data is being read.
    Syncing = "syncing",
    /// It was stopped to be started again.
    Restarting = "restarting",
    /// The time to wait after a failure is over.
    Retrying = "retrying",
    /// Its worker is gone; it is placed on another one.
    WorkerLost = "worker_lost",
    /// Nothing is heard of its worker. If that lasts until `deadline`, it is placed on another one.
    WorkerSilent = "worker_silent",
    /// The worker refused the start.
    StartRefused = "start_refused",
    /// No worker has reported anything in time, several times in a row.
    StartTimeout = "start_timeout",
    /// The worker closed the connection without saying why.
    Disconnected = "disconnected",
    /// Nobody answered the code in time.
    QrTimeout = "qr_timeout",
    /// The account was unlinked: on the phone, or by a logout.
    LoggedOut = "logged_out",
    /// Linked according to the gateway, but the worker found no credentials.
    NoCredentials = "no_credentials",
    /// WhatsApp has locked or capped the account.
    Restricted = "restricted",
    /// The worker could not take the session up again after its restart.
    RecoveryFailed = "recovery_failed",
    /// The worker failed without saying why.
    Error = "error",
    /// Several workers have died just after they had begun to hold it. It is set aside until somebody connects or restarts it.
    Quarantined = "quarantined",
    /// The worker was told to let go of it.
    Stopping = "stopping",
    /// The worker was told to unlink the account.
    LoggingOut = "logging_out",
    /// The worker was told to unlink the account and to erase it.
    Deleting = "deleting",
}

impl Reason {
    /// Returns the reason for a status that the gateway does not know.
    pub(super) fn unknown_status(status: &str) -> Self {
        Self::Reported(format!("unknown_status_{}", status.to_lowercase()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Reason {
    fn from(word: &str) -> Self {
        Self::parse(word)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::parse(&word))
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use std::fmt::Write;

    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
    use utoipa::{PartialSchema, ToSchema};

    use super::Reason;

    impl PartialSchema for Reason {
        fn schema() -> RefOr<Schema> {
            let mut text = "Why a session is where it is: one of the gateway's own words, or the \
                worker's. Any other word is to be expected."
                .to_owned();
            for (reason, meaning) in Self::KNOWN {
                let _ = write!(text, "\n- `{reason}`: {}", meaning.trim());
            }
            let words = Self::KNOWN.iter().map(|(reason, _)| reason.as_str());
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(text))
                .examples(words)
                .into()
        }
    }

    impl ToSchema for Reason {}
}
