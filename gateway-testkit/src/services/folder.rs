//! Temporary folders that do not outlive their process for long.
//!
//! A folder carries a locked file. The lock goes with its holder, so a folder whose file can be locked
//! belongs to nobody: that is how leftovers of a crash are told from folders in use, without trusting
//! process ids, which mean something else in every container.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use super::janitor::Janitor;

const PREFIX: &str = "gateway-test-";
const UNFINISHED: &str = ".gateway-test-";
const LOCK: &str = "in-use";
/// A server that is still shutting down may write between two attempts.
const REMOVE: &str = "for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf \"$1\" && exit; sleep 0.2; done";

/// A user and its group, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A temporary folder, removed when dropped and when the process ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _janitor: Janitor,
    _lock: File,
}

impl Folder {
    /// Makes a new folder that only this process's user can enter; first removes those that nobody uses.
    pub(super) fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        remove_unused(&parent);
        let unfinished = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&parent)?;
        let lock = File::create(unfinished.path().join(LOCK))?;
        lock.lock()?;
        let name = unfinished
            .path()
            .to_string_lossy()
            .replacen(UNFINISHED, PREFIX, 1);
        let path = PathBuf::from(name);
        // Only a folder with a locked file gets the name that others may clean up.
        fs::rename(unfinished.keep(), &path)?;
        let janitor = Janitor::hire(REMOVE, &[&path.to_string_lossy()])?;
        Ok(Self {
            path,
            _janitor: janitor,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the user that servers in this folder must run as when this process is root, which
    /// PostgreSQL refuses to be: `postgres`, else `nobody`. The folder is given to that user.
    pub(super) fn hand_over_if_root(&self) -> io::Result<Option<Owner>> {
        if fs::metadata(&self.path)?.uid() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let owner = ["postgres", "nobody"]
            .iter()
            .find_map(|name| account(&accounts, name));
        let owner = owner.ok_or_else(|| io::Error::other("no user postgres or nobody"))?;
        chown(&self.path, Some(owner.uid), Some(owner.gid))?;
        Ok(Some(owner))
    }
}

fn account(accounts: &str, name: &str) -> Option<Owner> {
    let line = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Owner { uid, gid })
}

fn remove_unused(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && unused(&entry.path()) {
            // Another process may be removing it too, or it is another user's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn unused(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_left_alone_and_a_forgotten_one_is_not() {
        let parent = tempfile::tempdir().expect("a folder");
        let (used, forgotten) = (
            parent.path().join("gateway-test-a"),
            parent.path().join("gateway-test-b"),
        );
        for folder in [&used, &forgotten] {
            fs::create_dir(folder).expect("a folder");
        }
        let lock = File::create(used.join(LOCK)).expect("a file");
        lock.lock().expect("a lock");
        File::create(forgotten.join(LOCK)).expect("a file");
        fs::create_dir(parent.path().join("something-else")).expect("a folder");

        remove_unused(parent.path());
        assert!(
            used.exists() && !forgotten.exists() && parent.path().join("something-else").exists()
        );
    }

    #[test]
    fn a_dropped_folder_is_gone() {
        let folder = Folder::new().expect("a folder");
        let path = folder.path().to_owned();
        assert!(path.exists());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn accounts_are_found_by_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";
        let found = account(accounts, "nobody").map(|owner| (owner.uid, owner.gid));
        assert_eq!(found, Some((65534, 65533)));
        assert!(account(accounts, "postgres").is_none());
    }
}
