//! A group of the message log: what is new in one statement that commits by itself, over a connection that the
//! log keeps, and what existed in a transaction after it.

use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::postgres::PgArguments;

use super::super::columns::Columns;
use super::super::error::classify;
use super::super::message_log::statements as sql;
use super::super::message_log::{Inserted, fold_into, key, parted};
use super::super::pool::Pool;
use super::super::types::{Id, Time};
use super::kept::KeptConnection;
use crate::message_log::grouped::{Folded, Grouped};

/// The moment of the statement; if not all rows are new, the keys of those that are.
type Made = (Time, Option<Vec<Id>>, Option<Vec<Id>>);

/// Writes a group and returns every message of it as it then stands in the table.
pub(in super::super) async fn write(
    kept: &KeptConnection,
    pool: &Pool,
    grouped: &Grouped<'_>,
) -> Result<Vec<Folded>, StoreError> {
    let (mut folded, known) = insert(kept, grouped).await?;
    if known.is_empty() {
        return Ok(folded);
    }
    let mut tx = pool.begin().await?;
    folded.extend(fold_into(&mut tx, grouped, &known).await?);
    tx.finish().await?;
    Ok(folded)
}

async fn insert(kept: &KeptConnection, grouped: &Grouped<'_>) -> Result<Inserted, StoreError> {
    // Their times are given by the statement, so none is later for now.
    let fresh = grouped.fresh(Timestamp::MAX);
    let lists = || arguments([sql::new_rows(&fresh), sql::new_events(&fresh)]);
    let made: Vec<Made> = kept.all(sql::INSERT, lists).await.map_err(classify)?;
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

/// Lists as the parameters of a statement.
fn arguments<const N: usize>(columns: [Columns<'_>; N]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    let mut columns = columns.into_iter();
    let added = columns.try_for_each(|lists| lists.add_to(&mut arguments));
    added.map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}
