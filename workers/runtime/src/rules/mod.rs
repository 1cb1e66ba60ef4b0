//! The protocol of a worker as a state machine: no runtime, no sockets, no clock.
//!
//! It keeps the worker's half of R-36 itself: before anything is allowed it asks its [`Gate`], it refuses
//! epochs that it has seen, remembers what it has stopped, and when its lease is over it drops its
//! sessions, takes a new incarnation and registers as empty.
//!
//! The rules never call the engine. What an engine has to be told waits in a queue of [`Order`]s until
//! whoever holds the engine has unlocked the rules: an engine reports from within its methods, and would
//! otherwise wait for itself.

mod answers;
mod calls;
mod commands;
mod leaving;
mod lifecycle;
mod shared;
mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::{Epoch, Incarnation, SessionId};
use gateway_core::protocol::{Accepted, HeldSession, Released, StartSession};
use gateway_core::session::Owner;
use gateway_core::state::StoredState;
use gateway_core::time::Uptime;
use gateway_core::worker::gate::Gate;

pub(crate) use commands::{Admitted, Finishing, Looked};
use leaving::Leave;
pub(crate) use shared::{Shared, lock};

use crate::engine::{EngineInfo, Load};
use crate::line::Backoff;
use crate::moment::Moment;
use crate::observer::Observer;
use crate::outbox::{Flight, Outbox};
use crate::refusal::Stopping;
use crate::sent::SentLog;
use crate::session::Session;
use crate::state_line::StateLine;
use crate::ticket::Ticket;
use crate::worker::WorkerCard;

/// Where the worker stands with the gateway.
#[derive(Clone, Debug)]
enum Membership {
    Outside(Backoff),
    Member {
        token: String,
        interval: Duration,
        next_beat: Uptime,
    },
    /// Delivers what it owes, and then says goodbye.
    Leaving(Leave),
    Gone,
}

/// A session that is held.
#[derive(Debug)]
struct Held {
    epoch: Epoch,
    order: StartSession,
    accepted: Accepted,
    /// The status as it was last reported.
    status: String,
    /// Whether the engine has been told to run it.
    started: bool,
    /// Whether a command is stopping it.
    stopping: bool,
    /// The sequence that its stored state has reached, as far as the worker knows; it never goes back.
    reached: u64,
    state: StateLine,
}

/// The newest epoch of a session that this process has seen; a tombstone unless it is held.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    epoch: Epoch,
    last_seq: u64,
}

/// Something that the engine has to be told.
#[derive(Debug)]
pub(crate) enum Order {
    Start {
        session: SessionId,
        epoch: Epoch,
        owner: Owner,
        order: Box<StartSession>,
        stored: StoredState,
    },
    Abandon {
        session: SessionId,
        epoch: Epoch,
    },
}

/// How the engine is stopping a session, and the ticket of those who have ordered the same.
type Finish = (Stopping, Ticket<Option<Released>>);

/// The state machine of a worker's protocol. See the module's page.
#[derive(Debug)]
pub(crate) struct Rules {
    card: WorkerCard,
    info: EngineInfo,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
    incarnation: Incarnation,
    born: Uptime,
    gate: Gate,
    membership: Membership,
    held: BTreeMap<SessionId, Held>,
    /// Sessions whose state line has something to do.
    storing: BTreeSet<SessionId>,
    seen: BTreeMap<SessionId, Seen>,
    /// Sessions that are being restored after a restart.
    recovering: BTreeMap<SessionId, Epoch>,
    /// The back-off of the question for assigned sessions, while it has to be asked.
    wants_assigned: Option<Backoff>,
    sent: SentLog,
    /// Sessions that the engine is stopping, by the epoch at which it runs them.
    finishing: BTreeMap<(SessionId, Epoch), Finish>,
    pub(crate) outbox: Outbox,
    persist_ok: bool,
    /// The pause before the next question whether it can be.
    probe: Backoff,
    /// How many renewals the gateway has granted, ever.
    renewals: u64,
    /// How many of them before it registered last.
    renewals_before: u64,
    /// The pause before the next registration; grows while incarnations end without a renewal.
    rejoin: Backoff,
    /// How many reports were given up, ever.
    given_up: u64,
    send_held: bool,
    draining: bool,
    /// Set once the worker takes nothing new; settled once all that it sent is acknowledged.
    quiet: Option<Ticket<()>>,
    /// What the engine has failed of.
    failure: Option<String>,
    report_seq: BTreeMap<SessionId, u64>,
    orders: VecDeque<Order>,
    /// The latest moment that the caller has named: what an engine says counts as said then.
    now: Moment,
}

