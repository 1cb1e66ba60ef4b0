//! How a session's state is stored through the gateway.
//!
//! The simulated credentials are a device number and a cipher counter. Counters are stored ahead in
//! blocks: a send inside the stored block waits for nothing, a restart skips to the next block, and a
//! send beyond it is refused for the moment, because nothing may go out whose state is not stored.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::StoredState;
use serde::{Deserialize, Serialize};

use super::gateway_api::{Call, GatewayError};
use super::held::{Held, Moment, Stage};
use super::outbox::{Backoff, Flight};
use super::sim::{Ending, SimWorker};
use gateway_core::protocol::Mode;

/// What is in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    device: u64,
    phone_number: String,
    counters: u64,
}

/// What is in a journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    counters: u64,
}

/// What a session wants of the state store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Read,
    /// A snapshot that reserves counters up to here.
    Snapshot(u64),
    /// A journal entry that reserves counters up to here.
    Entry(u64),
}

/// Where a session stands with the state store: at most one call at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct StateLine {
    /// The newest sequence known to be stored.
    pub(super) seq: u64,
    entries: u32,
    /// Counters below this one are stored as used.
    reserved: u64,
    next: u64,
    wanted: Option<Wanted>,
    flying: bool,
    backoff: Backoff,
}

impl StateLine {
    /// One call that reads.
    pub(super) fn reading() -> Self {
        Self {
            wanted: Some(Wanted::Read),
            ..Self::default()
        }
    }

    /// Uses a counter; whether there was one.
    pub(super) fn use_counter(&mut self) -> bool {
        let stored = self.next < self.reserved;
        self.next += u64::from(stored);
        stored
    }

    fn running_out(&self, block: u64) -> bool {
        self.reserved - self.next <= block / 2
    }

    pub(super) fn next_due(&self) -> Option<gateway_core::time::Uptime> {
        (self.wanted.is_some() && !self.flying).then(|| self.backoff.until())
    }
}

impl SimWorker {
    /// Whether a send would have to wait until more counters are stored.
    #[must_use]
    pub fn is_short_of_counters(&self, session: SessionId) -> bool {
        let held = self.held.get(&session).filter(|held| held.is_connected());
        held.is_some_and(|held| held.state.next >= held.state.reserved)
    }

    /// Asks for the next block of counters while there are still some left.
    pub(super) fn reserve_counters(&mut self, session: SessionId) {
        let (block, compact_after) = (self.script.counter_block.max(1), self.script.compact_after);
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        let line = &mut held.state;
        if line.wanted.is_some() || !line.running_out(block) {
            return;
        }
        let until = line.reserved + block;
        line.wanted = Some(if line.entries >= compact_after {
            Wanted::Snapshot(until)
        } else {
            Wanted::Entry(until)
        });
        self.storing.insert(session);
    }

    /// Stores the credentials of a fresh link.
    pub(super) fn save_credentials(&mut self, session: SessionId) {
        let block = self.script.counter_block.max(1);
        if let Some(held) = self.held.get_mut(&session) {
            held.state.next = 0;
            held.state.reserved = 0;
            held.state.wanted = Some(Wanted::Snapshot(block));
            self.storing.insert(session);
        }
    }

    /// The calls to the state store whose turn it is.
    pub(super) fn due_state_calls(&mut self, now: Moment) -> Vec<(Flight, Call)> {
        let sessions: Vec<_> = self.storing.iter().copied().collect();
        let mut calls = Vec::new();
        for session in sessions {
            let Some(held) = self.held.get_mut(&session) else {
                self.storing.remove(&session);
                continue;
            };
            let line = &mut held.state;
            let Some(wanted) = line.wanted else {
                self.storing.remove(&session);
                continue;
            };
            if line.flying || !line.backoff.is_over(now.uptime) {
                continue;
            }
            line.flying = true;
            let epoch = held.epoch;
            calls.push((Flight::State(session, epoch), call(session, held, wanted)));
        }
        calls
    }

