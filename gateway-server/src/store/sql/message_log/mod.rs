//! The message log's ledger in SQL.
//!
//! Nearly every message of a group is new, so the normal path takes that for granted: PostgreSQL inserts
//! the rows with their events in one statement that commits by itself, SQLite in a few of one
//! transaction. Rows that existed are read locked, folded by the core's rule, and written back with their
//! events in a transaction of their own; facts are independent of each other, so it does no harm that
//! the new ones are durable before.

mod statements;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use gateway_core::event::{NewEvent, OutboxRepo};
use gateway_core::id::{MessageId, TenantId};
use gateway_core::message::{Fact, Message, Recorded};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::postgres::{PgArguments, PgPool};

use super::columns::Columns;
use super::error::classify;
use super::message::MessageRow;
use super::pool::Pool;
use super::silence::Silence;
use super::tx::{Row, Tx};
use super::types::{Count, Id, Time};
use crate::message_log::Ledger;
use crate::message_log::grouped::{Folded, Grouped};
use crate::message_log::ledger::Key;
use statements as sql;

/// [`Ledger`] over a SQL database.
#[derive(Clone, Debug)]
pub struct SqlLedger {
    pool: Pool,
}

impl SqlLedger {
    pub(super) const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Closes its connections; for a ledger that has its own.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Ledger for SqlLedger {
    async fn write(&self, facts: &[Fact]) -> Result<Vec<Recorded>, StoreError> {
        let grouped = Grouped::new(facts);
        let folded = match &self.pool {
            Pool::Postgres { pool, silence, .. } => {
                let (new, known) = insert_alone(pool, silence, &grouped).await?;
                if known.is_empty() {
                    return answers(&grouped, new);
                }
                let mut tx = self.pool.begin().await?;
                let old = fold_into(&mut tx, &grouped, &known).await?;
                tx.finish().await?;
                new.into_iter().chain(old).collect()
            }
            Pool::Sqlite { .. } => {
                let mut tx = self.pool.begin().await?;
                let (new, known) = insert(&mut tx, &grouped).await?;
                let old = fold_into(&mut tx, &grouped, &known).await?;
                tx.finish().await?;
                new.into_iter().chain(old).collect()
            }
        };
        answers(&grouped, folded)
    }

    async fn read(&self, keys: &[Key]) -> Result<Vec<Message>, StoreError> {
        let wanted = sql::keys(keys.iter());
        let rows: Vec<MessageRow> = match &self.pool {
            Pool::Postgres { pool, silence, .. } => {
                alone(pool, silence, sql::ROWS.postgres, [wanted]).await?
            }
            Pool::Sqlite { .. } => {
                let mut tx = self.pool.read().await?;
                tx.query(sql::ROWS).columns(wanted).all().await?
            }
        };
        rows.into_iter().map(Message::try_from).collect()
    }
}

fn answers(grouped: &Grouped<'_>, folded: Vec<Folded>) -> Result<Vec<Recorded>, StoreError> {
    // Every message was either made or found, or an error was returned before.
    grouped
        .answers(folded.into_iter())
        .ok_or(StoreError::Conflict)
}

/// New messages as they stand in the table, and the keys of those that existed.
type Inserted = (Vec<Folded>, Vec<Key>);

async fn insert_alone(
    pool: &PgPool,
    silence: &Silence,
    grouped: &Grouped<'_>,
) -> Result<Inserted, StoreError> {
    let fresh = grouped.fresh(Timestamp::default());
    let lists = [sql::new_rows(&fresh), sql::new_events(&fresh)];
    let made: Vec<(Id, Id, Time)> = alone(pool, silence, sql::INSERT_ALL, lists).await?;
    let now = made.first().map(|(_, _, now)| now.0);
    let made: BTreeSet<Key> = made
        .iter()
        .map(|(tenant, id, _)| key(*tenant, *id))
        .collect();
    let (new, known) = parted(fresh, &made);
    let stamped = |folded: Folded| folded.restamped(now.unwrap_or_default());
    Ok((new.into_iter().map(stamped).collect(), known))
}

async fn insert(tx: &mut Tx, grouped: &Grouped<'_>) -> Result<Inserted, StoreError> {
    let now = tx.moment().await?;
    let fresh = grouped.fresh(now);
    let rows: Vec<&Message> = fresh.values().map(|folded| &folded.row).collect();
    let made = tx.insert_rows(&sql::INSERT, &rows, sql::new_row).await?;
    let (new, known) = match made {
        all if all == fresh.len() => (fresh.into_values().collect(), Vec::new()),
        0 => parted(fresh, &BTreeSet::new()),
        some => parted(fresh, &newest(tx, some).await?),
    };
    append(tx, &new).await?;
    Ok((new, known))
}

/// The keys of so many rows, those inserted last.
async fn newest(tx: &mut Tx, count: usize) -> Result<BTreeSet<Key>, StoreError> {
    let asking = tx.query(sql::NEWEST).bind(Count(count as u64));
    let made: Vec<(Id, Id)> = asking.all().await?;
    Ok(made.iter().map(|(tenant, id)| key(*tenant, *id)).collect())
}

fn parted(fresh: BTreeMap<Key, Folded>, made: &BTreeSet<Key>) -> Inserted {
    let (mut new, mut known) = (Vec::with_capacity(made.len()), Vec::new());
    for (key, folded) in fresh {
        if made.contains(&key) {
            new.push(folded);
        } else {
            known.push(key);
        }
    }
    (new, known)
}

/// Folds facts into rows that existed, and writes what has changed.
async fn fold_into(
    tx: &mut Tx,
    grouped: &Grouped<'_>,
    known: &[Key],
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
        .map(|folded| &folded.row)
        .collect();
    if !changed.is_empty() {
        let updating = tx.query(sql::UPDATE).columns(sql::changed_rows(&changed));
        updating.execute().await?;
    }
    append(tx, &folded).await?;
    Ok(folded)
}

async fn append(tx: &mut Tx, folded: &[Folded]) -> Result<(), StoreError> {
    let events: Vec<NewEvent> = folded
        .iter()
        .flat_map(|folded| folded.events.iter().cloned())
        .collect();
    tx.append_events(&events).await
}

/// One statement that is its own transaction.
async fn alone<R: Row, const N: usize>(
    pool: &PgPool,
    silence: &Silence,
    statement: &'static str,
    columns: [Columns<'_>; N],
) -> Result<Vec<R>, StoreError> {
    let mut arguments = PgArguments::default();
    let added = columns
        .into_iter()
        .try_for_each(|lists| lists.add_to(&mut arguments));
    added.map_err(StoreError::Refused)?;
    let query = sqlx::query_as_with(statement, arguments);
    silence.limit(query.fetch_all(pool)).await.map_err(classify)
}

fn key(tenant: Id, id: Id) -> Key {
    (TenantId::from_u128(tenant.0), MessageId::from_u128(id.0))
}
