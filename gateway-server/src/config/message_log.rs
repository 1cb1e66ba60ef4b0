//! `[message_log]`: how facts about messages are grouped into statements.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::duration;

/// The options of the message log's queue and batches.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MessageLog {
    /// The most sends that may wait in the queue at once.
    pub capacity: usize,
    /// The most facts in one statement.
    pub batch_size: usize,
    /// How long a small batch waits for more.
    #[serde(with = "duration")]
    pub batch_wait: Duration,
    /// How long after its worker has accepted it a message may be without an acknowledgement.
    #[serde(with = "duration")]
    pub acknowledged_within: Duration,
}

impl MessageLog {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::unless(
            "message_log.batch_size",
            self.batch_size > 0,
            "must be more than 0",
        )?;
        // A worker itself waits for half a minute.
        Invalid::unless(
            "message_log.acknowledged_within",
            self.acknowledged_within >= Duration::from_secs(30),
            "must be at least 30s",
        )?;
        let fits = self.capacity >= self.batch_size;
        Invalid::unless(
            "message_log.capacity",
            fits,
            "must be at least message_log.batch_size",
        )
    }
}
