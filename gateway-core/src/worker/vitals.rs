//! What one replica has itself observed of the workers: whether and how fast they answer, and how steadily they
//! have been there.
//!
//! Memory of one replica, never shared and never stored: it prefers one worker to another and lets commands to a
//! sick one fail at once, and is wrong without harm. Who holds a session, and who is dead, is decided by rows
//! and leases alone.
//!
//! Everything but the steadiness belongs to a *run* of a worker: a new incarnation begins with a closed breaker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::breaker::{Breaker, BreakerPolicy, CommandOutcome};
use super::latency::LatencyAverage;
use super::stability::{Incident, Stability};
use crate::id::{Incarnation, WorkerId};
use crate::session::Owner;
use crate::time::{Clock, Uptime};

/// How workers are observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VitalsPolicy {
    /// When commands to a worker stop for a while.
    pub breaker: BreakerPolicy,
    /// How often a worker's lease is renewed.
    pub heartbeat: Duration,
    /// How often a worker is asked for its health while its heartbeats come in time.
    pub probe_every: Duration,
}

impl Default for VitalsPolicy {
    fn default() -> Self {
        Self {
            breaker: BreakerPolicy::default(),
            heartbeat: Duration::from_secs(2),
            probe_every: Duration::from_secs(30),
        }
    }
}

/// The observations of one replica, of all workers. Share it between the orchestrator and every
/// [`GuardedLink`](super::GuardedLink).
#[derive(Debug)]
pub struct Vitals {
    clock: Arc<dyn Clock>,
    policy: VitalsPolicy,
    signs: Mutex<BTreeMap<WorkerId, Signs>>,
}

/// What is known of a worker at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Whether a command would go out to it now: freely, or as the trial after a pause. A worker that nobody
    /// asks for anything would otherwise never be placed on again.
    pub breaker_closed: bool,
    /// The average time that it takes to answer, in milliseconds; none before its first answer.
    pub latency_ms: Option<f64>,
    /// How unsteady it has been, from 0 to 1.
    pub instability: f64,
}

/// What is known of one worker.
#[derive(Debug)]
struct Signs {
    incarnation: Incarnation,
    breaker: Breaker,
    latency: LatencyAverage,
    stability: Stability,
    /// Whether it could be placed on when it was last seen.
    was_active: bool,
    /// How many heartbeats in a row it has missed.
    missed: u32,
    probed: Option<Uptime>,
}

impl Signs {
    fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            breaker: Breaker::default(),
            latency: LatencyAverage::default(),
            stability: Stability::default(),
            was_active: true,
            missed: 0,
            probed: None,
        }
    }

    fn read(&self, now: Uptime) -> Reading {
        Reading {
            breaker_closed: self.breaker.would_admit(now),
            latency_ms: self.latency.millis(),
            instability: self.stability.instability(now),
        }
    }

    fn owner(&self, worker: &WorkerId) -> Owner {
        Owner {
            worker: worker.clone(),
            incarnation: self.incarnation.clone(),
        }
    }

    /// Notes that another run of the worker has taken its place.
    fn restart(&mut self, incarnation: Incarnation, now: Uptime) {
        let mut stability = self.stability;
        stability.note(Incident::Restart, now);
        *self = Self {
            stability,
            ..Self::new(incarnation)
        };
    }

    fn is_probe_due(&self, now: Uptime, policy: &VitalsPolicy) -> bool {
        let period = match self.missed {
            0 => policy.probe_every,
            _ => policy.heartbeat,
        };
        self.probed.is_none_or(|last| now.since(last) >= period)
    }
}

