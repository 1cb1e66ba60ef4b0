//! The numbers of requirements that sources name are explained in `docs/requirements.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::{files, read, root};

/// The numbers after `R-` in a text.
fn named(text: &str) -> BTreeSet<u32> {
    let found = text.match_indices("R-").filter_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '-');
        let digits = text[at + 2..].split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok().filter(|_| begins)
    });
    found.collect()
}

#[test]
fn every_requirement_that_is_named_is_explained() {
    let page = read(&root().join("docs/requirements.md"));
    let rows = page.lines().filter(|line| line.starts_with("| R-"));
    let explained: BTreeSet<u32> = rows.flat_map(|row| named(&row[..8])).collect();
    assert!(explained.len() > 40, "the page is read");
    let mut found = Vec::new();
    files(&root(), &mut found);
    let mut missing: BTreeMap<u32, String> = BTreeMap::new();
    for path in found {
        for number in named(&read(&path)) {
            if !explained.contains(&number) {
                missing.insert(number, path.display().to_string());
            }
        }
    }
    assert!(missing.is_empty(), "without a sentence: {missing:?}");
}
