//! What the three libraries promise in Rust, as text: every public item, field, variant and method of a trait, as the
//! sources declare it.
//!
//! A change of these texts is a change of the API: it belongs into `CHANGELOG.md`, and what takes something away into
//! a minor version. `UPDATE_SNAPSHOTS=1 cargo test -p gateway-core --test public_api` writes them anew.
//!
//! Read from the text of the sources, so it needs no other compiler and takes no time. That is enough because the
//! lint `unreachable_pub` lets nothing be called `pub` that nobody outside can reach. What macros make is not seen.

use std::fs;
use std::path::{Path, PathBuf};

const LIBRARIES: [(&str, &str); 3] = [
    ("gateway-core", "gateway-core"),
    ("gateway-testkit", "gateway-testkit"),
    ("gateway-worker", "workers/runtime"),
];

fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.parent().expect("the workspace").to_owned()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The lines that say something to the compiler, without tests, comments and attributes; `#[non_exhaustive]` stays.
fn code(text: &str) -> Vec<&str> {
    let mut in_attribute = false;
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let said = lines.filter(|line| {
        let line = line.trim();
        let begins = line.starts_with("#[") || line.starts_with("#![");
        let attribute = begins || in_attribute;
        in_attribute = attribute && !line.ends_with(']');
        let kept = line == "#[non_exhaustive]";
        kept || !(attribute || line.is_empty() || line.starts_with("//"))
    });
    said.collect()
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A declaration that begins with the first line, up to its body or its end.
fn declaration(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        if !text.is_empty() && !text.ends_with('(') {
            text.push(' ');
        }
        text.push_str(line.trim());
        let open = text.matches(['(', '<']).count() > text.matches([')', '>']).count();
        // `->` closes nothing.
        let arrows = text.matches("->").count();
        let open = open || arrows > 0 && text.matches('(').count() > text.matches(')').count();
        if text.ends_with('{') || text.ends_with(';') || (text.ends_with(',') && !open) {
            break;
        }
    }
    let text = text.trim_end_matches(['{', ';', ',', ' ']);
    let value = text.find(" = ").filter(|_| text.starts_with("pub const"));
    let text = &text[..value.unwrap_or(text.len())];
    text.replace(",)", ")").replace(", )", ")")
}

/// The public items of a file, each on a line of its own.
fn items(text: &str) -> Vec<String> {
    let lines = code(text);
    let mut found = Vec::new();
    // The public trait or enum that the line is in.
    let mut inside: Option<(&str, usize)> = None;
    for (at, line) in lines.iter().enumerate() {
        let (here, trimmed) = (depth(line), line.trim());
        if inside.is_some_and(|(_, outer)| here <= outer && trimmed.starts_with('}')) {
            inside = None;
        }
        let member = match inside {
            Some(("enum", _)) => trimmed != "#[non_exhaustive]" && !trimmed.starts_with(['}', ')']),
            Some((_, outer)) => {
                let begins = ["fn ", "async fn ", "type ", "const "];
                here == outer + 4 && begins.iter().any(|word| trimmed.starts_with(word))
            }
            None => false,
        };
        if !(trimmed.starts_with("pub ") || member) {
            continue;
        }
        let open = at > 0 && lines[at - 1].trim() == "#[non_exhaustive]";
        let mark = if open { "non_exhaustive " } else { "" };
        let indent = " ".repeat(here);
        found.push(format!("{indent}{mark}{}", declaration(&lines[at..])));
        for kind in ["enum", "trait"] {
            let begins = trimmed.starts_with(&format!("pub {kind} "));
            if begins && !trimmed.ends_with(['}', ';']) {
                inside = Some((kind, here));
            }
        }
    }
    found
}

fn snapshot(member: &str) -> String {
    let source = root().join(member).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    found.sort();
    let mut text = String::new();
    for path in found {
        let items = items(&fs::read_to_string(&path).expect("a source"));
        if items.is_empty() {
            continue;
        }
        let name = path.strip_prefix(&source).expect("inside");
        text.push_str(&format!("# {}\n{}\n\n", name.display(), items.join("\n")));
    }
    text
}

#[test]
fn the_public_api_is_the_one_that_was_agreed_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api");
    for (name, member) in LIBRARIES {
        let (path, actual) = (folder.join(format!("{name}.txt")), snapshot(member));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &actual).expect("written");
            continue;
        }
        let agreed = fs::read_to_string(&path).unwrap_or_default();
        let gone = agreed
            .lines()
            .find(|line| !actual.lines().any(|other| other == *line));
        let new = actual
            .lines()
            .find(|line| !agreed.lines().any(|other| other == *line));
        assert!(
            agreed == actual,
            "{name} has changed; gone: {gone:?}, new: {new:?}. If that is meant, see the page of this test."
        );
    }
}

#[test]
fn items_fields_variants_and_methods_are_listed_as_they_are_declared() {
    let text = r#"
//! Page.
/// A thing.
#[derive(
    Debug
)]
#[non_exhaustive]
pub struct Thing<T> {
    /// A field.
    pub one: BTreeMap<String, T>,
    hidden: u32,
}
pub(crate) fn inner() {}
/// Kinds.
pub enum Kind {
    One,
    Two { field: u32 },
}
pub trait Port: Send {
    /// Does it.
    async fn act(
        &self,
        limit: Duration,
    ) -> Result<(), Error>;
    fn late(&self) -> u32 {
        0
    }
}
impl<T> Thing<T> {
    pub const MOST: u32 = 7;
    pub fn new(one: T) -> Self {
        let x = 1;
    }
}
#[cfg(test)]
mod tests { pub fn no() {} }
"#;
    let expected = [
        "non_exhaustive pub struct Thing<T>",
        "    pub one: BTreeMap<String, T>",
        "pub enum Kind",
        "    One",
        "    Two { field: u32 }",
        "pub trait Port: Send",
        "    async fn act(&self, limit: Duration) -> Result<(), Error>",
        "    fn late(&self) -> u32",
        "    pub const MOST: u32",
        "    pub fn new(one: T) -> Self",
    ];
    assert_eq!(items(text), expected);
}
