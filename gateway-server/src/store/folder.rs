//! The id of the folder of the files, by which replicas find out whether they share it.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gateway_core::entropy::Entropy;

const FILE: &str = "folder-id";

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the data folder {} cannot be used", path.display())]
pub struct FolderError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// Returns the id of a folder; makes the folder and its id if they are not there.
///
/// # Errors
/// The folder cannot be written.
pub fn id(folder: &Path, entropy: &dyn Entropy) -> Result<u64, FolderError> {
    make_or_read(folder, entropy).map_err(|source| FolderError {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::OsEntropy;

    #[test]
    fn a_folder_is_known_by_its_id() {
        let (one, two) = (tempfile::tempdir(), tempfile::tempdir());
        let (one, two) = (one.expect("a folder"), two.expect("a folder"));
        let of = |folder: &Path| id(folder, &OsEntropy).expect("an id");
        let shared = of(one.path());
        assert_eq!(of(one.path()), shared, "the same for every replica");
        assert_ne!(of(two.path()), shared);
    }
}
