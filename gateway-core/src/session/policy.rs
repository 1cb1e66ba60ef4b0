//! The configured times of a session's life.

use std::time::Duration;

/// The times of a session's life. All are configurable; the defaults are
/// the specified ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// How long a session may stay in `STARTING` without a report; then it is stopped and started
    /// elsewhere.
    pub start_limit: Duration,
    /// How many starts without a stable connection are made before the session is parked as `ERROR`.
    pub start_tries: u32,
    /// After which time an unanswered order is repeated.
    pub repeat_order: Duration,
    /// After which time a session in `WAITING` that found no room is looked at again, at the latest.
    pub no_capacity_retry: Duration,
    /// How long it may take from the scan to `CONNECTED`.
    pub pairing_limit: Duration,
    /// How long to wait for a new code after the last one has expired.
    pub qr_grace: Duration,
    /// How long a session that is not linked has from its first start until it ends as `qr_timeout`.
    pub linking_limit: Duration,
    /// How long it has instead of `linking_limit` once a passkey was asked for.
    pub passkey_limit: Duration,
    /// How long to wait beyond the time at which the worker said it would try again.
    pub reconnect_grace: Duration,
    /// The longest time a worker may spend on reconnecting.
    pub reconnect_limit: Duration,
    /// The least time until a session that has failed by itself is started again; it doubles with every
    /// attempt, up to `error_backoff_limit`.
    pub retry_floor: Duration,
    /// The time to the first retry of `ERROR`; it doubles with every attempt.
    pub error_backoff: Duration,
    /// The longest time between two retries of `ERROR`.
    pub error_backoff_limit: Duration,
    /// How long a worker is avoided on which the session did not come up, as long as another one has room.
    pub avoid: Duration,
    /// How many workers may die under a session before it is set aside for a person to look at.
    pub quarantine_deaths: u32,
    /// Within which time they must have died to count together.
    pub quarantine_window: Duration,
    /// For how long a worker must have held the session for its death not to count.
    pub quarantine_lived: Duration,
    /// How long an order to stop may stay unanswered before the worker is cordoned.
    pub stop_limit: Duration,
    /// How long an order to stop may stay unanswered before the worker's lease is no longer renewed.
    pub stop_fence: Duration,
    /// How long `CONNECTED` must last before earlier attempts are forgotten.
    pub stable: Duration,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            start_limit: seconds(30),
            start_tries: 3,
            repeat_order: seconds(5),
            no_capacity_retry: seconds(30),
            pairing_limit: seconds(210),
            qr_grace: seconds(10),
            linking_limit: seconds(190),
            passkey_limit: seconds(610),
            reconnect_grace: seconds(60),
            reconnect_limit: seconds(20 * 60),
            retry_floor: seconds(30),
            error_backoff: seconds(60),
            error_backoff_limit: seconds(60 * 60),
            avoid: seconds(5 * 60),
            quarantine_deaths: 3,
            quarantine_window: seconds(30 * 60),
            quarantine_lived: seconds(60),
            stop_limit: seconds(60),
            stop_fence: seconds(5 * 60),
            stable: seconds(30),
        }
    }
}
