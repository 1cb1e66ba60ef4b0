//! The few operations that the engines do in ways of their own, and the one place that chooses between them.

use std::time::Duration;

use gateway_core::event::NewEvent;
use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::worker::{Renewed, WorkerReport};

use super::pool::Pool;
use super::tx::Tx;
use super::{postgres, sqlite};

/// The database engine a statement is written for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

impl Tx {
    /// Appends events to the outbox in their order.
    pub(super) async fn append_rows(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        match self.dialect() {
            Dialect::Postgres => postgres::outbox::append(self, events).await,
            Dialect::Sqlite => sqlite::outbox::append(self, events).await,
        }
    }

    /// Publishes the oldest events of the outbox, `limit` at most, and returns how many.
    pub(super) async fn publish_step(
        &mut self,
        shard: u16,
        limit: u32,
    ) -> Result<usize, StoreError> {
        match self.dialect() {
            Dialect::Postgres => postgres::sequencer::publish(self, shard, limit).await,
            Dialect::Sqlite => sqlite::sequencer::publish(self, shard, limit).await,
        }
    }
}

impl Pool {
    /// Renews the lease of `owner` durably for as long as `lasts`; none if it is not to be renewed.
    pub(super) async fn renew(
        &self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<Renewed>, StoreError> {
        match self {
            Self::Postgres { pool, silence, .. } => {
                postgres::renew::renew(pool, silence, owner, lasts, report).await
            }
            Self::Sqlite { .. } => {
                sqlite::renew::renew(self.begin().await?, owner, lasts, report).await
            }
        }
    }
}
