//! What went wrong with a session lately, and where: what placements avoid, and what sets it aside.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;
use crate::time::Timestamp;

/// Something that went wrong with a session on a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    pub worker: WorkerId,
    /// When it was noticed.
    #[serde(with = "micros")]
    pub at: Timestamp,
}

/// What went wrong with a session lately. Of each kind the last few are kept, in the order in which they
/// happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setbacks {
    /// Workers on which it did not come up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_starts: Vec<Setback>,
    /// Workers that died soon after they had begun to hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<Setback>,
}

/// How many of each kind are kept.
const KEPT: usize = 3;

impl Setbacks {
    /// Notes that the session did not come up on this worker. An earlier note of the same worker is replaced.
    pub(super) fn note_failed_start(&mut self, worker: &WorkerId, at: Timestamp) {
        self.failed_starts.retain(|known| known.worker != *worker);
        push(&mut self.failed_starts, worker, at, KEPT);
    }

    /// Notes that a worker died soon after it had begun to hold the session. Returns how many did so within
    /// `window`, this one included; `most` are kept.
    pub(super) fn note_death(
        &mut self,
        worker: &WorkerId,
        at: Timestamp,
        window: Duration,
        most: usize,
    ) -> usize {
        self.deaths.retain(|known| at.since(known.at) <= window);
        push(&mut self.deaths, worker, at, most);
        self.deaths.len()
    }

    /// Returns the workers on which the session has not come up within the last `span`.
    #[must_use]
    pub fn avoided(&self, now: Timestamp, span: Duration) -> BTreeSet<WorkerId> {
        let recent = self
            .failed_starts
            .iter()
            .filter(|known| now.since(known.at) < span);
        recent.map(|known| known.worker.clone()).collect()
    }
}

fn push(list: &mut Vec<Setback>, worker: &WorkerId, at: Timestamp, most: usize) {
    list.push(Setback {
        worker: worker.clone(),
        at,
    });
    let over = list.len().saturating_sub(most.max(1));
    list.drain(..over);
}

/// RFC 3339 would cut microseconds, and a row must come back as it was written.
mod micros {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_micros)
    }
}