    pub(super) fn state_read(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        stored: &StoredState,
        now: Moment,
    ) {
        self.persist_ok = true;
        let Some(held) = live_at(&mut self.held, session, epoch) else {
            return;
        };
        held.state.flying = false;
        held.state.backoff.succeeded();
        held.state.wanted = None;
        held.state.seq = stored.version.seq;
        held.state.entries = u32::try_from(stored.journal.len()).unwrap_or(u32::MAX);
        if held.mode != Mode::Restore {
            return self.begin_linking(session, now);
        }
        let (snapshot, counters) = match parse(stored) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                return self.end(session, now, &Ending::logged_out("no_credentials"));
            }
            Err(_) => {
                let ending = Ending::error("state_unreadable", Some("operator"));
                return self.end(session, now, &ending);
            }
        };
        if self.world.network.is_unlinked(session, snapshot.device) {
            return self.end(session, now, &Ending::logged_out("device_removed"));
        }
        held.device = Some(snapshot.device);
        held.phone_number = Some(snapshot.phone_number);
        held.state.next = counters;
        held.state.reserved = counters;
        held.enter(Stage::Reserving, None);
        self.recovered(session);
        self.reserve_counters(session);
    }

    pub(super) fn state_written(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        seq: u64,
        now: Moment,
    ) {
        self.persist_ok = true;
        let login = self.script.scaled(self.script.login_ms);
        let sync = self.script.scaled(self.script.sync_ms);
        let Some(held) = live_at(&mut self.held, session, epoch) else {
            return;
        };
        let line = &mut held.state;
        line.flying = false;
        line.backoff.succeeded();
        line.seq = seq;
        match line.wanted.take() {
            Some(Wanted::Snapshot(until)) => {
                line.entries = 0;
                line.reserved = until;
            }
            Some(Wanted::Entry(until)) => {
                line.entries += 1;
                line.reserved = until;
            }
            Some(Wanted::Read) | None => {}
        }
        match held.stage {
            Stage::Reserving => held.enter_for(Stage::Login, now, login),
            Stage::Saving => {
                held.enter_for(Stage::Syncing, now, sync);
                self.report(session, now);
            }
            _ => {}
        }
        self.reserve_counters(session);
        self.reschedule(session);
    }

    pub(super) fn state_failed(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        error: &GatewayError,
        now: Moment,
    ) {
        let Some(held) = live_at(&mut self.held, session, epoch) else {
            return;
        };
        let line = &mut held.state;
        line.flying = false;
        match error {
            GatewayError::SeqConflict { current } if *current == line.seq + 1 => {
                // Nobody else writes at this epoch: an earlier attempt arrived, its answer was lost.
                self.state_written(session, epoch, *current, now);
            }
            GatewayError::Unreachable | GatewayError::Unavailable { .. } => {
                self.persist_ok = false;
                line.backoff.failed(now.uptime, None);
            }
            _ => {
                let ending = Ending::error("state_not_stored", Some("operator"));
                self.end(session, now, &ending);
            }
        }
    }
}

fn live_at(
    held: &mut std::collections::BTreeMap<SessionId, Held>,
    session: SessionId,
    epoch: Epoch,
) -> Option<&mut Held> {
    held.get_mut(&session).filter(|held| held.epoch == epoch)
}

fn call(session: SessionId, held: &Held, wanted: Wanted) -> Call {
    let (epoch, after) = (held.epoch, held.state.seq);
    match wanted {
        Wanted::Read => Call::ReadState { session, epoch },
        Wanted::Snapshot(counters) => Call::PutState {
            session,
            epoch,
            after,
            snapshot: encode(&Snapshot {
                device: held.device.unwrap_or_default(),
                phone_number: held.phone_number.clone().unwrap_or_default(),
                counters,
            }),
        },
        Wanted::Entry(counters) => Call::AppendState {
            session,
            epoch,
            after,
            entries: vec![encode(&Entry { counters })],
        },
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Numbers and plain text always have a JSON form.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The credentials and the first counter that is not stored as used.
fn parse(stored: &StoredState) -> serde_json::Result<Option<(Snapshot, u64)>> {
    let Some((_, bytes)) = &stored.snapshot else {
        return Ok(None);
    };
    let snapshot: Snapshot = serde_json::from_slice(bytes)?;
    let mut counters = snapshot.counters;
    for (_, entry) in &stored.journal {
        counters = counters.max(serde_json::from_slice::<Entry>(entry)?.counters);
    }
    Ok(Some((snapshot, counters)))
}
