//! What must stay true of the workspace as a whole: who may depend on whom, who may import whom
//! (`imports`), what the invariants rest on (`invariants`), what the numbers mean (`requirements`), what is
//! described and what names mean (`words`), and how long a file may be.
//!
//! The tree of dependencies is read from the lock file and the manifests, so the test needs no network
//! and no other program.

mod imports;
mod invariants;
mod requirements;
mod sources;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// No file is longer, and half of them are shorter than the second number.
const MAX_LINES: usize = 600;
const MEDIAN_LINES: usize = 150;

fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.parent().expect("the workspace").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in one section of a manifest, as crates.
fn section(manifest: &str, header: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != header);
    lines
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn dependencies(member: &str) -> BTreeSet<String> {
    section(
        &read(&root().join(member).join("Cargo.toml")),
        "[dependencies]",
    )
}

/// For every package of the lock file, the packages it needs (names only; versions are merged).
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let mut tree: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in read(&root().join("Cargo.lock"))
        .split("[[package]]")
        .skip(1)
    {
        let mut lines = package.lines().map(str::trim);
        let name = lines
            .find_map(|line| line.strip_prefix("name = \""))
            .and_then(|rest| rest.strip_suffix('"'))
            .expect("every package has a name");
        let needs = lines
            .skip_while(|line| *line != "dependencies = [")
            .skip(1)
            .take_while(|line| *line != "]")
            .filter_map(|line| line.trim_matches(['"', ',']).split(' ').next())
            .map(str::to_owned);
        tree.entry(name.to_owned()).or_default().extend(needs);
    }
    tree
}

/// Everything that `first` needs, directly or not. More than is built, since the lock file also names
/// optional packages, so what is not in it is certainly not built.
fn reachable(first: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let tree = locked();
    let mut todo: Vec<String> = first.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if found.insert(name.clone()) {
            todo.extend(tree.get(&name).into_iter().flatten().cloned());
        }
    }
    found
}

fn names(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn core_depends_on_no_more_than_it_may() {
    let allowed = names(
        "async-trait futures-core hex hmac serde serde_json sha2 thiserror time tracing utoipa",
    );
    let actual = dependencies("gateway-core");
    let more: Vec<_> = actual.difference(&allowed).collect();
    assert!(more.is_empty(), "gateway-core may not depend on {more:?}");
}

#[test]
fn core_has_no_runtime_server_database_or_client_anywhere_below_it() {
    let mut direct = dependencies("gateway-core");
    // Optional, off by default, and for descriptions only.
    direct.remove("utoipa");
    let below = reachable(direct);
    for banned in names("tokio hyper axum sqlx sqlx-core fred reqwest redis async-std smol") {
        assert!(!below.contains(&banned), "gateway-core needs {banned}");
    }
    assert!(
        below.contains("serde_core") || below.contains("serde"),
        "the tree is read"
    );
}

/// What the worker runtime needs without its `http` feature: all that is not optional.
fn worker_rules_dependencies() -> BTreeSet<String> {
    let manifest = read(&root().join("workers/runtime/Cargo.toml"));
    let optional = |name: &String| {
        let line = format!("{name} = {{");
        let mut lines = manifest.lines().filter(|text| text.starts_with(&line));
        lines.any(|text| text.contains("optional = true"))
    };
    let mut all = dependencies("workers/runtime");
    all.retain(|name| !optional(name));
    all
}

#[test]
fn the_rules_of_a_worker_depend_on_no_more_than_they_may() {
    let allowed = names("async-trait gateway-core serde serde_json thiserror tracing");
    let actual = worker_rules_dependencies();
    let more: Vec<_> = actual.difference(&allowed).collect();
    assert!(more.is_empty(), "without http, no {more:?}");
    assert!(actual.contains("gateway-core"), "the manifest is read");
}

#[test]
fn workers_know_neither_the_testkit_nor_the_server() {
    let direct = dependencies("workers/runtime");
    for banned in ["gateway-testkit", "gateway-server"] {
        assert!(!direct.contains(banned), "gateway-worker needs {banned}");
    }
}

#[test]
fn testkit_does_not_depend_on_the_server() {
    assert!(!reachable(dependencies("gateway-testkit")).contains("gateway-server"));
}

#[test]
fn what_is_for_tests_is_not_in_the_server() {
    let manifest = read(&root().join("gateway-server/Cargo.toml"));
    let normal = section(&manifest, "[dependencies]");
    let for_tests = names("proptest mockall testcontainers insta wiremock libtest-mimic tempfile");
    let direct: Vec<_> = normal.intersection(&for_tests).collect();
    assert!(direct.is_empty(), "{direct:?} belong to [dev-dependencies]");

    // Below testkit they are optional, and the server asks for none of the features that need them.
    let testkit = read(&root().join("gateway-testkit/Cargo.toml"));
    for line in testkit.lines() {
        let named = for_tests
            .iter()
            .any(|name| line.starts_with(&format!("{name} =")));
        assert!(!named || line.contains("optional = true"), "{line}");
    }
    let uses = manifest
        .lines()
        .find(|line| line.starts_with("gateway-testkit"))
        .expect("the simulated worker of `dev`");
    for feature in ["conformance", "strategies", "services"] {
        assert!(!uses.contains(feature), "{uses}");
    }
    // The lock file names what their tests need, too.
    let outside = normal
        .into_iter()
        .filter(|name| !name.starts_with("gateway-"));
    let below = reachable(outside);
    for banned in ["proptest", "mockall", "testcontainers"] {
        assert!(!below.contains(banned), "the server needs {banned}");
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{error}"));
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with(".git") {
                files(&path, found);
            }
            continue;
        }
        let kind = path.extension().and_then(|kind| kind.to_str());
        if matches!(kind, Some("rs" | "sql" | "sh")) {
            found.push(path);
        }
    }
}

#[test]
fn files_are_short() {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let mut lengths: Vec<(usize, PathBuf)> = found
        .into_iter()
        .map(|path| (read(&path).lines().count(), path))
        .collect();
    lengths.sort();
    let long: Vec<_> = lengths
        .iter()
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:?}");
    let median = lengths[lengths.len() / 2].0;
    assert!(median <= MEDIAN_LINES, "the median is {median} lines");
}
