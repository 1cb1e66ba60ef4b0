//! Session state: journal and version in the database, snapshots beside it, everything encrypted
//!
//!
//! A snapshot is written under a name that nobody else uses, made durable, and only then named by the
//! version's row; the row is what counts. A write that loses its compare-and-set removes its file again,
//! one whose commit is not known leaves it, and the file of a replaced snapshot goes after the commit. So
//! a file without a row is waste, and a row without a file cannot come about.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::entropy::Entropy;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::cipher::SealedPart;
use gateway_core::state::{
    MAX_ENTRY_BYTES, MAX_SNAPSHOT_BYTES, StateError, StateStore, StateVersion, StoredState,
};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::blob::Blobs;
use super::cipher::StateCipher;
use super::sql::{ArchivedState, SealedRows, StateRows};
use crate::telemetry::ErrorChain;

/// How often a snapshot is looked for that is replaced while it is read.
const LOOKS: u32 = 5;

/// [`StateStore`] over a database and an object store.
#[derive(Debug)]
pub struct StateVault {
    rows: StateRows,
    blobs: Blobs,
    cipher: StateCipher,
    entropy: Arc<dyn Entropy>,
}

impl StateVault {
    /// A vault; `rows` and `blobs` belong together for ever.
    #[must_use]
    pub fn new(
        rows: StateRows,
        blobs: Blobs,
        cipher: StateCipher,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            rows,
            blobs,
            cipher,
            entropy,
        }
    }

    fn fresh_name(&self, session: SessionId, seq: u64) -> String {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        format!("{}/{seq}-{}", folder(session), hex::encode(random))
    }

    /// The state as it was sealed; none if its snapshot was replaced meanwhile.
    async fn read(
        &self,
        session: SessionId,
        rows: SealedRows,
    ) -> Result<Option<StoredState>, StateError> {
        let snapshot = match rows.snapshot {
            None => None,
            Some((seq, name)) => {
                let Some(stored) = self.blobs.get(&name).await? else {
                    return Ok(None);
                };
                let bytes = self
                    .cipher
                    .open(session, SealedPart::Snapshot, seq, &stored)?;
                Some((seq, bytes))
            }
        };
        let open = |(seq, stored): (u64, Vec<u8>)| {
            let bytes = self.cipher.open(session, SealedPart::Entry, seq, &stored)?;
            Ok((seq, bytes))
        };
        let journal = rows.journal.into_iter().map(open);
        Ok(Some(StoredState {
            version: rows.version,
            snapshot,
            journal: journal.collect::<Result<_, StateError>>()?,
        }))
    }

    /// Removes the bytes of an archived state. The file first: a row without one is read by nobody any more, a
    /// file without a row is never found again.
    async fn forget(&self, archived: &ArchivedState) -> Result<(), StateError> {
        if let Some(name) = &archived.snapshot {
            self.blobs.delete(name).await?;
        }
        Ok(self.rows.forget(archived).await?)
    }

    /// Removes a file that no row names any more. It may stay behind: nobody reads it.
    async fn discard(&self, name: &str) {
        if let Err(error) = self.blobs.delete(name).await {
            tracing::warn!(error = %ErrorChain(&error), "an old snapshot stays behind");
        }
    }
}

fn folder(session: SessionId) -> String {
    session.to_string()
}

const fn fits(length: usize, max: usize) -> Result<(), StateError> {
    if length > max {
        return Err(StateError::TooLarge { max });
    }
    Ok(())
}

#[async_trait]
impl StateStore for StateVault {
    async fn seal(&self, session: SessionId, epoch: Epoch) -> Result<StoredState, StateError> {
        for _ in 0..LOOKS {
            let rows = self.rows.seal(session, epoch).await?;
            if let Some(state) = self.read(session, rows).await? {
                return Ok(state);
            }
        }
        Err(StateError::Corrupt {
            why: "its snapshot is missing in the object store".to_owned(),
        })
    }

    async fn version(&self, session: SessionId) -> Result<StateVersion, StateError> {
        Ok(self.rows.version(session).await?)
    }

