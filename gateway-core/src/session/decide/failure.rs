//! What follows when a session has failed by itself: a pause that grows, and an end of trying.
//!
//! Every way back to `WAITING` for the session's own failure goes through here, so none is without a pause. A
//! way back because its worker is lost is not its failure: it has no pause and counts as no attempt.

use std::time::Duration;

use super::draft::Draft;
use crate::session::Reason;
use crate::session::phase::{Next, Observed, ParkKind, Parked, Phase};
use crate::time::Timestamp;

impl Draft<'_> {
    /// Stops a session that has not come up in its time, and starts it again: not at once, but the time that
    /// it took to fail counts.
    pub(super) fn stop_and_try_again(&mut self) {
        let since = self.row.phase_since;
        self.note_failed_start();
        self.stop(Next::Start);
        self.brake(since);
    }

    /// Notes that the session has not come up on its present worker, which is avoided for a while.
    pub(super) fn note_failed_start(&mut self) {
        let failed_on = match &self.row.phase {
            Phase::Starting { owner }
            | Phase::Active {
                owner,
                observed: Observed::Connecting { .. },
            } => owner.worker.clone(),
            Phase::Active { .. }
            | Phase::Stopping { .. }
            | Phase::Idle
            | Phase::Waiting
            | Phase::Parked { .. } => return,
        };
        self.row.setbacks.note_failed_start(&failed_on, self.now);
    }

    /// Waits for another worker after the present one has died, unless the session seems to be what kills
    /// them. One that was never linked has an end of its own.
    pub(super) fn survive(&mut self) {
        if self.row.paired && self.is_young() && self.count_death() {
            return self.park(Self::quarantine());
        }
        self.lose_owner();
    }

    /// Waits for another worker: the present one is gone.
    pub(super) fn lose_owner(&mut self) {
        if self.linking_is_over() {
            return self.park(Self::qr_timeout());
        }
        // What the worker has not brought to an end is no attempt.
        self.row.attempt = self.row.attempt.saturating_sub(1);
        self.wait(Reason::WorkerLost);
    }

    /// Returns whether the owner has held the session for a short time only.
    fn is_young(&self) -> bool {
        match &self.row.phase {
            Phase::Starting { .. }
            | Phase::Active {
                observed: Observed::Connecting { .. },
                ..
            } => true,
            Phase::Active { .. } => {
                let last_heard = self.row.silence.map_or(self.now, |silence| silence.since);
                last_heard.since(self.row.phase_since) < self.policy.quarantine_lived
            }
            Phase::Stopping { .. } | Phase::Idle | Phase::Waiting | Phase::Parked { .. } => false,
        }
    }

    /// Counts the death of the present owner. Returns whether there were too many.
    fn count_death(&mut self) -> bool {
        let Some(worker) = self.row.owner().map(|owner| owner.worker.clone()) else {
            return false;
        };
        let most = usize::try_from(self.policy.quarantine_deaths).unwrap_or(usize::MAX);
        let window = self.policy.quarantine_window;
        self.row
            .setbacks
            .note_death(&worker, self.now, window, most)
            >= most
    }

    fn quarantine() -> Parked {
        Parked {
            kind: ParkKind::Error,
            reason: Reason::Quarantined,
            until: None,
            action_required: Some("connect".to_owned()),
        }
    }

    /// Stops a session that its owner does not hold any more, so that nothing is left of it, and starts it
    /// again.
    pub(super) fn stop_what_is_lost(&mut self) {
        let Some(owner) = self.row.owner().cloned() else {
            return;
        };
        self.row.setbacks.note_failed_start(&owner.worker, self.now);
        self.stop(Next::Start);
        self.brake(self.now);
    }

    /// Waits for another start after one that has come to nothing, unless there were too many already. A
    /// session that was connected need not pause first.
    pub(super) fn try_again(&mut self, reason: Reason) {
        self.note_failed_start();
        if self.row.attempt >= self.policy.start_tries {
            return self.park(self.failure(reason, None, None));
        }
        if !self.is_connected() {
            self.brake(self.now);
        }
        self.wait(reason);
    }

    fn is_connected(&self) -> bool {
        matches!(
            self.row.phase,
            Phase::Active {
                observed: Observed::Connected,
                ..
            }
        )
    }

    /// Lets the next start wait. `since` is the moment from which the time counts.
    fn brake(&mut self, since: Timestamp) {
        if self.row.attempt > 0 {
            self.row.not_before = Some(since.plus(self.grown(self.policy.retry_floor)));
        }
    }

    /// Returns the earliest moment at which a session that is set aside may be tried again.
    pub(super) fn floor(&self) -> Timestamp {
        self.now.plus(self.grown(self.policy.retry_floor))
    }

    /// Returns a time that doubles with every attempt, up to the longest time between two retries.
    fn grown(&self, first: Duration) -> Duration {
        let doublings = self.row.attempt.saturating_sub(1).min(16);
        let longest = self.policy.error_backoff_limit.max(first);
        first.saturating_mul(1 << doublings).min(longest)
    }

    /// Returns why a session is set aside after a failure. It is tried again at `retry_at`, or after a time
    /// that grows with the attempts.
    pub(super) fn failure(
        &self,
        reason: Reason,
        action_required: Option<&str>,
        retry_at: Option<Timestamp>,
    ) -> Parked {
        let backoff = self.grown(self.policy.error_backoff);
        let soonest = self.now.plus(self.policy.error_backoff).max(self.floor());
        let latest = self.now.plus(self.policy.error_backoff_limit).max(soonest);
        let until = retry_at.map_or(self.now.plus(backoff), |at| at.clamp(soonest, latest));
        Parked {
            kind: ParkKind::Error,
            reason,
            until: Some(until),
            action_required: action_required.map(str::to_owned),
        }
    }
}
