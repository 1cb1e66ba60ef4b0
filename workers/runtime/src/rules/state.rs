//! What passes between a session and its stored state.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::StartSessionMode;
use gateway_core::protocol::bounds::MAX_ENTRIES;
use gateway_core::protocol::state::JournalGroup;
use gateway_core::state::StoredState;
use gateway_core::time::Uptime;

use super::lifecycle::live_at;
use super::{Order, Rules};
use crate::call::Call;
use crate::gateway::GatewayError;
use crate::line::Setback;
use crate::moment::Moment;
use crate::outbox::Flight;
use crate::progress::Ending;
use crate::session::{Session, StateLost};
use crate::state_line::{Piece, StateCall};
use crate::ticket::Ticket;

impl Rules {
    /// Queues a piece of a session's state to be stored. Its ticket is settled as lost at once if the
    /// session is not held any more.
    pub(crate) fn write_state(
        &mut self,
        session: &Session,
        piece: Piece,
    ) -> Ticket<Result<(), StateLost>> {
        let Some(held) = live_at(self.held.get_mut(&session.id), session.epoch) else {
            return Ticket::already(Err(StateLost));
        };
        self.storing.insert(session.id);
        held.state.push(piece)
    }

    /// Returns the calls to the state store whose turn it is. Journal entries of several sessions travel together.
    pub(super) fn due_state_calls(&mut self, now: Moment) -> Vec<(Flight, Call)> {
        let sessions: Vec<_> = self.storing.iter().copied().collect();
        let (mut calls, mut groups) = (Vec::new(), Vec::new());
        for session in sessions {
            let held = self.held.get_mut(&session);
            let Some(held) = held.filter(|held| !held.state.is_idle()) else {
                self.storing.remove(&session);
                continue;
            };
            let epoch = held.epoch;
            match held.state.take(now.uptime) {
                Some(StateCall::Entries { after, entries }) => groups.push(JournalGroup {
                    session,
                    epoch,
                    after,
                    entries,
                }),
                Some(state_call) => {
                    let flight = Flight::State(session, epoch);
                    calls.push((flight, call(session, epoch, state_call)));
                }
                None => {}
            }
        }
        calls.extend(grouped(groups));
        calls.extend(self.probe_call(now));
        calls
    }

    /// Returns the question whether state can be stored, if it could not and nothing is being written that would
    /// show it: a worker on which nothing is placed for that has nothing to write.
    fn probe_call(&mut self, now: Moment) -> Option<(Flight, Call)> {
        let is_due = self.must_probe() && self.probe.is_over(now.uptime);
        let is_due = is_due && !self.outbox.is_flying(&Flight::Probe);
        is_due.then(|| (Flight::Probe, Call::AppendStates(Vec::new())))
    }

    /// Returns when it next asks whether state can be stored.
    pub(super) fn probe_due(&self) -> Option<Uptime> {
        let waits = self.must_probe() && !self.outbox.is_flying(&Flight::Probe);
        waits.then(|| self.probe.until())
    }

    fn must_probe(&self) -> bool {
        !self.persist_ok && self.storing.is_empty()
    }

    pub(super) fn probed(&mut self, outcome: Result<(), &GatewayError>, now: Moment) {
        match outcome {
            Ok(()) => self.note_persistence(true),
            Err(error) => self.probe.failed(now.uptime, error.asks_to_wait()),
        }
    }

    pub(super) fn states_written(
        &mut self,
        sessions: Vec<(SessionId, Epoch)>,
        results: Vec<Result<u64, GatewayError>>,
        now: Moment,
    ) {
        for ((session, epoch), result) in sessions.into_iter().zip(results) {
            match result {
                Ok(seq) => self.state_written(session, epoch, seq),
                Err(error) if error.ends_incarnation() => return self.incarnation_ended(now),
                Err(error) => self.refused(&Flight::State(session, epoch), &error, now),
            }
        }
    }

    /// Notes how far a session's stored state has come, as the gateway says.
    pub(super) fn expect_state(&mut self, session: SessionId, seq: u64) {
        if let Some(held) = self.held.get_mut(&session) {
            held.reached = held.reached.max(seq);
        }
    }

