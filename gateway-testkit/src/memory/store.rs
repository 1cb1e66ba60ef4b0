//! The store itself.

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::entropy::Entropy;
use gateway_core::event::LoggedEvent;
use gateway_core::id::SessionId;
use gateway_core::store::{OrchestrationTx, PlatformStore, PlatformTx, Store, StoreError};
use gateway_core::time::Clock;

use super::tx::{MemoryTx, Shared};
use super::world::World;

/// A store in memory with real transactions. Clones share their rows.
///
/// It promises what [`gateway_core::store`] asks for and no more: see the page of this module.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    pub(super) shared: Arc<Shared>,
}

impl MemoryStore {
    /// Makes an empty store whose database clock is `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared::new(World::new(clock), None));
        Self { shared }
    }

    /// Makes an empty store in which other tasks go first before about every other statement, as `turns`
    /// has it.
    ///
    /// Without it a statement that has nothing to wait for runs at once, so tasks on one thread hardly
    /// ever meet. With it, every seed is another interleaving, and the same one each time.
    #[must_use]
    pub fn interleaved(clock: Arc<dyn Clock>, turns: Arc<dyn Entropy>) -> Self {
        let shared = Arc::new(Shared::new(World::new(clock), Some(turns)));
        Self { shared }
    }

    /// Switches the store off or on: off, everything fails with [`StoreError::Unavailable`], also the
    /// statements and the commit of transactions that are open.
    pub fn set_available(&self, available: bool) {
        self.shared.world().available = available;
    }

    /// Returns whether the session is stored, as everybody sees it.
    pub(super) fn has_session(&self, session: SessionId) -> bool {
        let found = self
            .shared
            .at_once(|world, me| Ok(world.sessions.get(me, &session).is_some()));
        found.unwrap_or(false)
    }

    /// Returns how many whole rows of workers were read since the store was made: what it costs to know the
    /// fleet.
    #[must_use]
    pub fn worker_rows_read(&self) -> usize {
        self.shared.world().worker_rows_read
    }

    /// Returns how many transactions that may write were begun since the store was made.
    #[must_use]
    pub fn writes_begun(&self) -> usize {
        self.shared.world().writes_begun
    }

    /// Returns the whole event log, of all tenants and of none, in order of position.
    #[must_use]
    pub fn published(&self) -> Vec<LoggedEvent> {
        let mut world = self.shared.world();
        let me = world.begin(false);
        let rows = world.events.rows(me).map(|(_, row)| row.clone());
        rows.collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.shared.take_turns().await;
        Ok(Box::new(MemoryTx::begin(&self.shared, true)?))
    }

    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.shared.take_turns().await;
        Ok(Box::new(MemoryTx::begin(&self.shared, false)?))
    }
}

#[async_trait]
impl PlatformStore for MemoryStore {
    async fn begin_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.shared.take_turns().await;
        Ok(Box::new(MemoryTx::begin(&self.shared, true)?))
    }

    async fn read_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.shared.take_turns().await;
        Ok(Box::new(MemoryTx::begin(&self.shared, false)?))
    }
}
