//! The message log's ledger in SQL.
//!
//! Nearly every message of a group is new, so those are inserted first, with their events, and what exists already
//! is left out. Rows that existed are read locked, folded by the core's rule, and written back with their events.
//! On PostgreSQL that is a transaction of its own; facts are independent of each other, so it does no harm that
//! the new ones are durable before.

pub(super) mod statements;

use std::collections::BTreeSet;

use async_trait::async_trait;
use gateway_core::event::{NewEvent, OutboxRepo};
use gateway_core::id::{MessageId, SessionId, TenantId};
use gateway_core::message::{Fact, Message, PersonPair, Recorded};
use gateway_core::store::StoreError;

use super::message::MessageRow;
use super::pool::Pool;
use super::postgres::kept::KeptConnection;
use super::tx::Tx;
use super::types::Id;
use super::{postgres, sqlite};
use crate::message_log::Ledger;
use crate::message_log::grouped::{Folded, Grouped};
use crate::message_log::ledger::MessageKey;
use statements as sql;

/// [`Ledger`] over a SQL database.
#[derive(Clone, Debug)]
pub struct SqlLedger {
    pool: Pool,
    /// Writes what is new, on PostgreSQL.
    kept: Option<KeptConnection>,
}

impl SqlLedger {
    pub(super) fn new(pool: Pool) -> Self {
        let kept = pool.kept();
        Self { pool, kept }
    }

    /// Closes its connections; for a ledger that has its own.
    pub async fn close(&self) {
        if let Some(kept) = &self.kept {
            kept.close().await;
        }
        self.pool.close().await;
    }
}

#[async_trait]
impl Ledger for SqlLedger {
    async fn write(&self, facts: &[Fact]) -> Result<Vec<Recorded>, StoreError> {
        let grouped = Grouped::new(facts);
        let folded = match &self.kept {
            Some(kept) => postgres::message_log::write(kept, &self.pool, &grouped).await?,
            None => sqlite::message_log::write(&self.pool, &grouped).await?,
        };
        answers(&grouped, folded)
    }

    async fn read(&self, keys: &[MessageKey]) -> Result<Vec<Message>, StoreError> {
        let wanted = sql::keys(keys.iter());
        let mut tx = self.pool.read().await?;
        let rows: Vec<MessageRow> = tx.query(sql::ROWS).columns(wanted).all().await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    async fn persons(
        &self,
        of: (TenantId, SessionId),
        ids: &[&str],
    ) -> Result<Vec<PersonPair>, StoreError> {
        self.pool.read().await?.persons(of, ids).await
    }

    async fn remember_person(
        &self,
        of: (TenantId, SessionId),
        pair: &PersonPair,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        tx.save_person(of, pair).await?;
        tx.finish().await
    }
}

fn answers(grouped: &Grouped<'_>, folded: Vec<Folded>) -> Result<Vec<Recorded>, StoreError> {
    // Every message was either made or found, or an error was returned before.
    grouped
        .answers(folded.into_iter())
        .ok_or(StoreError::Conflict)
}

/// New messages as they stand in the table, and the keys of those that existed.
pub(super) type Inserted = (Vec<Folded>, Vec<MessageKey>);

/// What was made, and the keys of what was not.
pub(super) fn parted(fresh: Vec<Folded>, made: &BTreeSet<MessageKey>) -> Inserted {
    let (new, known): (Vec<_>, Vec<_>) = fresh
        .into_iter()
        .partition(|folded| made.contains(&folded.key()));
    (new, known.iter().map(Folded::key).collect())
}

/// Folds facts into rows that existed, and writes what has changed.
pub(super) async fn fold_into(
    tx: &mut Tx,
    grouped: &Grouped<'_>,
    known: &[MessageKey],
) -> Result<Vec<Folded>, StoreError> {
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let locking = tx.query(sql::LOCKED).columns(sql::keys(known.iter()));
    let rows: Vec<MessageRow> = locking.all().await?;
    let now = tx.clock().await?;
    let mut folded = Vec::with_capacity(known.len());
    for row in rows {
        let stored = Message::try_from(row)?;
        let key = (stored.tenant, stored.id);
        folded.extend(grouped.folded(&key, Some(&stored), now));
    }
    if folded.len() < known.len() {
        // Retention has deleted one between the two statements: now it is new.
        return Err(StoreError::Conflict);
    }
    let changed: Vec<&Message> = folded
        .iter()
        .filter(|folded| folded.changed)
        .map(Folded::row)
        .collect();
    if !changed.is_empty() {
        let updating = tx.query(sql::UPDATE).columns(sql::changed_rows(&changed));
        updating.execute().await?;
    }
    append(tx, &folded).await?;
    Ok(folded)
}

/// Appends the events of messages.
pub(super) async fn append(tx: &mut Tx, folded: &[Folded]) -> Result<(), StoreError> {
    let events: Vec<NewEvent> = folded
        .iter()
        .flat_map(|folded| folded.events.iter().cloned())
        .collect();
    tx.append_events(&events).await
}

/// The key that two columns are.
pub(super) fn key(tenant: Id, id: Id) -> MessageKey {
    (TenantId::from_u128(tenant.0), MessageId::from_u128(id.0))
}
