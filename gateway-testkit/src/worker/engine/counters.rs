//! The simulated credentials: a device number and a cipher counter, stored through the gateway.
//!
//! Counters are stored ahead in blocks: a send inside the stored block waits for nothing, a restart skips
//! to the next block, and a send beyond it waits or is refused for the moment, because nothing may go out
//! whose state is not stored.

use gateway_core::id::SessionId;
use gateway_core::state::StoredState;
use gateway_worker::{Ending, StateLost, Ticket};
use serde::{Deserialize, Serialize};

use super::client::Stage;
use super::clients::Clients;

pub(super) type Stored = Ticket<Result<(), StateLost>>;

/// The content of a snapshot of the simulated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    device: u64,
    phone_number: String,
    counters: u64,
}

/// The content of a journal entry of the simulated state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    counters: u64,
}

/// A write on its way.
#[derive(Debug)]
struct Write {
    ticket: Stored,
    /// Counters below this one are stored as used once it has arrived.
    until: u64,
    is_snapshot: bool,
}

/// The counters of one session: at most one write at a time.
#[derive(Debug, Default)]
pub(super) struct Counters {
    entries: u32,
    /// Counters below this one are stored as used.
    reserved: u64,
    next: u64,
    write: Option<Write>,
}

impl Counters {
    /// Makes counters for a journal that has so many entries.
    pub(super) fn after(entries: u32) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    /// Goes on from `used`: every counter below it may have been used.
    pub(super) const fn resume(&mut self, used: u64) {
        self.next = used;
        self.reserved = used;
    }

    /// Uses a counter. Returns whether there was one.
    pub(super) fn use_one(&mut self) -> bool {
        let stored = self.next < self.reserved;
        self.next += u64::from(stored);
        stored
    }

    /// Returns the write on its way, if there is one.
    #[cfg(feature = "http")]
    pub(super) fn ticket(&self) -> Option<Stored> {
        self.write.as_ref().map(|write| write.ticket.clone())
    }

    const fn is_running_out(&self, block: u64) -> bool {
        self.reserved - self.next <= block / 2
    }

    /// Takes note of a write that has arrived. Returns whether one has.
    fn settle(&mut self) -> bool {
        let outcome = self.write.as_ref().and_then(|write| write.ticket.outcome());
        let Some(outcome) = outcome else {
            return false;
        };
        let write = self.write.take().filter(|_| outcome.is_ok());
        let Some(write) = write else { return false };
        self.entries = if write.is_snapshot {
            0
        } else {
            self.entries + 1
        };
        self.reserved = write.until;
        true
    }
}

impl Clients {
    /// Returns the write of a session's counters that is on its way, if there is one.
    #[cfg(feature = "http")]
    pub(super) fn next_block(&self, session: SessionId) -> Option<Stored> {
        self.live.get(&session)?.counters.ticket()
    }

    /// Asks for the next block of counters while there are still some left.
    pub(super) fn reserve_counters(&mut self, session: SessionId) {
        let (block, compact_after) = (self.script.counter_block.max(1), self.script.compact_after);
        let Some(client) = self.live.get(&session) else {
            return;
        };
        let counters = &client.counters;
        if counters.write.is_some() || !counters.is_running_out(block) {
            return;
        }
        let until = counters.reserved + block;
        let is_snapshot = counters.entries >= compact_after;
        self.store(session, until, is_snapshot);
    }

    /// Stores the credentials of a fresh link.
    pub(super) fn save_credentials(&mut self, session: SessionId) {
        let block = self.script.counter_block.max(1);
        if let Some(client) = self.live.get_mut(&session) {
            client.counters.resume(0);
            self.store(session, block, true);
        }
    }

    fn store(&mut self, session: SessionId, until: u64, is_snapshot: bool) {
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        let ticket = if is_snapshot {
            client.session.put_snapshot(encode(&Snapshot {
                device: client.device.unwrap_or_default(),
                phone_number: client.phone_number.clone().unwrap_or_default(),
                counters: until,
            }))
        } else {
            let entry = encode(&Entry { counters: until });
            client.session.append(vec![entry])
        };
        client.counters.write = Some(Write {
            ticket,
            until,
            is_snapshot,
        });
        self.writing.insert(session);
    }

    /// Takes note of a session's write that has arrived.
    pub(super) fn settle_write(&mut self, session: SessionId) {
        let now = self.now;
        let login = self.script.scaled(self.script.login_ms);
        let sync = self.script.scaled(self.script.sync_ms);
        let Some(client) = self.live.get_mut(&session) else {
            self.writing.remove(&session);
            return;
        };
        let arrived = client.counters.settle();
        if client.counters.write.is_none() {
            self.writing.remove(&session);
        }
        if !arrived {
            return;
        }
        match client.stage {
            Stage::Reserving => client.enter_for(Stage::Login, now, login),
            Stage::Saving => {
                client.enter_for(Stage::Syncing, now, sync);
                self.report(session);
            }
            _ => {}
        }
        self.reserve_counters(session);
        self.reschedule(session);
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Numbers and plain text always have a JSON form.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Returns the device, the phone number, and the first counter that is not stored as used.
pub(super) fn read_state(stored: &StoredState) -> Result<(u64, String, u64), Ending> {
    let Some((_, bytes)) = &stored.snapshot else {
        return Err(Ending::logged_out("no_credentials"));
    };
    let unreadable = |_| Ending::error("state_unreadable", Some("operator"));
    let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(unreadable)?;
    let mut counters = snapshot.counters;
    for (_, bytes) in &stored.journal {
        let entry: Entry = serde_json::from_slice(bytes).map_err(unreadable)?;
        counters = counters.max(entry.counters);
    }
    Ok((snapshot.device, snapshot.phone_number, counters))
}
