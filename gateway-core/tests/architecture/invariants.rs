//! What `ARCHITECTURE.md` promises is held by something.

use super::{files, read, root};

/// The sources of tests and of what is tested, as one text.
fn sources() -> String {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let rust = found
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    rust.map(|path| read(path)).collect()
}

/// The names that stand in backquotes after the last `tests:` or `test:` of a paragraph.
fn tests_named(bullet: &str) -> Vec<&str> {
    let named = bullet.rsplit_once("tests:");
    let named = named.or_else(|| bullet.rsplit_once("test:"));
    let named = named.map_or("", |(_, names)| names);
    named.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_invariant_names_tests_that_are_there() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let section = page.split("## Invariants").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let list = section.split("\n\nTwo rules").next().expect("the list");
    let sources = sources();
    let bullets: Vec<&str> = list.split("\n- ").skip(1).collect();
    assert!(bullets.len() > 10, "the list is read");
    for bullet in bullets {
        let tests = tests_named(bullet);
        assert!(!tests.is_empty(), "no test is named: {bullet}");
        for test in tests {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
        }
    }
}

#[test]
fn hash_maps_are_banned_where_order_counts() {
    for member in ["gateway-core", "gateway-testkit", "workers/runtime"] {
        let bans = read(&root().join(member).join("clippy.toml"));
        for name in ["std::collections::HashMap", "std::collections::HashSet"] {
            assert!(
                bans.contains(name),
                "{member}/clippy.toml does not ban {name}"
            );
        }
    }
}

#[test]
fn only_dev_and_supervisors_vouch_for_the_end_of_a_process() {
    let mut found = Vec::new();
    for member in ["gateway-core/src", "gateway-server/src"] {
        files(&root().join(member), &mut found);
    }
    found.retain(|path| read(path).contains("process_gone("));
    let names = found
        .iter()
        .map(|path| path.strip_prefix(root()).expect("inside").display());
    let mut names: Vec<_> = names.map(|name| name.to_string()).collect();
    names.sort();
    let expected = [
        "gateway-core/src/orchestrator/membership.rs",
        "gateway-core/src/worker/lease.rs",
        "gateway-server/src/cli/dev/workers.rs",
    ];
    assert_eq!(names, expected);
}
