//! Manifests and sources of the workspace, read as text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.parent().expect("the workspace").to_owned()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of the workspace's members.
pub(crate) fn members() -> Vec<String> {
    let manifest = read(&root().join("Cargo.toml"));
    let (_, list) = manifest
        .split_once("\nmembers = [")
        .expect("a list of members");
    let (list, _) = list.split_once(']').expect("its end");
    let names = list.split(',').map(|name| name.trim().trim_matches('"'));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A manifest.
pub(crate) struct Manifest(String);

impl Manifest {
    pub(crate) fn read(path: &Path) -> Self {
        Self(read(path))
    }

    /// The crates that stand under `header`.
    pub(crate) fn names(&self, header: &str) -> BTreeSet<String> {
        let lines = self.0.lines().skip_while(|line| line.trim() != header);
        lines
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split(['.', '=', ' ']).next())
            .filter(|name| !name.is_empty() && !name.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }
}

/// Every Rust file below `folder` that belongs to the same package.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{error}"));
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                // A folder with a manifest is another package.
                if !path.join("Cargo.toml").exists() && !path.ends_with("target") {
                    left.push(path);
                }
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found
}
