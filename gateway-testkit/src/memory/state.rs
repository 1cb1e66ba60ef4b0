//! Session state in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::{
    MAX_ENTRY_BYTES, MAX_SNAPSHOT_BYTES, StateError, StateStore, StateVersion, StoredState,
};
use gateway_core::store::StoreError;
use gateway_core::time::{Clock, Timestamp};

use super::MemoryStore;

/// A session's state, the ones set aside, and the highest epoch any of them was sealed to: an archive
/// must not open the door to a former owner again.
#[derive(Debug, Default)]
struct Kept {
    live: StoredState,
    /// The states that were set aside, each with its time.
    archive: Vec<(Timestamp, StoredState)>,
    floor: Epoch,
}

impl Kept {
    fn admit(&mut self, epoch: Epoch, is_there: bool) -> Result<(), StateError> {
        if epoch < self.floor {
            return Err(StateError::StaleEpoch {
                current: self.floor,
            });
        }
        if self.live.version == StateVersion::default() && !is_there {
            return Err(StateError::UnknownSession);
        }
        self.floor = epoch;
        Ok(())
    }

    /// Admits a write that follows `after` at `epoch`, or fails and changes nothing.
    fn write(
        &mut self,
        epoch: Epoch,
        after: u64,
        is_there: bool,
    ) -> Result<&mut StoredState, StateError> {
        let current = self.live.version.seq;
        if epoch >= self.floor && after != current {
            return Err(StateError::SeqConflict { current });
        }
        self.admit(epoch, is_there)?;
        self.live.version.epoch = epoch;
        Ok(&mut self.live)
    }
}

#[derive(Debug, Default)]
struct States {
    away: bool,
    kept: BTreeMap<SessionId, Kept>,
}

/// Keeps session state in memory, as plain bytes.
#[derive(Debug, Default)]
pub struct MemoryState {
    states: Mutex<States>,
    clock: Option<Arc<dyn Clock>>,
    sessions: Option<MemoryStore>,
}

/// The test has switched the state store off.
#[derive(Debug, thiserror::Error)]
#[error("the state store is switched off; see MemoryState::set_available")]
struct SwitchedOff;

impl MemoryState {
    /// Makes an empty store that notes by `clock` when states are archived. The default one has no clock:
    /// to it, everything was archived at the beginning of time.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..Self::default()
        }
    }

    /// Returns an empty one that knows by `store` which sessions are there. Any other takes every session for
    /// one that is.
    #[must_use]
    pub fn beside(store: &MemoryStore) -> Self {
        Self {
            sessions: Some(store.clone()),
            ..Self::default()
        }
    }

    fn is_there(&self, session: SessionId) -> bool {
        let store = self.sessions.as_ref();
        store.is_none_or(|store| store.has_session(session))
    }

    /// Switches the store off or on. Off, everything fails with [`StoreError::Unavailable`].
    pub fn set_available(&self, available: bool) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.away = !available;
    }

    /// Returns how many states of the session have been set aside.
    #[must_use]
    pub fn archived(&self, session: SessionId) -> usize {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states
            .kept
            .get(&session)
            .map_or(0, |kept| kept.archive.len())
    }

    fn open(&self) -> Result<MutexGuard<'_, States>, StateError> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.away {
            return Err(StoreError::Unavailable(Box::new(SwitchedOff)).into());
        }
        Ok(states)
    }
}

fn fits(bytes: &[u8], max: usize) -> Result<(), StateError> {
    if bytes.len() > max {
        return Err(StateError::TooLarge { max });
    }
    Ok(())
}

#[async_trait]
impl StateStore for MemoryState {
    async fn seal(&self, session: SessionId, epoch: Epoch) -> Result<StoredState, StateError> {
        let (mut states, is_there) = (self.open()?, self.is_there(session));
        let kept = states.kept.entry(session).or_default();
        kept.admit(epoch, is_there)?;
        kept.live.version.epoch = epoch;
        Ok(kept.live.clone())
    }

    async fn version(&self, session: SessionId) -> Result<StateVersion, StateError> {
        let states = self.open()?;
        let kept = states.kept.get(&session);
        Ok(kept.map(|kept| kept.live.version).unwrap_or_default())
    }

    async fn append(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, StateError> {
        for entry in entries {
            fits(entry, MAX_ENTRY_BYTES)?;
        }
        let (mut states, is_there) = (self.open()?, self.is_there(session));
        let live = states
            .kept
            .entry(session)
            .or_default()
            .write(epoch, after, is_there)?;
        for entry in entries {
            live.version.seq += 1;
            live.journal.push((live.version.seq, entry.clone()));
        }
        Ok(live.version.seq)
    }

    async fn put_snapshot(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        bytes: &[u8],
    ) -> Result<u64, StateError> {
        fits(bytes, MAX_SNAPSHOT_BYTES)?;
        let (mut states, is_there) = (self.open()?, self.is_there(session));
        let live = states
            .kept
            .entry(session)
            .or_default()
            .write(epoch, after, is_there)?;
        live.version.seq += 1;
        live.snapshot = Some((live.version.seq, bytes.to_vec()));
        live.journal.clear();
        Ok(live.version.seq)
    }

    async fn probe(&self) -> Result<(), StateError> {
        self.open().map(drop)
    }

    async fn archive(&self, session: SessionId, upto: Epoch) -> Result<(), StateError> {
        let mut states = self.open()?;
        let kept = states.kept.get_mut(&session);
        if let Some(kept) = kept.filter(|kept| kept.live.version.epoch <= upto) {
            let live = std::mem::take(&mut kept.live);
            if live.version.seq > 0 {
                let now = self.clock.as_ref().map(|clock| clock.now());
                kept.archive.push((now.unwrap_or_default(), live));
            }
        }
        Ok(())
    }

    async fn forget_archived(&self, before: Timestamp, limit: u32) -> Result<u64, StateError> {
        let mut states = self.open()?;
        let mut left = limit as usize;
        for kept in states.kept.values_mut() {
            kept.archive.retain(|(at, _)| {
                let forgotten = left > 0 && *at < before;
                left -= usize::from(forgotten);
                !forgotten
            });
        }
        Ok((limit as usize - left) as u64)
    }

    async fn erase(&self, session: SessionId) -> Result<(), StateError> {
        self.open()?.kept.remove(&session);
        Ok(())
    }
}
