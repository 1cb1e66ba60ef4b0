//! Large objects: files now, other object stores behind the same port.
//!
//! An object is written once under a name of its own and never changed, so a reader sees all of it or
//! nothing, and a writer that dies leaves at most a file that nobody names. A write is durable when it
//! returns: file and folder are synced.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use gateway_core::store::StoreError;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// Objects by name. Clones are the same.
#[derive(Clone, Debug)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Files in `folder`, which is made if it is not there, for this user alone.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)?;
        if let Some(parent) = folder.parent().filter(|parent| parent.is_dir()) {
            std::fs::File::open(parent)?.sync_all()?;
        }
        let files = LocalFileSystem::new_with_prefix(folder)
            .map_err(io::Error::other)?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self {
            objects: Arc::new(files),
        })
    }

    /// Writes a new object durably.
    ///
    /// # Errors
    /// There is one of that name, or the store is away.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let once = PutOptions::from(PutMode::Create);
        let name = object_store::path::Path::from(name);
        let put = self.objects.put_opts(&name, bytes.into(), once).await;
        put.map(drop).map_err(away)
    }

    /// The object; none if there is none of that name.
    ///
    /// # Errors
    /// The store is away.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let found = match self.objects.get(&name.into()).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    /// Removes the object, if it is there.
    ///
    /// # Errors
    /// The store is away.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.objects.delete(&name.into()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }

    /// Removes every object below a folder.
    ///
    /// # Errors
    /// The store is away.
    pub async fn delete_all(&self, folder: &str) -> Result<(), StoreError> {
        let below = self.objects.list(Some(&folder.into()));
        let names: Vec<_> = below
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(away)?;
        for name in names {
            self.delete(name.as_ref()).await?;
        }
        Ok(())
    }
}

fn away(error: object_store::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn objects_are_written_once_and_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::in_folder(&folder.path().join("state")).expect("opened");
        let bytes = Bytes::from_static(b"bytes");
        blobs.put("a/b/1", bytes.clone()).await.expect("put");
        assert!(blobs.put("a/b/1", Bytes::new()).await.is_err(), "once");
        blobs.put("a/b/2", Bytes::new()).await.expect("put");
        blobs.put("ab/3", Bytes::new()).await.expect("put");
        assert_eq!(blobs.get("a/b/1").await.expect("read"), Some(bytes));
        blobs.delete("a/b/1").await.expect("deleted");
        blobs.delete("a/b/1").await.expect("deleted again");
        assert_eq!(blobs.get("a/b/1").await.expect("read"), None);
        blobs.delete_all("a").await.expect("deleted");
        blobs.delete_all("nothing").await.expect("deleted");
        assert_eq!(blobs.get("a/b/2").await.expect("read"), None);
        assert!(
            blobs.get("ab/3").await.expect("read").is_some(),
            "another folder"
        );
    }
}
