//! Filling the indexes of the history on SQLite.
//!
//! A commit there writes every page that it has touched, and an index that begins with the tenant or the
//! session touches one for each session. So new messages and events are *fresh*, in no such index
//! (migrations 0005 and 0009), until there are so many that they share its pages, or until there is
//! nothing else to do. The batch is a compromise: the larger, the fewer pages for each row; but nobody
//! writes meanwhile, and whoever reads history looks through all that is fresh.

use gateway_core::store::StoreError;

use super::super::tx::Tx;
use super::super::types::Count;

/// A batch is so many steps of the sequencer.
const STEPS: u32 = 4;

/// A table with fresh rows.
struct Table {
    /// How many there are, counted up to a number.
    count: &'static str,
    /// Takes in the oldest, so many.
    index: &'static str,
}

const MESSAGES: Table = Table {
    count: "SELECT count(*) FROM (SELECT 1 FROM messages WHERE fresh = 1 LIMIT $1) AS w",
    index: "UPDATE messages SET fresh = 0 \
         WHERE rowid IN (SELECT rowid FROM messages WHERE fresh = 1 ORDER BY created_at LIMIT $1)",
};

const EVENTS: Table = Table {
    count: "SELECT count(*) FROM (SELECT 1 FROM events WHERE fresh = 1 LIMIT $1) AS w",
    index: "UPDATE events SET fresh = 0 \
         WHERE rowid IN (SELECT rowid FROM events WHERE fresh = 1 ORDER BY position LIMIT $1)",
};

impl Tx {
    /// Takes in a batch of one table that has a whole one. `limit` is that of the step; one table a step,
    /// so that those who wait to write wait for one batch.
    pub(super) async fn index_under_load(&mut self, limit: u32) -> Result<(), StoreError> {
        let batch = batch(limit);
        for table in [MESSAGES, EVENTS] {
            let counting = self.query(table.count).bind(batch);
            let (fresh,): (Count,) = counting.one().await?;
            if fresh == batch {
                return self
                    .query(table.index)
                    .bind(batch)
                    .execute()
                    .await
                    .map(drop);
            }
        }
        Ok(())
    }

    /// Takes in whatever is fresh, a batch of each table at most: not every message has an event, so
    /// the last ones would wait for ever.
    pub(super) async fn index_at_rest(&mut self, limit: u32) -> Result<(), StoreError> {
        for table in [MESSAGES, EVENTS] {
            let indexing = self.query(table.index).bind(batch(limit));
            indexing.execute().await?;
        }
        Ok(())
    }
}

fn batch(limit: u32) -> Count {
    Count::from(limit.saturating_mul(STEPS))
}
