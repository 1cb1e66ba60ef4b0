//! `[orchestration]`: the times of the life of a session and of a worker.

use std::time::Duration;

use gateway_core::orchestrator::EffectLimits;
use gateway_core::session::SessionPolicy;
use gateway_core::worker::LeasePolicy;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::duration;

/// Time limits of everything that the gateway waits for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Orchestration {
    /// The time limit of a start on one worker.
    #[serde(with = "duration")]
    pub start: Duration,
    /// The most workers that are tried for one start.
    pub start_tries: u32,
    /// The pause between two repetitions of an order.
    #[serde(with = "duration")]
    pub repeat: Duration,
    /// The longest pause between two attempts to find room.
    #[serde(with = "duration")]
    pub no_capacity_retry: Duration,
    /// The time limit from the scan to the connection.
    #[serde(with = "duration")]
    pub pairing: Duration,
    /// How long a QR code may be overdue before the session is given up.
    #[serde(with = "duration")]
    pub qr_grace: Duration,
    /// The time limit for linking a session, from its first start.
    #[serde(with = "duration")]
    pub connect: Duration,
    /// The time limit for linking a session that asks for a passkey.
    #[serde(with = "duration")]
    pub passkey: Duration,
    /// How long an announced reconnection may be overdue.
    #[serde(with = "duration")]
    pub reconnect_grace: Duration,
    /// The time limit of a reconnection in all.
    #[serde(with = "duration")]
    pub reconnect_max: Duration,
    /// The least time until a session that has failed by itself is started again.
    #[serde(with = "duration")]
    pub retry_floor: Duration,
    /// The first wait after an error.
    #[serde(with = "duration")]
    pub error_backoff_min: Duration,
    /// The longest wait after an error.
    #[serde(with = "duration")]
    pub error_backoff_max: Duration,
    /// How long a worker is avoided on which a session did not come up.
    #[serde(with = "duration")]
    pub avoid: Duration,
    /// How many workers may die under a session before it is set aside.
    pub quarantine_deaths: u32,
    /// Within which time they must have died to count together.
    #[serde(with = "duration")]
    pub quarantine_window: Duration,
    /// For how long a worker must have held a session for its death not to count.
    #[serde(with = "duration")]
    pub quarantine_lived: Duration,
    /// How long a stop may take before the worker is cordoned.
    #[serde(with = "duration")]
    pub stop: Duration,
    /// How long a stop may take before the worker is fenced.
    #[serde(with = "duration")]
    pub stop_fence: Duration,
    /// How long a session must stay connected before its failures are forgotten.
    #[serde(with = "duration")]
    pub stable: Duration,
    /// How long a worker's lease on its sessions lasts.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// The time on top of the lease after which a silent worker counts as dead.
    #[serde(with = "duration")]
    pub lease_guard: Duration,
    /// The pause between two heartbeats of a worker.
    #[serde(with = "duration")]
    pub heartbeat: Duration,
    /// Silence after which nothing new is placed on a worker.
    #[serde(with = "duration")]
    pub suspect_after: Duration,
    /// The most effects that are performed at once on one worker.
    pub effects_per_worker: usize,
    /// The most effects that are performed at once in all.
    pub effects_total: usize,
}

impl Orchestration {
    /// Converts the times of a session's life into the core's policy.
    #[must_use]
    pub fn session_policy(&self) -> SessionPolicy {
        SessionPolicy {
            start_limit: self.start,
            start_tries: self.start_tries,
            repeat_order: self.repeat,
            no_capacity_retry: self.no_capacity_retry,
            pairing_limit: self.pairing,
            qr_grace: self.qr_grace,
            linking_limit: self.connect,
            passkey_limit: self.passkey,
            reconnect_grace: self.reconnect_grace,
            reconnect_limit: self.reconnect_max,
            retry_floor: self.retry_floor,
            error_backoff: self.error_backoff_min,
            error_backoff_limit: self.error_backoff_max,
            avoid: self.avoid,
            quarantine_deaths: self.quarantine_deaths,
            quarantine_window: self.quarantine_window,
            quarantine_lived: self.quarantine_lived,
            stop_limit: self.stop,
            stop_fence: self.stop_fence,
            stable: self.stable,
        }
    }

    /// Converts the times of a worker's lease into the core's policy.
    #[must_use]
    pub fn lease_policy(&self) -> LeasePolicy {
        LeasePolicy {
            lease: self.lease,
            guard: self.lease_guard,
            heartbeat: self.heartbeat,
            suspect_after: self.suspect_after,
        }
    }

    /// Converts the limits of effects into the core's form.
    #[must_use]
    pub const fn effect_limits(&self) -> EffectLimits {
        EffectLimits {
            per_worker: self.effects_per_worker,
            total: self.effects_total,
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::unless_positive([
            ("orchestration.start", self.start),
            ("orchestration.repeat", self.repeat),
            ("orchestration.no_capacity_retry", self.no_capacity_retry),
            ("orchestration.pairing", self.pairing),
            ("orchestration.connect", self.connect),
            ("orchestration.passkey", self.passkey),
            ("orchestration.retry_floor", self.retry_floor),
            ("orchestration.error_backoff_min", self.error_backoff_min),
            ("orchestration.stop", self.stop),
            ("orchestration.lease_guard", self.lease_guard),
            ("orchestration.heartbeat", self.heartbeat),
            ("orchestration.suspect_after", self.suspect_after),
        ])?;
        let tries = self.start_tries > 0;
        Invalid::unless("orchestration.start_tries", tries, "must be more than 0")?;
        let deaths = self.quarantine_deaths > 0;
        Invalid::unless(
            "orchestration.quarantine_deaths",
            deaths,
            "must be more than 0",
        )?;
        let some = self.effects_per_worker > 0;
        Invalid::unless(
            "orchestration.effects_per_worker",
            some,
            "must be more than 0",
        )?;
        let enough = self.effects_total >= self.effects_per_worker;
        let at_least = "must be at least orchestration.effects_per_worker";
        Invalid::unless("orchestration.effects_total", enough, at_least)?;
        let growing = self.error_backoff_max >= self.error_backoff_min;
        let at_least = "must be at least orchestration.error_backoff_min";
        Invalid::unless("orchestration.error_backoff_max", growing, at_least)?;
        let later = self.stop_fence > self.stop;
        Invalid::unless(
            "orchestration.stop_fence",
            later,
            "must be longer than orchestration.stop",
        )?;
        // Three heartbeats may be lost before a lease is in danger.
        let enough = self.lease >= self.heartbeat * 4;
        Invalid::unless(
            "orchestration.lease",
            enough,
            "must be at least four heartbeats",
        )
    }
}
