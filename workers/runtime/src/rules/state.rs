//! What passes between a session and its stored state.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::StoredState;

use super::lifecycle::live_at;
use super::{Order, Rules};
use crate::call::Call;
use crate::gateway::GatewayError;
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

    /// Returns the calls to the state store whose turn it is.
    pub(super) fn due_state_calls(&mut self, now: Moment) -> Vec<(Flight, Call)> {
        let sessions: Vec<_> = self.storing.iter().copied().collect();
        let mut calls = Vec::new();
        for session in sessions {
            let held = self.held.get_mut(&session);
            let Some(held) = held.filter(|held| !held.state.is_idle()) else {
                self.storing.remove(&session);
                continue;
            };
            if let Some(state_call) = held.state.take(now.uptime) {
                let flight = Flight::State(session, held.epoch);
                calls.push((flight, call(session, held.epoch, state_call)));
            }
        }
        calls
    }

    /// Hands the stored state, now sealed for this owner, to the engine, which may begin; not if a command is
    /// stopping the session.
    pub(super) fn state_read(&mut self, session: SessionId, epoch: Epoch, stored: StoredState) {
        self.persist_ok = true;
        let owner = self.owner();
        let Some(held) = live_at(self.held.get_mut(&session), epoch) else {
            return;
        };
        held.state.read(stored.version.seq);
        if held.stopping {
            return;
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
        self.persist_ok = true;
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
        let Some(held) = live_at(self.held.get_mut(&session), epoch) else {
            return;
        };
        match error {
            GatewayError::SeqConflict { current } if held.state.has_arrived(*current) => {
                self.state_written(session, epoch, *current);
            }
            error if error.is_temporary() => {
                held.state.failed(now.uptime);
                self.persist_ok = false;
            }
            _ => self.cut_off(session, epoch),
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
