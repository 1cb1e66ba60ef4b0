//! A heartbeat as a transaction of its own.
//!
//! It runs on one of a few connections that no request can hold, and reads what is held as of its beginning,
//! which is after the worker spoke.

use std::time::Duration;

use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::worker::{Renewed, WorkerReport};
use sqlx::Arguments as _;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::types::Json;

use super::super::error::classify;
use super::super::renew::{RENEW, RenewedRow};
use super::super::stored::Stored as _;
use super::silence::Silence;

/// Renews the lease of `owner` for as long as `lasts`; none if it is not to be renewed.
pub(in super::super) async fn renew(
    pool: &PgPool,
    silence: &Silence,
    owner: &Owner,
    lasts: Duration,
    report: &WorkerReport,
) -> Result<Option<Renewed>, StoreError> {
    let arguments = arguments(owner, lasts, report).map_err(classify)?;
    let renewing = sqlx::query_as_with(RENEW.postgres, arguments).fetch_optional(pool);
    let row: Option<RenewedRow> = silence.limit(renewing).await.map_err(classify)?;
    row.map(|row| row.parse(&owner.worker)).transpose()
}

fn arguments(
    owner: &Owner,
    lasts: Duration,
    report: &WorkerReport,
) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    let added = arguments
        .add(owner.worker.as_str())
        .and_then(|()| arguments.add(owner.incarnation.as_str()))
        .and_then(|()| arguments.add(Json(report)))
        .and_then(|()| arguments.add(lasts.write()));
    added.map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}