    /// Hands the stored state, now sealed for this owner, to the engine, which may begin; not if a command is
    /// stopping the session, nor if the state is older than it was: its cipher counters would be used twice.
    pub(super) fn state_read(&mut self, session: SessionId, epoch: Epoch, stored: StoredState) {
        self.note_persistence(true);
        let owner = self.owner();
        let Some(held) = live_at(self.held.get_mut(&session), epoch) else {
            return;
        };
        held.state.read(stored.version.seq);
        if held.stopping {
            return;
        }
        if held.order.mode == StartSessionMode::Restore && stored.version.seq < held.reached {
            tracing::error!(
                session.id = %session,
                stored = stored.version.seq,
                reached = held.reached,
                "the stored state has gone back: the session is not connected with it"
            );
            let behind = Ending::error("state_behind", Some("operator"));
            return self.end(session, epoch, &behind);
        }
        held.started = true;
        self.orders.push_back(Order::Start {
            session,
            epoch,
            owner,
            order: Box::new(held.order.clone()),
            stored,
        });
    }

    pub(super) fn state_written(&mut self, session: SessionId, epoch: Epoch, seq: u64) {
        self.note_persistence(true);
        if let Some(held) = live_at(self.held.get_mut(&session), epoch) {
            held.state.written(seq);
        }
    }

    pub(super) fn state_failed(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        error: &GatewayError,
        now: Moment,
    ) {
        let setback = error.setback(self.renewals);
        let Some(held) = live_at(self.held.get_mut(&session), epoch) else {
            return;
        };
        match error {
            GatewayError::SeqConflict { current } if held.state.has_arrived(*current) => {
                self.state_written(session, epoch, *current);
            }
            _ if setback == Setback::Refusal => self.cut_off(session, epoch),
            _ => {
                let is_hopeless = held.state.failed(setback, now.uptime);
                self.note_persistence(false);
                if is_hopeless {
                    self.cut_off(session, epoch);
                }
            }
        }
    }

    /// Notes whether session state can be stored, for the next heartbeat.
    pub(super) fn note_persistence(&mut self, ok: bool) {
        if ok == self.persist_ok {
            return;
        }
        self.persist_ok = ok;
        self.probe.succeeded();
        match ok {
            true => tracing::info!(worker.id = %self.card.id, "session state can be stored again"),
            false => tracing::warn!(
                worker.id = %self.card.id,
                "session state cannot be stored: the gateway places no sessions here until it can"
            ),
        }
    }

    /// Ends a session whose state cannot be stored, whatever its engine thinks.
    fn cut_off(&mut self, session: SessionId, epoch: Epoch) {
        let started = self.held.get(&session).is_some_and(|held| held.started);
        let ending = Ending::error("state_not_stored", Some("operator"));
        self.end(session, epoch, &ending);
        if started {
            self.orders.push_back(Order::Abandon { session, epoch });
        }
    }
}

/// The most bytes of entries in one call, and of sessions.
const CALL_BYTES: usize = 2 * 1024 * 1024;
const CALL_SESSIONS: usize = 200;

/// Returns the calls that carry these entries: an ordinary one where there is a single session.
fn grouped(groups: Vec<JournalGroup>) -> Vec<(Flight, Call)> {
    let mut batches: Vec<(usize, Vec<JournalGroup>)> = Vec::new();
    for group in groups {
        let bytes: usize = group.entries.iter().map(Vec::len).sum();
        let fits = |sum: usize, batch: &[JournalGroup]| {
            let entries = batch.iter().map(|other| other.entries.len());
            let entries = entries.sum::<usize>() + group.entries.len();
            sum + bytes <= CALL_BYTES && batch.len() < CALL_SESSIONS && entries <= MAX_ENTRIES
        };
        match batches.last_mut() {
            Some((sum, batch)) if fits(*sum, batch) => {
                *sum += bytes;
                batch.push(group);
            }
            _ => batches.push((bytes, vec![group])),
        }
    }
    batches
        .into_iter()
        .map(|(_, batch)| journal(batch))
        .collect()
}

fn journal(mut batch: Vec<JournalGroup>) -> (Flight, Call) {
    if batch.len() == 1
        && let Some(group) = batch.pop()
    {
        let (session, epoch, after) = (group.session, group.epoch, group.after);
        let entries = group.entries;
        let wanted = StateCall::Entries { after, entries };
        return (Flight::State(session, epoch), call(session, epoch, wanted));
    }
    let sessions = batch.iter().map(|group| (group.session, group.epoch));
    (
        Flight::Journal(sessions.collect()),
        Call::AppendStates(batch),
    )
}

fn call(session: SessionId, epoch: Epoch, wanted: StateCall) -> Call {
    match wanted {
        StateCall::Read => Call::ReadState { session, epoch },
        StateCall::Snapshot { after, bytes } => Call::PutState {
            session,
            epoch,
            after,
            snapshot: bytes,
        },
        StateCall::Entries { after, entries } => Call::AppendState {
            session,
            epoch,
            after,
            entries,
        },
    }
}
