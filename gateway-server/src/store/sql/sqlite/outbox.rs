//! Events into the outbox, bound row by row.

use gateway_core::event::NewEvent;
use gateway_core::store::StoreError;
use sqlx::types::Json;

use super::super::sequencer::counts;
use super::super::tx::{Query, Tx};
use super::super::types::{Count, Id, Time};
use super::rows::Insertion;

/// Rows are numbered as they stand in the statement.
static INSERT: Insertion = Insertion::new(
    "INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, version, data, counts) \
     VALUES",
    "(?, ?, ?, ?, ?, ?, ?, ?)",
    "",
);

/// Appends events in their order.
pub(in super::super) async fn append(tx: &mut Tx, events: &[NewEvent]) -> Result<(), StoreError> {
    let now = tx.moment().await?;
    let rows: Vec<(Time, &NewEvent)> = events.iter().map(|new| (Time(now), new)).collect();
    tx.insert_rows(&INSERT, &rows, row).await.map(drop)
}

fn row<'q>(query: Query<'q>, (now, new): &(Time, &NewEvent)) -> Query<'q> {
    query
        .bind(*now)
        .bind(new.tenant.map(|id| Id(id.as_u128())))
        .bind(new.session.map(|id| Id(id.as_u128())))
        .bind(new.epoch.map(|epoch| Count(epoch.0)))
        .bind(new.name.as_ref())
        .bind(Count::from(new.version))
        .bind(Json(&new.data))
        .bind(Count(counts(new.usage)))
}
