//! A group of the message log: what is new and what existed in one transaction, because there is one writer.

use std::collections::BTreeSet;

use gateway_core::message::Message;
use gateway_core::store::StoreError;

use super::super::message_log::statements as sql;
use super::super::message_log::{Inserted, append, fold_into, key, parted};
use super::super::pool::Pool;
use super::super::tx::Tx;
use super::super::types::{Count, Id};
use crate::message_log::grouped::{Folded, Grouped};
use crate::message_log::ledger::MessageKey;

/// Writes a group and returns every message of it as it then stands in the table.
pub(in super::super) async fn write(
    pool: &Pool,
    grouped: &Grouped<'_>,
) -> Result<Vec<Folded>, StoreError> {
    let mut tx = pool.begin().await?;
    let (mut folded, known) = insert(&mut tx, grouped).await?;
    folded.extend(fold_into(&mut tx, grouped, &known).await?);
    tx.finish().await?;
    Ok(folded)
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
async fn newest(tx: &mut Tx, count: usize) -> Result<BTreeSet<MessageKey>, StoreError> {
    let asking = tx.query(sql::NEWEST).bind(Count(count as u64));
    let made: Vec<(Id, Id)> = asking.all().await?;
    Ok(made.iter().map(|(tenant, id)| key(*tenant, *id)).collect())
}
