//! Opening the store that the configuration names.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_core::store::{PlatformStore, StoreError, retry_conflicts};
use gateway_core::tenant::{Tier, TierName};
use gateway_core::time::Clock;

use super::sql::{MigrateError, PostgresOptions, SqlStore};
use crate::config::Config;

/// How often plans are written again when other replicas write theirs at the same moment.
const ATTEMPTS: u32 = 8;

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

/// Writes the plans that the configuration names into the store, where every replica reads them, and
/// adds the default ones that are missing.
///
/// A default never replaces a plan: a process that was started without the configuration would shorten how
/// long messages are kept.
///
/// # Errors
/// The store's.
pub async fn put_plans(store: &SqlStore, config: &Config) -> Result<(), StoreError> {
    write_plans(store, &config.plans(), |plan| config.configures(plan)).await
}

/// Adds the plans that are missing in the store, and replaces none.
///
/// # Errors
/// The store's.
pub async fn add_missing_plans(store: &SqlStore, config: &Config) -> Result<(), StoreError> {
    write_plans(store, &config.plans(), |_| false).await
}

async fn write_plans(
    store: &SqlStore,
    plans: &[Tier],
    replaces: impl Fn(&TierName) -> bool,
) -> Result<(), StoreError> {
    retry_conflicts(ATTEMPTS, || async {
        let mut tx = store.begin_platform().await?;
        for plan in plans {
            if replaces(&plan.name) {
                tx.put_tier(plan).await?;
            } else {
                tx.insert_missing_tier(plan).await?;
            }
        }
        tx.commit().await
    })
    .await
}

/// The file of embedded mode.
#[must_use]
pub fn database_file(config: &Config) -> PathBuf {
    config.storage.data_dir.join("gateway.db")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::system::SystemClock;

    fn configured(variables: &[(&str, &str)]) -> Config {
        let source: Source = variables.iter().copied().collect();
        Config::load(&source, None).expect("a good one").config
    }

    async fn history_days(store: &SqlStore) -> Vec<u32> {
        let mut tx = store.read_platform().await.expect("a reader");
        let tiers = tx.tiers().await.expect("answered");
        tiers.iter().map(|tier| tier.history_days).collect()
    }

    #[tokio::test]
    async fn a_default_does_not_replace_a_plan_and_a_configured_one_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.db");
        let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
        let store = store.expect("opened");
        store.migrate().await.expect("migrated");
        let own = configured(&[("GATEWAY_TIERS_BASIC_HISTORY_DAYS", "365")]);
        put_plans(&store, &own).await.expect("written");
        assert_eq!(history_days(&store).await, [365, 30, 90]);

        let defaults = configured(&[]);
        put_plans(&store, &defaults).await.expect("written");
        add_missing_plans(&store, &defaults).await.expect("written");
        let other = configured(&[("GATEWAY_TIERS_BASIC_HISTORY_DAYS", "5")]);
        add_missing_plans(&store, &other).await.expect("written");
        assert_eq!(history_days(&store).await, [365, 30, 90]);

        put_plans(&store, &other).await.expect("written");
        assert_eq!(history_days(&store).await, [5, 30, 90]);
    }
}
