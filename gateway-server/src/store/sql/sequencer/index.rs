//! Filling the indexes of the history on SQLite.
//!
//! A commit there writes every page that it has touched, and an index that begins with the tenant or the
//! session touches one for each session. So new messages and events are *fresh*, in no such index
//! (migrations 0005 and 0009), until there are so many that they share its pages, or until there is
//! nothing else to do. The batch is a compromise: the larger, the fewer pages for each row; but nobody
//! writes meanwhile, and whoever reads history looks through all that is fresh. So it is one table a step,
//! and at rest, where nothing presses, as little as a step has.

use gateway_core::store::StoreError;

use super::super::tx::Tx;

/// A batch under load is so many steps of the sequencer.
const STEPS: u32 = 4;

/// A table with fresh rows.
struct Table {
    /// How far the oldest of them is behind the newest row: about how many there are.
    behind: &'static str,
    /// Takes in the oldest, so many.
    index: &'static str,
}

const TABLES: [Table; 2] = [
    Table {
        behind: "SELECT 1 + (SELECT max(rowid) FROM messages) \
             - (SELECT rowid FROM messages WHERE fresh = 1 ORDER BY created_at LIMIT 1)",
        index: "UPDATE messages SET fresh = 0 WHERE rowid IN \
             (SELECT rowid FROM messages WHERE fresh = 1 ORDER BY created_at LIMIT $1)",
    },
    Table {
        behind: "SELECT 1 + (SELECT max(rowid) FROM events) \
             - (SELECT rowid FROM events WHERE fresh = 1 ORDER BY position LIMIT 1)",
        index: "UPDATE events SET fresh = 0 WHERE rowid IN \
             (SELECT rowid FROM events WHERE fresh = 1 ORDER BY position LIMIT $1)",
    },
];

impl Tx {
    /// Takes in a batch of one table that has a whole one. `limit` is that of the step.
    pub(super) async fn index_under_load(&mut self, limit: u32) -> Result<(), StoreError> {
        let batch = i64::from(limit) * i64::from(STEPS);
        for table in TABLES {
            let (behind,): (Option<i64>,) = self.query(table.behind).one().await?;
            if behind.is_some_and(|behind| behind >= batch) {
                let indexing = self.query(table.index).bind(batch);
                return indexing.execute().await.map(drop);
            }
        }
        Ok(())
    }

    /// Takes in whatever is fresh, `limit` of one table at most: not every message has an event, so the last
    /// ones would wait for ever.
    pub(super) async fn index_at_rest(&mut self, limit: u32) -> Result<(), StoreError> {
        for table in TABLES {
            let indexing = self.query(table.index).bind(i64::from(limit));
            if indexing.execute().await? > 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}