impl Vitals {
    /// Creates the memory of a replica that has observed nothing yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, policy: VitalsPolicy) -> Self {
        Self {
            clock,
            policy,
            signs: Mutex::default(),
        }
    }

    /// Lets a command to `owner` out, or not.
    ///
    /// # Errors
    /// The time until it may be tried again: the worker's breaker is open.
    pub fn admit(&self, owner: &Owner) -> Result<(), Duration> {
        let now = self.now();
        let mut signs = self.signs();
        let known = signs.get_mut(&owner.worker);
        known
            .filter(|known| known.incarnation == owner.incarnation)
            .map_or(Ok(()), |known| {
                known.breaker.admit(now, &self.policy.breaker)
            })
    }

    /// Notes the outcome of a command to `owner` that was let out and took `took`.
    pub fn record(&self, owner: &Owner, outcome: CommandOutcome, took: Duration) {
        let now = self.now();
        let mut signs = self.signs();
        let Some(known) = of_run(&mut signs, owner) else {
            return;
        };
        if outcome != CommandOutcome::Unreachable {
            known.latency.add(took, now);
        }
        let opened = known.breaker.record(outcome, now, &self.policy.breaker);
        drop(signs);
        if opened {
            tracing::warn!(worker.id = %owner.worker, "commands to a worker fail; they are held back for a while");
        }
    }

    /// Notes that `owner` has answered a probe after `took`.
    pub fn record_probe(&self, owner: &Owner, took: Duration) {
        let now = self.now();
        if let Some(known) = of_run(&mut self.signs(), owner) {
            known.latency.add(took, now);
        }
    }

    /// Takes note of a run of a worker as the store shows it: `active` is whether it takes sessions. Returns
    /// what is known of it here.
    pub fn observe(&self, owner: &Owner, active: bool) -> Reading {
        let now = self.now();
        let mut signs = self.signs();
        let known = signs
            .entry(owner.worker.clone())
            .or_insert_with(|| Signs::new(owner.incarnation.clone()));
        if known.incarnation != owner.incarnation {
            known.restart(owner.incarnation.clone(), now);
        } else if active && !known.was_active {
            known.stability.note(Incident::Return, now);
        }
        known.was_active = active;
        known.read(now)
    }

    /// Takes note of which workers have not renewed, and for how long; every worker that is not in `late`
    /// has renewed in time.
    pub fn note_late(&self, late: &BTreeMap<Owner, Duration>) {
        let now = self.now();
        let beat = self.policy.heartbeat.as_millis().max(1);
        for (worker, known) in self.signs().iter_mut() {
            let silence = late.get(&known.owner(worker)).copied().unwrap_or_default();
            let missed = u32::try_from(silence.as_millis() / beat).unwrap_or(u32::MAX);
            let more = missed.saturating_sub(known.missed);
            if more > 0 {
                known.stability.note(Incident::MissedBeats(more), now);
            }
            known.missed = missed;
        }
    }

    /// Returns the runs of workers whose probe is due, and counts them as probed. A worker that misses
    /// heartbeats is probed at every beat, the others now and then.
    #[must_use]
    pub fn due_probes(&self) -> Vec<Owner> {
        let now = self.now();
        let mut due = Vec::new();
        for (worker, known) in self.signs().iter_mut() {
            if known.is_probe_due(now, &self.policy) {
                known.probed = Some(now);
                due.push(known.owner(worker));
            }
        }
        due
    }

    /// Forgets all workers but these.
    pub fn retain(&self, workers: &BTreeSet<WorkerId>) {
        self.signs().retain(|id, _| workers.contains(id));
    }

    /// Returns what is known of every worker, in id order.
    #[must_use]
    pub fn readings(&self) -> Vec<(WorkerId, Reading)> {
        let now = self.now();
        let signs = self.signs();
        let read = |(id, known): (&WorkerId, &Signs)| (id.clone(), known.read(now));
        signs.iter().map(read).collect()
    }

    /// Returns the time by the clock that observations go by.
    #[must_use]
    pub fn now(&self) -> Uptime {
        self.clock.uptime()
    }

    fn signs(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Signs>> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what is known of this very run; a worker that was not heard of is added. Returns none for a run
/// that is not the one the store showed last: it says nothing about the present one.
fn of_run<'a>(signs: &'a mut BTreeMap<WorkerId, Signs>, owner: &Owner) -> Option<&'a mut Signs> {
    let known = signs
        .entry(owner.worker.clone())
        .or_insert_with(|| Signs::new(owner.incarnation.clone()));
    (known.incarnation == owner.incarnation).then_some(known)
}
