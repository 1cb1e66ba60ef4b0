//! What a stranger reads: everything public is described, and one name means one thing.
//!
//! The compiler's `missing_docs` would also ask for a comment on every field and variant, where a good name
//! says it already and a comment only repeats it. So the text of the sources is read instead.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{files, read, root};

/// Crates that others build on: each public item of theirs has a doc comment.
const DESCRIBED: [&str; 3] = ["gateway-core", "gateway-testkit", "workers/runtime"];

/// Crates in which no two types that more than one file can see have the same name.
const UNIQUE: [&str; 4] = [
    "gateway-core",
    "gateway-server",
    "gateway-testkit",
    "workers/runtime",
];

/// Names that may stand twice in a crate.
const EXCEPTIONS: [(&str, &str); 0] = [];

const ITEMS: [&str; 6] = ["fn", "struct", "enum", "trait", "type", "const"];
const TYPES: [&str; 4] = ["struct", "enum", "trait", "type"];

/// The lines of every source file of a crate, up to the tests inside it.
fn sources(member: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    files(&root().join(member).join("src"), &mut found);
    let rust = found.into_iter().filter(|path| {
        path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs")
    });
    rust.map(|path| {
        let text = read(&path);
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
        (path, lines.map(str::to_owned).collect())
    })
    .collect()
}

/// The keyword and the name of the item that a line begins, without its visibility and qualifiers.
fn item(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let is_constant = word == "const" && words.peek().is_some_and(|next| next.contains(':'));
        if word != "const" && ITEMS.contains(&word) || is_constant {
            let name = words.next()?;
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
            return Some((word, &name[..end.unwrap_or(name.len())]));
        }
        let is_qualifier = word.starts_with("pub") || ["async", "const", "unsafe"].contains(&word);
        if !is_qualifier {
            return None;
        }
    }
    None
}

/// Whether a doc comment stands above the line with this index; attributes may stand between them.
fn is_described(lines: &[String], index: usize) -> bool {
    let mut above = lines[..index].iter().rev().map(|line| line.trim_start());
    let mut is_inside_attribute = false;
    let nearest = above.find(|line| {
        is_inside_attribute |= line.starts_with(")]");
        let is_attribute = is_inside_attribute || line.starts_with("#[");
        is_inside_attribute &= !line.starts_with("#[");
        !is_attribute
    });
    let nearest = nearest.unwrap_or_default();
    let forms = ["///", "$(#[$doc])", "$(#[doc = $doc])"];
    forms.iter().any(|form| nearest.starts_with(form))
}

/// Public items and the methods of public traits that have no doc comment.
fn undescribed(lines: &[String]) -> Vec<String> {
    let mut in_public_trait = false;
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match line.as_str() {
            "}" => in_public_trait = false,
            line if line.starts_with("pub trait ") => in_public_trait = true,
            _ => {}
        }
        let is_public = line.trim_start().starts_with("pub ");
        let of_trait = in_public_trait && line.starts_with("    ") && !line.starts_with("     ");
        if (is_public || of_trait) && item(line).is_some() && !is_described(lines, index) {
            found.push(line.trim().to_owned());
        }
    }
    found
}

#[test]
fn everything_public_has_a_doc_comment() {
    let mut bare = Vec::new();
    for (path, lines) in DESCRIBED.into_iter().flat_map(sources) {
        let first = lines.first().map_or("", String::as_str);
        if !first.starts_with("//!") {
            bare.push(format!("{}: the module", path.display()));
        }
        let items = undescribed(&lines);
        bare.extend(
            items
                .iter()
                .map(|item| format!("{}: {item}", path.display())),
        );
    }
    assert!(bare.is_empty(), "without a doc comment: {bare:#?}");
}

#[test]
fn type_names_are_unique_within_a_crate() {
    for member in UNIQUE {
        let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for (path, lines) in sources(member) {
            let seen_by_others = lines
                .iter()
                .filter(|line| line.starts_with("pub "))
                .chain(lines.iter().filter(|line| line.starts_with("pub(")));
            let types = seen_by_others
                .filter_map(|line| item(line))
                .filter(|(keyword, _)| TYPES.contains(keyword));
            for (_, name) in types {
                let of_name = places.entry(name.to_owned()).or_default();
                of_name.push(path.clone());
            }
        }
        places.retain(|name, paths| {
            let is_allowed = EXCEPTIONS.iter().any(|(allowed, _)| allowed == name);
            paths.len() > 1 && !is_allowed
        });
        assert!(places.is_empty(), "rename all but one: {places:#?}");
    }
}

#[test]
fn items_are_told_from_fields_and_found_behind_qualifiers() {
    assert_eq!(
        item("pub const fn next(self) -> Self {"),
        Some(("fn", "next"))
    );
    assert_eq!(item("    async fn commit("), Some(("fn", "commit")));
    assert_eq!(item("pub const ALL: [u8; 2] = ["), Some(("const", "ALL")));
    assert_eq!(
        item("pub(crate) struct Held<R> {"),
        Some(("struct", "Held"))
    );
    assert_eq!(item("    pub name: String,"), None);
    let text = "/// Text.\n#[must_use]\n#[expect(\n    dead_code\n)]\npub fn a() {}\npub fn b() {}";
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(undescribed(&lines), ["pub fn b() {}"]);
}
