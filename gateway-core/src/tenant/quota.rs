//! Requests per hour, counted once over all replicas.
//!
//! The truth is one row per tenant and hour in the store. A replica does not ask it per request: it
//! draws chunks ahead of need and serves from them, so the hot path costs no round trip, and because a
//! chunk is granted before it is used the limit is never exceeded, whatever crashes. The price is that a
//! dead replica forfeits its chunk, and that up to 1/16 of the limit may lie unspent elsewhere.

use std::time::Duration;

use super::Drawn;
use crate::time::{Timestamp, Uptime};

const HOUR: Duration = Duration::from_secs(3600);

/// The most requests that one draw grants.
pub const MAX_CHUNK: u64 = 256;

/// Returns how many requests to grant at once: `remaining / (16 × replicas)`, at least 1, at most 256, and
/// never more than remain.
#[must_use]
pub fn chunk(remaining: u64, replicas: u32) -> u64 {
    (remaining / (16 * u64::from(replicas.max(1))))
        .clamp(1, MAX_CHUNK)
        .min(remaining)
}

/// What a replica may do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    Yes {
        /// A lower bound of what is left in this hour.
        remaining: u64,
        /// When the hour ends.
        resets_in: Duration,
        /// The hour it is counted in, for [`RequestAccount::refund`].
        hour: Timestamp,
        /// Whether the next chunk should be drawn now.
        draw: bool,
    },
    /// Draw a chunk first, then ask again.
    Draw,
    /// The limit is reached.
    No {
        /// When the hour ends.
        resets_in: Duration,
    },
}

/// One replica's account of one tenant.
///
/// The hour is the store's, as of the last draw, carried on by the replica's own suspend-proof clock. The
/// first chunk of the next hour can be drawn ahead; it waits apart until that hour has surely begun.
#[derive(Clone, Debug, Default)]
pub struct RequestAccount {
    hour: Option<Hour>,
    ahead: Option<Ahead>,
}

#[derive(Clone, Debug)]
struct Hour {
    start: Timestamp,
    ends: Uptime,
    /// When the newest draw was sent.
    sent: Uptime,
    left: u64,
    limit: u64,
    total: u64,
    chunk: u64,
    exhausted: bool,
}

#[derive(Clone, Debug)]
struct Ahead {
    begins: Uptime,
    hour: Hour,
}

impl Hour {
    fn of(sent: Uptime, limit: u64, drawn: &Drawn) -> Self {
        Self {
            start: drawn.hour,
            ends: sent.plus(drawn.hour.plus(HOUR).since(drawn.now)),
            sent,
            left: drawn.granted,
            limit,
            total: drawn.total,
            chunk: drawn.granted,
            exhausted: drawn.granted == 0,
        }
    }
}

impl RequestAccount {
    /// Takes one request out of the account, if there is one left.
    pub fn admit(&mut self, now: Uptime, limit: u64) -> Admit {
        if let Some(begun) = self.ahead.take_if(|ahead| now >= ahead.begins) {
            self.hour = Some(begun.hour);
        }
        let Some(hour) = self.hour.as_mut().filter(|hour| now < hour.ends) else {
            return Admit::Draw;
        };
        let resets_in = hour.ends.since(now);
        if hour.limit != limit {
            // The tier has changed: what was refused may be granted now, and the store decides.
            hour.limit = limit;
            hour.exhausted = false;
        }
        if hour.left > 0 {
            hour.left -= 1;
            let remaining = hour.left + limit.saturating_sub(hour.total);
            let draw = hour.left * 2 < hour.chunk && !hour.exhausted;
            return Admit::Yes {
                remaining,
                resets_in,
                hour: hour.start,
                draw,
            };
        }
        if hour.exhausted {
            return Admit::No { resets_in };
        }
        Admit::Draw
    }

    /// Adds a granted chunk. A chunk belongs to its hour; what is left of the former hour is dropped.
    ///
    /// `sent` is when the draw was sent: the store's time in the answer is at least that old, so the
    /// hour ends here no later than at the store. The answer of a former hour is late and is dropped, unless it
    /// answers the newest draw: then the store's clock has gone back, and the store is right.
    pub fn credit(&mut self, sent: Uptime, limit: u64, drawn: &Drawn) {
        let mut hour = Hour::of(sent, limit, drawn);
        match &self.hour {
            Some(known) if known.start == drawn.hour => hour.left += known.left,
            Some(known) if known.start > drawn.hour && sent <= known.sent => return,
            Some(known) if known.start > drawn.hour => self.ahead = None,
            _ => {}
        }
        if let Some(begun) = self.ahead.take_if(|ahead| ahead.hour.start <= drawn.hour)
            && begun.hour.start == drawn.hour
        {
            hour.left += begun.hour.left;
        }
        self.hour = Some(hour);
    }

    /// Puts the first chunk of the next hour aside. It cannot be spent before that hour: `received` is when
    /// the answer came, so the hour begins here no earlier than at the store.
    pub fn credit_ahead(&mut self, sent: Uptime, received: Uptime, limit: u64, drawn: &Drawn) {
        self.ahead = Some(Ahead {
            begins: received.plus(drawn.hour.since(drawn.now)),
            hour: Hour::of(sent, limit, drawn),
        });
    }

    /// Returns whether the first chunk of the next hour is there already.
    #[must_use]
    pub const fn is_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Puts back one request of `hour` that was answered 401 or 429, which do not count. Does nothing once
    /// the account is in another hour.
    pub fn refund(&mut self, hour: Timestamp) {
        if let Some(present) = self.hour.as_mut().filter(|present| present.start == hour) {
            present.left += 1;
        }
    }

    /// Returns what is left of the chunks of this hour and the next, to be given back at shutdown.
    #[must_use]
    pub fn unused(&self) -> Vec<(Timestamp, u64)> {
        let hours = self.hour.iter();
        let hours = hours.chain(self.ahead.iter().map(|ahead| &ahead.hour));
        let left = hours.filter(|hour| hour.left > 0);
        left.map(|hour| (hour.start, hour.left)).collect()
    }
}
