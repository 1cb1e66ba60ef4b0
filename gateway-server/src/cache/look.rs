//! Asking the store what changed.

use gateway_core::change::{Changes, Deleted, WINDOW};
use gateway_core::session::Session;
use gateway_core::store::StoreError;
use gateway_core::time::Uptime;

use super::Caches;

/// How many whole rows are read in one statement.
const ROWS_AT_ONCE: usize = 1_000;

impl Caches {
    /// Reads what changed in the last minute and ends the entries it concerns. From then on, for
    /// [`TRUSTED`](super::freshness::TRUSTED), the caches may be trusted. Safe to drop at any await.
    ///
    /// # Errors
    /// The store's. The caches stay as they are, and soon are not trusted any more.
    pub async fn look(&self) -> Result<(), StoreError> {
        let memory = &*self.0;
        let sent = memory.clock.uptime();
        // What is read later than the store's time here can only be newer.
        let mut tx = memory.looking.read_platform().await?;
        let now = tx.now().await?;
        if memory.freshness.has_missed(sent, now) {
            self.clear();
        }
        let changes = tx.changes_since(now.minus(WINDOW)).await?;
        let outdated = memory.routes.outdated(&changes.sessions);
        let mut rows = Vec::with_capacity(outdated.len());
        for ids in outdated.chunks(ROWS_AT_ONCE) {
            let found = tx.sessions_by_id(ids).await?;
            for id in ids {
                // Gone, or of no sense to us: whoever wants it reads it by itself.
                if found.binary_search_by_key(id, |row| row.id).is_err() {
                    memory.routes.forget(*id);
                }
            }
            rows.extend(found);
        }
        drop(tx);
        self.obey(&changes, &rows, sent);
        memory.freshness.credit(sent, now);
        Ok(())
    }

    fn obey(&self, changes: &Changes, rows: &[Session], read_at: Uptime) {
        let memory = &*self.0;
        memory.principals.apply(changes);
        memory.workers.apply(&changes.workers, read_at);
        memory.routes.apply(rows, &memory.workers, read_at);
        for deleted in &changes.deleted {
            match deleted {
                Deleted::Session(id) => memory.routes.forget(*id),
            }
        }
    }
}
