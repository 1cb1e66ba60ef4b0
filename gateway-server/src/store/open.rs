//! Opening the store that the configuration names.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::tenant::Tier;
use gateway_core::time::Clock;

use super::sql::{MigrateError, PostgresOptions, SqlStore};
use crate::config::Config;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The data folder cannot be made.
    #[error("the data folder {} cannot be made", path.display())]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] super::sql::OpenError),
    /// The schema could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The schema is not this program's.
    #[error("the database schema is older than this program: run `gateway-server migrate` first")]
    Schema,
    /// The server takes no writes.
    #[error(
        "PostgreSQL is read-only, as a standby is: DATABASE_URL must name the primary, where it can be written"
    )]
    ReadOnly,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store for a server: locked against a second one, schema up to date.
///
/// # Errors
/// See [`OpenStoreError`].
pub async fn alone(config: &Config, clock: Arc<dyn Clock>) -> Result<SqlStore, OpenStoreError> {
    if config.database.url.is_some() {
        let store = beside(config, clock).await?;
        if !store.schema_is_current().await? {
            return Err(OpenStoreError::Schema);
        }
        return Ok(store);
    }
    make_folder(config)?;
    let path = database_file(config);
    make_private(&path);
    let store = SqlStore::sqlite(&path, clock).await?;
    store.migrate().await?;
    Ok(store)
}

/// The store for a command that runs beside a server and changes something.
///
/// # Errors
/// See [`OpenStoreError`].
pub async fn beside(config: &Config, clock: Arc<dyn Clock>) -> Result<SqlStore, OpenStoreError> {
    let Some(url) = &config.database.url else {
        make_folder(config)?;
        let path = database_file(config);
        make_private(&path);
        return Ok(SqlStore::sqlite_beside(&path, clock).await?);
    };
    let options = PostgresOptions {
        max_connections: config.database.max_connections,
        acquire_timeout: config.database.acquire_timeout,
        statement_timeout: config.database.statement_timeout,
        clock,
    };
    let store = SqlStore::postgres(url.expose(), &options).await?;
    match store.is_read_only().await? {
        true => Err(OpenStoreError::ReadOnly),
        false => Ok(store),
    }
}

fn make_folder(config: &Config) -> Result<(), OpenStoreError> {
    let path = &config.storage.data_dir;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| OpenStoreError::Folder {
        path: path.clone(),
        source,
    })
}

/// Makes the file for its owner alone if it is not there: the folder may be one that others can read.
/// Its write-ahead log gets the same mode from the engine, which also says better why a file cannot be
/// opened.
fn make_private(path: &Path) {
    let mut options = OpenOptions::new();
    let made = options.append(true).create(true).mode(0o600).open(path);
    drop(made);
}

/// Writes the configured plans into the store, where every replica reads them.
///
/// # Errors
/// The store's.
pub async fn put_tiers(store: &SqlStore, tiers: &[Tier]) -> Result<(), StoreError> {
    let mut tx = store.begin_platform().await?;
    for tier in tiers {
        tx.put_tier(tier).await?;
    }
    tx.commit().await
}

/// The file of embedded mode.
fn database_file(config: &Config) -> PathBuf {
    config.storage.data_dir.join("gateway.db")
}
