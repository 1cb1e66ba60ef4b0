//! Session state over a fresh database and folder for every case.

use std::path::Path;
use std::sync::Arc;

use gateway_core::state::StateStore;
use gateway_server::config::StateKey;
use gateway_server::store::blob::Blobs;
use gateway_server::store::cipher::StateCipher;
use gateway_server::store::sql::SqlStore;
use gateway_server::store::state::StateVault;
use gateway_server::system::OsEntropy;
use gateway_testkit::conformance::{Backend, Failure, Need, StateUnderTest};

use crate::stores::{Postgres, sqlite};

fn vault(store: &SqlStore, folder: &Path) -> Result<Arc<dyn StateStore>, Failure> {
    let key = StateKey {
        id: 1,
        key: [7; 32],
    };
    let entropy = Arc::new(OsEntropy);
    let cipher = StateCipher::new(&[key], entropy.clone())?;
    let blobs = Blobs::in_folder(folder)?;
    let vault = StateVault::new(store.state_rows(), blobs, cipher, entropy);
    Ok(Arc::new(vault))
}

/// Beside a file.
pub(crate) struct SqliteState;

impl Backend for SqliteState {
    type UnderTest = StateUnderTest;

    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn offers(&self, _: Need) -> bool {
        false
    }

    async fn open(&self) -> Result<StateUnderTest, Failure> {
        let (store, _, folder) = sqlite().await?;
        let snapshots = tempfile::tempdir()?;
        let state = vault(&store, snapshots.path())?;
        let keep = Box::new((folder, snapshots));
        StateUnderTest::with_sessions(state, Arc::new(store), keep).await
    }
}

/// Beside a server.
pub(crate) struct PostgresState(pub(crate) Postgres);

impl Backend for PostgresState {
    type UnderTest = StateUnderTest;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn missing(&self) -> Option<String> {
        self.0.missing()
    }

    fn offers(&self, need: Need) -> bool {
        self.0.offers(need)
    }

    async fn open(&self) -> Result<StateUnderTest, Failure> {
        let (store, database) = self.0.fresh().await?;
        let snapshots = tempfile::tempdir()?;
        let state = vault(&store, snapshots.path())?;
        let keep = Box::new((database, snapshots));
        StateUnderTest::with_sessions(state, Arc::new(store), keep).await
    }
}
