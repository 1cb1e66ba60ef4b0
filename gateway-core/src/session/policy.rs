//! The configured times of a session's life.

use std::time::Duration;

/// The times of the table in section 4 of the specification. All are configurable; the defaults are
/// the specified ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// `STARTING` without a report: stop and start elsewhere.
    pub start_limit: Duration,
    /// Starts without a stable connection before the session is parked as `ERROR`.
    pub start_tries: u32,
    /// The repetition of an unanswered order.
    pub repeat_order: Duration,
    /// `WAITING` without room: the longest time to the next look.
    pub no_capacity_retry: Duration,
    /// After a scan: until `CONNECTED`.
    pub pairing_limit: Duration,
    /// After the last reported expiry of a QR code.
    pub qr_grace: Duration,
    /// From the first start of a session that is not linked to its end as `qr_timeout`.
    pub linking_limit: Duration,
    /// The same, once a passkey was asked for.
    pub passkey_limit: Duration,
    /// After the worker's own `retryAt`.
    pub reconnect_grace: Duration,
    /// The longest time a worker may spend on reconnecting.
    pub reconnect_limit: Duration,
    /// The first retry of `ERROR`; doubles with every attempt.
    pub error_backoff: Duration,
    /// The longest time between two retries of `ERROR`.
    pub error_backoff_limit: Duration,
    /// `STOPPING` without an answer: cordon the worker.
    pub stop_limit: Duration,
    /// `STOPPING` without an answer: renew the worker's lease no more.
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
            error_backoff: seconds(60),
            error_backoff_limit: seconds(60 * 60),
            stop_limit: seconds(60),
            stop_fence: seconds(5 * 60),
            stable: seconds(30),
        }
    }
}
