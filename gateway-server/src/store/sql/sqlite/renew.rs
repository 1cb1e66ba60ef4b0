//! A heartbeat in its turn.

use std::time::Duration;

use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::worker::{Renewed, WorkerReport};
use sqlx::types::Json;

use super::super::renew::{RENEW, RenewedRow};
use super::super::stored::Stored as _;
use super::super::tx::Tx;

/// Renews the lease of `owner` for as long as `lasts`; none if it is not to be renewed.
///
/// If what the worker should know makes no sense, its lease is renewed all the same.
pub(in super::super) async fn renew(
    mut tx: Tx,
    owner: &Owner,
    lasts: Duration,
    report: &WorkerReport,
) -> Result<Option<Renewed>, StoreError> {
    let renewing = tx
        .query(RENEW)
        .bind(owner.worker.as_str())
        .bind(owner.incarnation.as_str())
        .bind(Json(report))
        .bind(lasts.write())
        .stamp();
    let row: Option<RenewedRow> = renewing.optional().await?;
    tx.finish().await?;
    row.map(|row| row.parse(&owner.worker)).transpose()
}
