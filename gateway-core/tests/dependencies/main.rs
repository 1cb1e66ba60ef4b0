//! What the workspace depends on: under which licences, from where, who may use what, and that all of it is
//! used.
//!
//! An ordinary test instead of a tool, because the rules are few and a tool has to be installed first, which
//! takes longer than everything here. Known weaknesses of dependencies are another matter: `scripts/check` looks
//! them up where their database is at hand.

mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use manifest::{Manifest, members, read, root, sources};
use serde_json::Value;

/// Licences that ask for no more than to be named.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that only these may depend on directly, and why.
const RESERVED: [(&str, &[&str], &str); 5] = [
    ("openssl", &[], "TLS is rustls on aws-lc-rs everywhere"),
    ("openssl-sys", &[], "TLS is rustls on aws-lc-rs everywhere"),
    (
        "sqlx",
        &["gateway-server", "gateway-benches"],
        "only the server's store talks SQL, and the load that is put beside it",
    ),
    (
        "fred",
        &["gateway-server"],
        "only the server's coordinator talks to Redis",
    ),
    (
        "axum",
        &["gateway-server", "gateway-testkit", "gateway-worker"],
        "core knows no HTTP",
    ),
];

/// Where packages may come from; members of the workspace come from nowhere.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What cargo knows of everything that this machine builds.
fn metadata() -> Value {
    let cargo = |arguments: &[&str]| {
        let ran = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(root())
            .output();
        let ran = ran.expect("cargo runs");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "cargo {arguments:?}: {said}");
        String::from_utf8(ran.stdout).expect("text")
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.expect("cargo names its host");
    let arguments = [
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ];
    serde_json::from_str(&cargo(&arguments)).expect("JSON")
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether an expression such as `MIT OR (Apache-2.0 AND ISC)` can be fulfilled by `LICENCES` alone.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let allowed = any_of(&mut words);
    allowed && words.is_empty()
}

fn any_of(words: &mut Vec<&str>) -> bool {
    let mut allowed = all_of(words);
    while words.pop_if(|word| *word == "OR").is_some() {
        // Both sides are read, whatever the first one is.
        allowed |= all_of(words);
    }
    allowed
}

fn all_of(words: &mut Vec<&str>) -> bool {
    let mut allowed = one(words);
    while words.pop_if(|word| *word == "AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut Vec<&str>) -> bool {
    let Some(word) = words.pop() else {
        return false;
    };
    if word == "(" {
        let allowed = any_of(words);
        return words.pop() == Some(")") && allowed;
    }
    let mut licence = word.to_owned();
    if words.pop_if(|word| *word == "WITH").is_some() {
        licence = format!("{licence} WITH {}", words.pop().unwrap_or_default());
    }
    LICENCES.contains(&licence.as_str())
}

#[test]
fn licences_are_read_as_they_are_meant() {
    for allowed in [
        "MIT",
        "Unlicense/MIT",
        "GPL-3.0 OR (MIT AND ISC)",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT WITH Some-exception",
        "MIT ISC",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

#[test]
fn every_dependency_has_a_licence_and_a_source_that_are_allowed() {
    let metadata = metadata();
    assert!(packages(&metadata).len() > 50, "the tree is read");
    for package in packages(&metadata) {
        let name = text(&package["name"]);
        let licence = text(&package["license"]);
        assert!(
            is_allowed(licence),
            "{name} is licensed as {licence:?}; see LICENCES here"
        );
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(|source| source == REGISTRY),
            "{name} comes from {source:?}"
        );
    }
}

#[test]
fn reserved_crates_are_used_by_nobody_else() {
    let metadata = metadata();
    for package in packages(&metadata) {
        let user = text(&package["name"]);
        let needs = package["dependencies"].as_array().expect("a list");
        let needs: BTreeSet<&str> = needs.iter().map(|needed| text(&needed["name"])).collect();
        // What comes from elsewhere may offer it; only what is built counts there.
        if package["source"].is_string() {
            let refused = RESERVED.iter().filter(|(_, users, _)| users.is_empty());
            for (name, _, why) in refused {
                assert!(user != *name, "{name} is in the tree: {why}");
            }
            continue;
        }
        for (name, users, why) in RESERVED {
            assert!(
                !needs.contains(name) || users.contains(&user),
                "{user} may not depend on {name}: {why}"
            );
        }
    }
}

/// Whether any of the texts names the crate: `name::`, `use name;` or `name as`.
fn is_named(texts: &[String], crate_name: &str) -> bool {
    let name = crate_name.replace('-', "_");
    let begins = |text: &str, at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'))
    };
    texts.iter().any(|text| {
        text.match_indices(&name).any(|(at, _)| {
            let after = &text[at + name.len()..];
            begins(text, at)
                && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
        })
    })
}

fn texts(folders: &[&Path]) -> Vec<String> {
    let found = folders.iter().flat_map(|folder| sources(folder));
    found.map(|path| read(&path)).collect()
}

#[test]
fn every_dependency_is_used() {
    let mut asked_for = BTreeSet::new();
    for member in members() {
        let folder = root().join(&member);
        let manifest = Manifest::read(&folder.join("Cargo.toml"));
        let (source, whole) = (folder.join("src"), texts(&[&folder]));
        let normal = manifest.names("[dependencies]");
        // A member without src/ has its programs elsewhere in its folder.
        let own = if source.is_dir() {
            texts(&[&source])
        } else {
            whole.clone()
        };
        for name in &normal {
            assert!(is_named(&own, name), "{member} does not use {name}");
        }
        for name in manifest.names("[dev-dependencies]") {
            let used = normal.contains(&name) || is_named(&whole, &name);
            assert!(used, "the tests of {member} do not use {name}");
            asked_for.insert(name);
        }
        asked_for.extend(normal);
    }
    let offered = Manifest::read(&root().join("Cargo.toml")).names("[workspace.dependencies]");
    let unused: Vec<_> = offered.difference(&asked_for).collect();
    assert!(unused.is_empty(), "no member asks for {unused:?}");
}

/// Crates that are in the tree in two versions, because others have not caught up. A new one costs build time
/// and size: prefer to update what needs the older version.
const IN_TWO_VERSIONS: usize = 20;

#[test]
fn few_crates_are_there_twice() {
    let lock = read(&root().join("Cargo.lock"));
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for name in lock.lines().filter_map(|line| line.strip_prefix("name = ")) {
        *versions.entry(name).or_default() += 1;
    }
    let twice: Vec<_> = versions.iter().filter(|(_, count)| **count > 1).collect();
    assert!(
        twice.len() <= IN_TWO_VERSIONS,
        "{} crates are there in several versions: {twice:?}",
        twice.len()
    );
}
