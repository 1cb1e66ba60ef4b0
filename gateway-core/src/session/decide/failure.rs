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
        self.stop(Next::Start);
        self.brake(since);
    }

    /// Waits for another start after one that has come to nothing, unless there were too many already. A
    /// session that was connected need not pause first.
    pub(super) fn try_again(&mut self, reason: Reason) {
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
