//! The message log's ledger in SQL.
//!
//! Nearly every message of a group is new, so those are inserted first, with their events: on PostgreSQL in one
//! statement that commits by itself, on SQLite in a few of one transaction. Rows that existed are read locked, folded
//! by the core's rule, and written back with their events in a transaction of their own; facts are independent of
//! each other, so it does no harm that the new ones are durable before.

mod statements;

use std::collections::BTreeSet;

use async_trait::async_trait;
use gateway_core::event::{NewEvent, OutboxRepo};
use gateway_core::id::{MessageId, TenantId};
use gateway_core::message::{Fact, Message, Recorded};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::postgres::PgArguments;

use super::columns::Columns;
use super::error::classify;
use super::message::MessageRow;
use super::pool::Pool;
use super::postgres::lane::Lane;
use super::tx::Tx;
use super::types::{Count, Id, Time};
use crate::message_log::Ledger;
use crate::message_log::grouped::{Folded, Grouped};
use crate::message_log::ledger::Key;
use statements as sql;

/// [`Ledger`] over a SQL database.
#[derive(Clone, Debug)]
pub struct SqlLedger {
    pool: Pool,
    /// Writes what is new, on PostgreSQL.
    lane: Option<Lane>,
}

impl SqlLedger {
    pub(super) fn new(pool: Pool) -> Self {
        let lane = pool.lane();
        Self { pool, lane }
    }

    /// Closes its connections; for a ledger that has its own.
    pub async fn close(&self) {
        if let Some(lane) = &self.lane {
            lane.close().await;
        }
        self.pool.close().await;
    }
}

#[async_trait]
impl Ledger for SqlLedger {
    async fn write(&self, facts: &[Fact]) -> Result<Vec<Recorded>, StoreError> {
        let grouped = Grouped::new(facts);
        let folded = match &self.lane {
            Some(lane) => {
                let (new, known) = insert_alone(lane, &grouped).await?;
                if known.is_empty() {
                    return answers(&grouped, new);
                }
                let mut tx = self.pool.begin().await?;
                let old = fold_into(&mut tx, &grouped, &known).await?;
                tx.finish().await?;
                new.into_iter().chain(old).collect()
            }
            None => {
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
                let wanted = arguments([wanted]).map_err(classify)?;
                let asking = sqlx::query_as_with(sql::ROWS.postgres, wanted);
                silence
                    .limit(asking.fetch_all(pool))
                    .await
                    .map_err(classify)?
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

/// The moment of the statement; if not all rows are new, the keys of those that are.
type Made = (Time, Option<Vec<Id>>, Option<Vec<Id>>);

async fn insert_alone(lane: &Lane, grouped: &Grouped<'_>) -> Result<Inserted, StoreError> {
    let fresh = grouped.fresh(Timestamp::default());
    let lists = || arguments([sql::new_rows(&fresh), sql::new_events(&fresh)]);
    let made: Vec<Made> = lane.all(sql::INSERT, lists).await.map_err(classify)?;
    let Some((Time(now), tenants, ids)) = made.into_iter().next() else {
        return Err(StoreError::Conflict);
    };
    let (mut new, known) = match tenants.zip(ids) {
        None => (fresh, Vec::new()),
        Some((tenants, ids)) => {
            let made = tenants.into_iter().zip(ids);
            let made = made.map(|(tenant, id)| key(tenant, id)).collect();
            parted(fresh, &made)
        }
    };
    new.iter_mut().for_each(|folded| folded.restamp(now));
    Ok((new, known))
}

async fn insert(tx: &mut Tx, grouped: &Grouped<'_>) -> Result<Inserted, StoreError> {
    let now = tx.moment().await?;
    let fresh = grouped.fresh(now);
    let rows: Vec<&Message> = fresh.iter().map(Folded::row).collect();
    let made = tx
        .insert_rows(&sql::INSERT_ROWS, &rows, sql::new_row)
        .await?;
    let (new, known) = match made {
        all if all == fresh.len() => (fresh, Vec::new()),
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

fn parted(fresh: Vec<Folded>, made: &BTreeSet<Key>) -> Inserted {
    let (new, known): (Vec<_>, Vec<_>) = fresh
        .into_iter()
        .partition(|folded| made.contains(&folded.key()));
    (new, known.iter().map(Folded::key).collect())
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
        .map(Folded::row)
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

/// Lists as the parameters of a statement on PostgreSQL.
fn arguments<const N: usize>(columns: [Columns<'_>; N]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    let mut columns = columns.into_iter();
    let added = columns.try_for_each(|lists| lists.add_to(&mut arguments));
    added.map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

fn key(tenant: Id, id: Id) -> Key {
    (TenantId::from_u128(tenant.0), MessageId::from_u128(id.0))
}
