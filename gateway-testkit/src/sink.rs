//! What a test looks at afterwards: the events that consumers would see.

use std::collections::BTreeMap;

use gateway_core::event::{Event, LoggedEvent, Sequenced, sequence};
use gateway_core::id::SessionId;
use gateway_core::session::Status;
use gateway_core::store::StoreError;

use crate::memory::MemoryStore;

/// The published events of a store.
///
/// Events count only when they are published, so every look first runs the sequencer until the outbox
/// is empty; a test that wants to see the outbox itself must not use this.
#[derive(Debug)]
pub struct RecordedEvents {
    store: MemoryStore,
}

impl RecordedEvents {
    /// Reads the events of this store, on shard 0.
    #[must_use]
    pub fn of(store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
        }
    }

    /// Returns everything published so far, in order of position.
    ///
    /// # Errors
    /// The store's; a shard that somebody else holds is [`StoreError::Conflict`].
    pub async fn all(&self) -> Result<Vec<LoggedEvent>, StoreError> {
        loop {
            match sequence(&self.store, 0, 1000).await? {
                Sequenced::Busy => return Err(StoreError::Conflict),
                Sequenced::Published { more: true, .. } => {}
                Sequenced::Published { more: false, .. } => return Ok(self.store.published()),
            }
        }
    }

    /// Returns the names of a session's events, in order.
    ///
    /// # Errors
    /// As [`RecordedEvents::all`].
    pub async fn names(&self, session: SessionId) -> Result<Vec<String>, StoreError> {
        let of = |row: &LoggedEvent| row.session == Some(session);
        let rows = self.all().await?;
        Ok(rows.into_iter().filter(of).map(|row| row.name).collect())
    }

    /// Returns the statuses a session went through, in order.
    ///
    /// # Errors
    /// As [`RecordedEvents::all`].
    pub async fn statuses(&self, session: SessionId) -> Result<Vec<Status>, StoreError> {
        let rows = self.all().await?;
        let rows = rows.into_iter().filter(|row| row.session == Some(session));
        Ok(rows
            .filter_map(|row| match row.event() {
                Ok(Event::SessionStatus(change)) => Some(change.status),
                _ => None,
            })
            .collect())
    }

    /// Fails, saying where, unless every session's numbers are 1, 2, 3 … without a gap.
    ///
    /// # Errors
    /// As [`RecordedEvents::all`].
    ///
    /// # Panics
    /// There is a gap or a repetition.
    pub async fn assert_dense(&self) -> Result<(), StoreError> {
        let mut heads: BTreeMap<SessionId, u64> = BTreeMap::new();
        for row in self.all().await? {
            let Some(session) = row.session else {
                continue;
            };
            let head = heads.entry(session).or_insert(0);
            *head += 1;
            assert_eq!(
                row.seq,
                Some(*head),
                "{session} at position {}",
                row.position
            );
        }
        Ok(())
    }
}