impl Rules {
    pub(crate) fn new(
        card: WorkerCard,
        info: EngineInfo,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
        now: Moment,
    ) -> Self {
        Self {
            incarnation: fresh(&card, &*entropy),
            sent: SentLog::remembering(card.remembered_sends),
            card,
            info,
            entropy,
            observer,
            born: now.uptime,
            gate: Gate::default(),
            membership: Membership::Outside(Backoff::default()),
            held: BTreeMap::new(),
            storing: BTreeSet::new(),
            seen: BTreeMap::new(),
            recovering: BTreeMap::new(),
            wants_assigned: None,
            finishing: BTreeMap::new(),
            outbox: Outbox::default(),
            persist_ok: true,
            probe: Backoff::default(),
            renewals: 0,
            renewals_before: 0,
            rejoin: Backoff::default(),
            given_up: 0,
            send_held: true,
            draining: false,
            quiet: None,
            failure: None,
            report_seq: BTreeMap::new(),
            orders: VecDeque::new(),
            now,
        }
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner {
            worker: self.card.id.clone(),
            incarnation: self.incarnation.clone(),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.card.endpoint
    }

    pub(crate) fn token(&self) -> Option<&str> {
        match &self.membership {
            Membership::Member { token, .. } => Some(token),
            Membership::Leaving(leave) => Some(&leave.token),
            Membership::Outside(_) | Membership::Gone => None,
        }
    }

    pub(crate) fn is_registered(&self, now: Moment) -> bool {
        matches!(self.membership, Membership::Member { .. }) && self.gate.is_open(now.uptime)
    }

    pub(crate) const fn lease_until(&self) -> Option<Uptime> {
        self.gate.deadline()
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Returns what the engine has failed of, if it has.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Returns how many reports were given up, because the gateway does not take them.
    pub(crate) const fn given_up(&self) -> u64 {
        self.given_up
    }

    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.membership, Membership::Gone)
    }

    pub(crate) fn holds(&self) -> Vec<HeldSession> {
        let lines = self.held.iter().map(|(id, held)| HeldSession {
            session_id: *id,
            epoch: held.epoch,
            status: held.status.clone(),
        });
        lines.collect()
    }

    pub(crate) fn next_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Returns how old the process is, and how many sessions it holds.
    pub(crate) fn load_so_far(&self, now: Moment) -> (Duration, usize) {
        (now.uptime.since(self.born), self.held.len())
    }

    /// Returns whether a frame may go out for the session at `now`.
    pub(crate) fn may_act(&self, session: &Session, now: Uptime) -> bool {
        self.gate.is_open(now) && self.is_held(session.id, session.epoch)
    }

    fn is_held(&self, session: SessionId, epoch: Epoch) -> bool {
        let held = self.held.get(&session);
        held.is_some_and(|held| held.epoch == epoch)
    }

    /// Lets time pass: closes everything if the lease is over, and gives up calls without an answer.
    pub(crate) fn enforce_lease(&mut self, now: Moment) {
        if self.is_gone() {
            return;
        }
        self.check_gate(now);
        self.check_leave(now.uptime);
        for id in self.outbox.lost(now.uptime) {
            self.answered(id, now, Err(crate::GatewayError::Unreachable));
        }
    }

    /// Returns the calls that are due.
    pub(crate) fn advance(&mut self, load: Load, now: Moment) -> Vec<crate::Outbound> {
        self.enforce_lease(now);
        if self.is_gone() {
            return Vec::new();
        }
        self.calls_due(load, now)
    }

    /// Returns when [`Self::advance`] next has something to do.
    pub(crate) fn next_due(&self) -> Option<Uptime> {
        let membership = match &self.membership {
            Membership::Gone => return None,
            Membership::Outside(backoff) if !self.outbox.is_flying(&Flight::Register) => {
                Some(backoff.until())
            }
            Membership::Leaving(leave) => Some(self.leave_due(leave)),
            Membership::Member { next_beat, .. } => Some(*next_beat),
            Membership::Outside(_) => None,
        };
        let calls = [
            membership,
            self.owed(),
            self.gate.deadline(),
            self.outbox.next_loss(),
        ];
        calls.into_iter().flatten().min()
    }

    /// Returns when the next call is due that is neither registration, heartbeat nor goodbye.
    fn owed(&self) -> Option<Uptime> {
        match &self.membership {
            Membership::Member { .. } => {}
            Membership::Leaving(_) => return self.outbox.next_due(),
            Membership::Outside(_) | Membership::Gone => return None,
        }
        let storing = self.storing.iter();
        let storing = storing.filter_map(|session| self.held.get(session)?.state.next_due());
        let assigned = self.wants_assigned.as_ref().map(Backoff::until);
        let assigned = assigned.filter(|_| !self.outbox.is_flying(&Flight::Assigned));
        let due = storing.chain(self.outbox.next_due()).chain(assigned);
        due.chain(self.probe_due()).min()
    }
}

/// Draws the next incarnation of a worker. A mark that cannot stand in one is left out.
fn fresh(card: &WorkerCard, entropy: &dyn Entropy) -> Incarnation {
    Incarnation::marked(&card.run_mark, entropy).unwrap_or_else(|_| Incarnation::generate(entropy))
}
