//! Whether all replicas keep their files in one folder.
//!
//! Snapshots of sessions lie beside the database. A replica with a folder of its own would take a session's
//! state, and every other one would find nothing and ask the person to scan again. So the folder has an id,
//! which replicas show each other; who would be the odd one out does not start.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gateway_core::coord::Live;
use gateway_core::entropy::Entropy;

use crate::coord::in_common::{self, DATA_FOLDER};

const FILE: &str = "folder-id";

/// Why a replica with such a folder is not started.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Others use another one.
    #[error(
        "the replicas that run already keep their files in another folder than {}: give all of them the same storage.data_dir on a shared file system",
        path.display()
    )]
    Other {
        /// This one's.
        path: PathBuf,
    },
    /// It cannot be used.
    #[error("the data folder {} cannot be used", path.display())]
    Unusable {
        /// This one's.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The id of a folder, which is made if it has none.
///
/// # Errors
/// The folder cannot be written.
pub fn id(folder: &Path, entropy: &dyn Entropy) -> Result<u64, FolderError> {
    make_or_read(folder, entropy).map_err(|source| FolderError::Unusable {
        path: folder.to_owned(),
        source,
    })
}

fn make_or_read(folder: &Path, entropy: &dyn Entropy) -> io::Result<u64> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let path = folder.join(FILE);
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    match made {
        Ok(mut file) => {
            let id = entropy.next_u64();
            file.write_all(format!("{id:016x}\n").as_bytes())?;
            file.sync_all()?;
            Ok(id)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Half of it is there for a moment only, when two replicas make the folder at once.
            let text = fs::read_to_string(&path)?;
            u64::from_str_radix(text.trim(), 16).map_err(io::Error::other)
        }
        Err(error) => Err(error),
    }
}

/// Notes the folder in what this replica shows.
pub fn show(live: &mut Live, id: u64) {
    in_common::show(live, DATA_FOLDER, id);
}

/// That nobody shows another folder.
///
/// # Errors
/// Somebody does.
pub fn check(others: &[Live], id: u64, folder: &Path) -> Result<(), FolderError> {
    match in_common::is_shared(others, DATA_FOLDER, id) {
        true => Ok(()),
        false => Err(FolderError::Other {
            path: folder.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::OsEntropy;

    fn shows(id: u64) -> Live {
        let mut live = Live {
            replica: "a".to_owned(),
            numbers: [].into(),
        };
        show(&mut live, id);
        live
    }

    #[test]
    fn a_folder_is_known_by_its_id() {
        let (one, two) = (tempfile::tempdir(), tempfile::tempdir());
        let (one, two) = (one.expect("a folder"), two.expect("a folder"));
        let of = |folder: &Path| id(folder, &OsEntropy).expect("an id");
        let shared = of(one.path());
        assert_eq!(of(one.path()), shared, "the same for every replica");
        let other = of(two.path());
        assert_ne!(other, shared);
        check(&[shows(shared)], shared, one.path()).expect("the same folder");
        let refused = check(&[shows(shared)], other, two.path());
        let sentence = refused.expect_err("another folder").to_string();
        assert!(sentence.contains("storage.data_dir"), "{sentence}");
    }

    #[test]
    fn who_shows_no_folder_is_in_nobodys_way() {
        let mut live = shows(7);
        live.numbers.clear();
        check(&[live], 8, Path::new("data")).expect("an older replica");
    }
}