    async fn append(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, StateError> {
        let mut sealed = Vec::with_capacity(entries.len());
        for (seq, entry) in (after.saturating_add(1)..).zip(entries) {
            fits(entry.len(), MAX_ENTRY_BYTES)?;
            sealed.push((
                seq,
                self.cipher.seal(session, SealedPart::Entry, seq, entry)?,
            ));
        }
        self.rows.append(session, epoch, after, &sealed).await
    }

    async fn put_snapshot(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        bytes: &[u8],
    ) -> Result<u64, StateError> {
        fits(bytes.len(), MAX_SNAPSHOT_BYTES)?;
        // Before sixteen megabytes are written for nothing.
        self.rows.admits(session, epoch, after).await?;
        let seq = after.saturating_add(1);
        let sealed = self
            .cipher
            .seal(session, SealedPart::Snapshot, seq, bytes)?;
        let name = self.fresh_name(session, seq);
        self.blobs.put(&name, Bytes::from(sealed)).await?;
        match self.rows.put_snapshot(session, epoch, after, &name).await {
            Ok(replaced) => {
                if let Some(old) = replaced {
                    self.discard(&old).await;
                }
                Ok(seq)
            }
            // The commit may have come through: then the row names the file.
            Err(
                error @ StateError::Store(StoreError::Unavailable(_) | StoreError::Internal(_)),
            ) => Err(error),
            Err(error) => {
                self.discard(&name).await;
                Err(error)
            }
        }
    }

    async fn probe(&self) -> Result<(), StateError> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let nobody = SessionId::from_u128(u128::from_be_bytes(random));
        let name = self.fresh_name(nobody, 0);
        self.blobs.put(&name, Bytes::from_static(b"probe")).await?;
        // A transaction that writes, for a session that nobody has.
        let written = self.rows.erase(nobody).await;
        self.blobs.delete_all(&folder(nobody)).await?;
        Ok(written?)
    }

    async fn archive(&self, session: SessionId, upto: Epoch) -> Result<(), StateError> {
        Ok(self.rows.archive(session, upto).await?)
    }

    async fn forget_archived(&self, before: Timestamp, limit: u32) -> Result<u64, StateError> {
        let (mut forgotten, mut failed) = (0, None);
        for state in self.rows.archived(before, limit).await? {
            match self.forget(&state).await {
                Ok(()) => forgotten += 1,
                Err(error) => {
                    let snapshot = state.snapshot.as_deref();
                    let why = ErrorChain(&error);
                    tracing::warn!(snapshot, error = %why, "an archived state is not forgotten");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if forgotten == 0 => Err(error),
            Some(_) | None => Ok(forgotten),
        }
    }

    async fn erase(&self, session: SessionId) -> Result<(), StateError> {
        // Rows first: what is left of a broken-off attempt is found by its folder in the next.
        self.rows.erase(session).await?;
        Ok(self.blobs.delete_all(&folder(session)).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use gateway_core::id::{SessionName, TenantId};
    use gateway_core::session::Session;
    use gateway_core::store::PlatformStore;

    use super::*;
    use crate::config::StateKey;
    use crate::store::sql::SqlStore;
    use crate::system::{OsEntropy, SystemClock};

    const EPOCH: Epoch = Epoch(1);

    async fn open(folder: &Path) -> StateVault {
        let path = folder.join("gateway.db");
        let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
        let store = store.expect("opened");
        store.migrate().await.expect("migrated");
        let mut tx = store.begin_platform().await.expect("a transaction");
        for (number, name) in [(1, "one"), (2, "two")] {
            let name = SessionName::parse(name).expect("a name");
            let tenant = TenantId::from_u128(1);
            let card = Session::new(
                SessionId::from_u128(number),
                tenant,
                name,
                Timestamp::default(),
            );
            tx.insert_session(&card, None).await.expect("stored");
        }
        tx.commit().await.expect("committed");
        let key = StateKey {
            id: 1,
            key: [7; 32],
        };
        let entropy = Arc::new(OsEntropy);
        let cipher = StateCipher::new(&[key], entropy.clone()).expect("a cipher");
        let blobs = Blobs::in_folder(&folder.join("state")).expect("a folder");
        StateVault::new(store.state_rows(), blobs, cipher, entropy)
    }

    #[tokio::test]
    async fn a_snapshot_that_cannot_be_removed_keeps_no_other_from_being_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = open(folder.path()).await;
        for session in [1, 2].map(SessionId::from_u128) {
            let put = vault.put_snapshot(session, EPOCH, 0, b"state").await;
            put.expect("stored");
            vault.archive(session, EPOCH).await.expect("archived");
        }
        // A folder in the place of the first snapshot is not removed as a file is.
        let first = super::folder(SessionId::from_u128(1));
        let first = folder.path().join("state").join(first);
        let mut files = std::fs::read_dir(first).expect("its snapshots");
        let file = files.next().expect("one").expect("read").path();
        std::fs::remove_file(&file).expect("removed");
        std::fs::create_dir_all(file.join("within")).expect("in its place");

        let far = Timestamp::default().plus(Duration::from_secs(1 << 33));
        let forgotten = vault.forget_archived(far, 10).await;
        assert_eq!(forgotten.expect("the second"), 1);
        let stuck = vault.forget_archived(far, 10).await;
        assert!(stuck.is_err(), "nothing was forgotten: {stuck:?}");

        std::fs::remove_dir_all(&file).expect("removed");
        let forgotten = vault.forget_archived(far, 10).await;
        assert_eq!(forgotten.expect("the first"), 1);
    }
}
