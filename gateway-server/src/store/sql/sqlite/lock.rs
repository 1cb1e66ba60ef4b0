//! One process per database file.
//!
//! SQLite itself would let two gateways share a file, each believing to be the only one. The lock file
//! beside the database is held for the life of the process; the kernel lets go of it however the process
//! ends, so a lock that can be had proves that its former holder is gone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The exclusive lock on a data folder, held until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    file: File,
}

impl Drop for DataLock {
    /// Gives the lock back by a call, because closing the file would not: a process that is forked meanwhile
    /// has it open, too, until it becomes another program.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock on the data folder is given back late");
        }
    }
}

/// The lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "{} is held by another gateway: stop that one, or give this one a data folder of its own",
        path.display()
    )]
    Held {
        /// The path of the lock file.
        path: PathBuf,
    },
    /// The file cannot be made or locked.
    #[error("{} cannot be locked", path.display())]
    Unusable {
        /// The path of the lock file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl DataLock {
    /// Takes the lock `gateway.lock` in `folder`, at once or never.
    ///
    /// # Errors
    /// Another process holds it, or the file cannot be made.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("gateway.lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(source) => return Err(LockError::Unusable { path, source }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { path }),
            Err(TryLockError::Error(source)) => Err(LockError::Unusable { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_to_go_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = DataLock::take(folder.path()).expect("a free lock");
        let second = DataLock::take(folder.path()).expect_err("a held lock");
        assert!(matches!(second, LockError::Held { .. }), "{second}");
        drop(first);
        assert!(DataLock::take(folder.path()).is_ok());
    }
}
