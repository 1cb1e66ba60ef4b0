//! The moves that a decision is made of.
//!
//! A draft is the row on its way to the next one. Every move sets phase, deadline and due time
//! together, so a row in `WAITING`, `STARTING` or `STOPPING` always falls due.

use std::time::Duration;

use super::{Decision, InvalidTransition};
use crate::event::{Event, SessionDeleted, SessionQr, SessionStatusChanged};
use crate::session::input::{Closure, Command, Effect, Input, Report, StartOrder};
use crate::session::phase::{
    Challenge, ChallengeKind, Next, Observed, Owner, ParkKind, Parked, Phase, Stage,
};
use crate::session::{Desired, Pairing, Reason, Session, SessionPolicy};
use crate::time::Timestamp;

/// The row on its way to the next one, with the effects decided so far.
pub(super) struct Draft<'a> {
    pub(super) policy: &'a SessionPolicy,
    pub(super) row: Session,
    pub(super) now: Timestamp,
    effects: Vec<Effect>,
    deleted: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(policy: &'a SessionPolicy, row: &Session, now: Timestamp) -> Self {
        Self {
            policy,
            row: row.clone(),
            now,
            effects: Vec::new(),
            deleted: false,
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn refuse(
        &self,
        input: &Input,
        advice: &'static str,
    ) -> Result<(), InvalidTransition> {
        let (phase, status) = (self.row.phase.name(), self.row.status().status);
        Err(InvalidTransition {
            phase,
            status,
            input: input.name(),
            advice,
        })
    }

    fn enter(&mut self, phase: Phase) {
        if self.row.owner() != phase.owner() {
            self.row.silence = None;
        }
        self.row.phase = phase;
        self.row.phase_since = self.now;
        self.row.deadline = None;
        self.row.due_at = None;
        self.row.retry_at = None;
    }

    /// Enters `IDLE`: nothing is wanted and nothing is held.
    pub(super) fn rest(&mut self, reason: Option<Reason>) {
        self.enter(Phase::Idle);
        self.row.desired = Desired::Disconnected;
        self.row.reason = reason;
        self.row.attempt = 0;
        self.row.not_before = None;
        self.end_linking();
    }

    /// Enters `WAITING`: the session wants a worker, now or as soon as it may have one.
    pub(super) fn wait(&mut self, reason: Reason) {
        self.enter(Phase::Waiting);
        self.row.reason = Some(reason);
        self.row.deadline = if self.row.paired {
            None
        } else {
            self.row.linking_until
        };
        self.seek();
    }

    /// Looks for a worker, unless the session may not be started yet: then the row falls due when it may.
    pub(super) fn seek(&mut self) {
        let start_at = self.row.not_before.filter(|at| *at > self.now);
        self.row.not_before = start_at;
        self.row.retry_at = start_at;
        self.row.due_at = self.no_later(start_at.unwrap_or(self.now));
        if start_at.is_none() {
            self.effect(Effect::Place(self.row.id));
        }
    }

    /// Returns whether a session in `WAITING` may not be started yet.
    pub(super) fn is_braked(&self) -> bool {
        self.row.not_before.is_some_and(|at| at > self.now)
    }

    /// Carries out the tenant's `connect`: a fresh attempt with a clean record.
    pub(super) fn connect(&mut self, pairing: &Pairing, priority: u8) {
        self.want(pairing, priority);
        self.wait(Reason::Starting);
    }

    /// Notes that a connection is wanted. What went wrong before does not count any more.
    pub(super) fn want(&mut self, pairing: &Pairing, priority: u8) {
        self.row.desired = Desired::Connected;
        self.row.pairing = pairing.clone();
        self.row.priority = priority;
        self.forgive();
        self.end_linking();
    }

    /// Forgets what went wrong, because a person wants the session started.
    pub(super) fn forgive(&mut self) {
        self.row.attempt = 0;
        self.row.not_before = None;
        self.row.setbacks.deaths.clear();
    }

    /// Enters `STARTING`: the session is assigned to `owner` at the next epoch.
    pub(super) fn start(&mut self, owner: &Owner, state_format: Option<&str>) {
        self.enter(Phase::Starting {
            owner: owner.clone(),
        });
        self.row.epoch = self.row.epoch.next();
        self.row.attempt += 1;
        self.row.not_before = None;
        self.row.report_seq = 0;
        self.row.reason = None;
        if !self.row.paired {
            self.row.state_format = state_format.map(str::to_owned);
            let since = *self.row.linking_since.get_or_insert(self.now);
            self.row
                .linking_until
                .get_or_insert(since.plus(self.policy.linking_limit));
        }
        self.row.deadline = Some(self.now.plus(self.policy.start_limit));
        self.row.due_at = self.sooner(self.policy.repeat_order);
        if let Some(order) = StartOrder::of(&self.row) {
            self.effect(Effect::Start(order));
        }
    }

    /// Enters `STOPPING`: the owner is told to stop, and `next` follows once it has.
    pub(super) fn stop(&mut self, next: Next) {
        let Some(owner) = self.row.owner().cloned() else {
            return;
        };
        self.enter(Phase::Stopping { owner, next });
        self.row.deadline = Some(self.now.plus(self.policy.stop_limit));
        self.row.due_at = self.sooner(self.policy.repeat_order);
        self.repeat_stop();
    }

    /// Returns whether a row in `STOPPING` has been there for this long.
    pub(super) fn has_stopped_for(&self, span: Duration) -> bool {
        self.now >= self.row.phase_since.plus(span)
    }

    /// Repeats the order that a row in `STOPPING` stands for.
    pub(super) fn repeat_stop(&mut self) {
        let (Phase::Stopping { next, .. }, Some(order)) = (&self.row.phase, self.row.order())
        else {
            return;
        };
        let effect = match next {
            Next::Rest | Next::Start | Next::Park { .. } => Effect::Release(order),
            Next::Logout => Effect::Logout(order),
            Next::Delete => Effect::Forget(order),
        };
        self.effect(effect);
    }

    /// Does what `next` says once the owner has let go, as far as the tenant still wants it.
    pub(super) fn finish(&mut self, next: &Next) {
        let wanted = self.row.desired == Desired::Connected;
        match next {
            Next::Rest | Next::Start if wanted && self.linking_is_over() => {
                self.park(Self::qr_timeout());
            }
            Next::Rest | Next::Start if wanted => self.wait(Reason::Restarting),
            Next::Park { parked } if wanted => self.park(parked.clone()),
            Next::Rest | Next::Start | Next::Park { .. } => self.rest(None),
            Next::Logout => {
                self.unlink();
                self.rest(Some(Reason::LoggedOut));
            }
            Next::Delete => self.delete(),
        }
    }

    /// Enters `PARKED`: the session is set aside until `parked.until`, or until a person acts.
    pub(super) fn park(&mut self, parked: Parked) {
        let until = parked.until;
        self.enter(Phase::Parked { parked });
        self.row.reason = None;
        self.row.retry_at = until;
        self.row.due_at = until;
        self.row.not_before = None;
        self.end_linking();
    }

    /// Returns why a session is set aside when nobody has answered its code.
    pub(super) fn qr_timeout() -> Parked {
        Parked {
            kind: ParkKind::QrTimeout,
            reason: Reason::QrTimeout,
            until: None,
            action_required: Some("connect".to_owned()),
        }
    }

    /// Does what follows when the owner has closed the session.
    pub(super) fn closed(&mut self, closure: &Closure, retry_at: Option<Timestamp>) {
        let given = |reason: &Option<Reason>, default| reason.clone().unwrap_or(default);
        match closure {
            Closure::Disconnected { reason } => {
                if !self.row.paired {
                    let reason = given(reason, Reason::QrTimeout);
                    return self.park(Parked {
                        reason,
                        ..Self::qr_timeout()
                    });
                }
                self.try_again(given(reason, Reason::Disconnected));
            }
            Closure::LoggedOut { reason } => {
                self.unlink();
                self.park(Parked {
                    kind: ParkKind::LoggedOut,
                    reason: given(reason, Reason::LoggedOut),
                    until: None,
                    action_required: Some("connect".to_owned()),
                });
            }
            Closure::Restricted { reason, until } => self.park(Parked {
                kind: ParkKind::Restricted,
                reason: given(reason, Reason::Restricted),
                until: until.map(|until| until.max(self.floor())),
                action_required: until.is_none().then(|| "operator".to_owned()),
            }),
            Closure::Error {
                reason,
                action_required,
            } => {
                let reason = given(reason, Reason::Error);
                self.note_failed_start();
                self.park(self.failure(reason, action_required.as_deref(), retry_at));
            }
        }
    }

    /// Folds in what the owner says of a session that it holds.
    pub(super) fn observe(&mut self, owner: &Owner, observed: &Observed, report: &Report) {
        let previous = match &self.row.phase {
            Phase::Active { observed, .. } => Some(observed.clone()),
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Parked { .. } => None,
        };
        let observed = match (observed, &previous) {
            (Observed::Reconnecting { reason, .. }, Some(Observed::Reconnecting { since, .. })) => {
                Observed::Reconnecting {
                    reason: reason.clone(),
                    since: *since,
                }
            }
            (Observed::Reconnecting { reason, .. }, _) => Observed::Reconnecting {
                reason: reason.clone(),
                since: self.now,
            },
            (other, _) => other.clone(),
        };
        self.note_link(&observed, report);
        let deadline = self.deadline_of(&observed, previous.as_ref(), report.retry_at);
        if previous.is_none() {
            self.enter(Phase::Active {
                owner: owner.clone(),
                observed: observed.clone(),
            });
        } else {
            self.row.phase = Phase::Active {
                owner: owner.clone(),
                observed: observed.clone(),
            };
        }
        self.row.deadline = deadline;
        self.row.due_at = deadline;
        self.row.retry_at = match observed {
            Observed::Reconnecting { .. } => report.retry_at,
            Observed::Connecting { .. } | Observed::QrRequired { .. } | Observed::Connected => None,
        };
        if observed == Observed::Connected {
            self.end_linking();
            let was_connected = previous == Some(Observed::Connected);
            self.forget_attempts(was_connected);
        }
    }

    /// Sets `attempt` back to 0 after a stable connection; until then the row falls due again.
    pub(super) fn forget_attempts(&mut self, was_connected: bool) {
        let stable = self.row.status_since.plus(self.policy.stable);
        if was_connected && self.now >= stable {
            self.row.attempt = 0;
        }
        self.row.due_at = match (self.row.attempt, was_connected) {
            (0, _) => None,
            (_, true) => Some(stable),
            (_, false) => Some(self.now.plus(self.policy.stable)),
        };
    }

    fn note_link(&mut self, observed: &Observed, report: &Report) {
        self.row.paired |= links(observed, report);
        // Before that, a number is the one that a code was asked for, and nobody's account.
        if let Some(number) = report.phone_number.as_ref().filter(|_| self.row.paired) {
            self.row.phone_number = Some(number.clone());
        }
        if let Observed::QrRequired { challenge } = observed {
            let since = *self.row.linking_since.get_or_insert(self.now);
            let latest = since.plus(if self.passkey_was_asked(challenge.kind, since) {
                self.policy.passkey_limit
            } else {
                self.policy.linking_limit
            });
            let until = challenge.expires_at.plus(self.policy.qr_grace).min(latest);
            self.row.linking_until = Some(until);
        }
    }

    /// Returns whether a passkey was ever asked for in this linking. The longer limit then stays: only it
    /// reaches beyond the shorter one.
    fn passkey_was_asked(&self, kind: ChallengeKind, since: Timestamp) -> bool {
        let usual = since.plus(self.policy.linking_limit);
        kind == ChallengeKind::Passkey || self.row.linking_until.is_some_and(|until| until > usual)
    }

    fn deadline_of(
        &self,
        observed: &Observed,
        previous: Option<&Observed>,
        retry_at: Option<Timestamp>,
    ) -> Option<Timestamp> {
        match observed {
            Observed::Connecting { .. } => match (previous, self.row.deadline) {
                (Some(Observed::Connecting { .. }), Some(deadline)) => Some(deadline),
                _ => Some(self.now.plus(self.policy.pairing_limit)),
            },
            Observed::QrRequired { .. } => self.row.linking_until,
            Observed::Connected => None,
            Observed::Reconnecting { since, .. } => {
                let after = retry_at
                    .map_or(self.now, |at| at.max(self.now))
                    .plus(self.policy.reconnect_grace);
                Some(after.min(since.plus(self.policy.reconnect_limit)))
            }
        }
    }

    /// Notes that the account is not linked any more; its credentials are archived.
    pub(super) fn unlink(&mut self) {
        if self.row.paired {
            self.effect(Effect::Archive(self.row.id, self.row.epoch));
        }
        self.row.paired = false;
        self.row.phone_number = None;
        self.row.state_format = None;
    }

    pub(super) fn end_linking(&mut self) {
        self.row.linking_since = None;
        self.row.linking_until = None;
    }

    pub(super) fn delete(&mut self) {
        self.deleted = true;
        self.effect(Effect::Erase(self.row.id));
    }

    /// Returns whether a session that is not linked has used up its time.
    pub(super) fn linking_is_over(&self) -> bool {
        !self.row.paired
            && self
                .row
                .linking_until
                .is_some_and(|until| self.now >= until)
    }

    /// Returns the moment `span` from now, or the deadline if that is earlier.
    pub(super) fn sooner(&self, span: Duration) -> Option<Timestamp> {
        self.no_later(self.now.plus(span))
    }

    /// Returns `at`, or the deadline if that is earlier.
    fn no_later(&self, at: Timestamp) -> Option<Timestamp> {
        Some(self.row.deadline.map_or(at, |deadline| deadline.min(at)))
    }

    /// Tells the owner to stop because the tenant deletes the session or logs it out.
    pub(super) fn leave(&mut self, command: &Command) {
        self.row.desired = Desired::Disconnected;
        self.stop(if matches!(command, Command::Delete) {
            Next::Delete
        } else {
            Next::Logout
        });
    }

    /// Adds what follows from the difference to `before`: events, version and times.
    pub(super) fn settle(mut self, before: &Session) -> Decision {
        if self.deleted {
            let events = vec![Event::SessionDeleted(SessionDeleted {
                name: before.name.clone(),
            })];
            return Decision {
                row: None,
                events,
                effects: self.effects,
            };
        }
        let mut events = Vec::new();
        if let Some(challenge) = new_challenge(before, &self.row) {
            events.push(Event::SessionQr(SessionQr::new(challenge)));
        }
        let (old, new) = (before.status(), self.row.status());
        let told = |view: &crate::session::StatusView| {
            (
                view.status,
                view.reason.clone(),
                view.action_required.clone(),
            )
        };
        if told(&old) != told(&new) {
            self.row.status_since = self.now;
            let view = self.row.status();
            events.insert(
                0,
                Event::SessionStatus(SessionStatusChanged::new(&self.row, view)),
            );
        }
        if self.row != *before {
            self.row.version = before.version + 1;
            self.row.updated_at = self.now;
        }
        Decision {
            row: Some(self.row),
            events,
            effects: self.effects,
        }
    }
}

/// Returns whether a report says that the account is linked.
const fn links(observed: &Observed, report: &Report) -> bool {
    match observed {
        Observed::Connected => true,
        Observed::Connecting {
            stage: Stage::Pairing | Stage::Syncing,
        } => report.phone_number.is_some(),
        Observed::Connecting {
            stage: Stage::Starting,
        }
        | Observed::QrRequired { .. }
        | Observed::Reconnecting { .. } => false,
    }
}

fn challenge(row: &Session) -> Option<&Challenge> {
    if let Phase::Active {
        observed: Observed::QrRequired { challenge },
        ..
    } = &row.phase
    {
        return Some(challenge);
    }
    None
}

fn new_challenge<'s>(before: &Session, after: &'s Session) -> Option<&'s Challenge> {
    let new = challenge(after)?;
    (challenge(before) != Some(new) || before.epoch != after.epoch).then_some(new)
}
