//! Which file uses which, read from the text of a crate's sources.
//!
//! Only what can be seen without a compiler: `use` declarations and paths of two segments and more. Names
//! that a file only passes on (`pub use`) are followed to the file that defines them, so a file that
//! imports from a folder depends on what it means and not on all that the folder has. Tests inside of
//! files are left out; they may look at anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The segments of a module's path below its crate; empty for the crate itself.
pub(crate) type ModulePath = Vec<String>;

/// The modules of one crate, each with the modules that it uses.
pub(crate) type Graph = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

/// Passing on through more folders than this is taken for a circle.
const LONGEST_REEXPORT: usize = 8;

/// What one file says about others.
#[derive(Debug, Default)]
struct Mentions {
    /// Paths that it uses, as they are written.
    used: Vec<Vec<String>>,
    /// What it passes on: the name it has here, and the path it comes from.
    passed_on: BTreeMap<String, Vec<String>>,
}

/// Reads the crate in `source`, the folder of its `lib.rs`.
pub(crate) fn graph(source: &Path) -> Graph {
    let mut files = BTreeMap::new();
    collect(source, &[], &mut files);
    let resolve = |from: &ModulePath, path: &[String]| target(&files, from, path, 0);
    files
        .iter()
        .map(|(module, mentions)| {
            let targets = mentions
                .used
                .iter()
                .filter_map(|path| resolve(module, path));
            // What a folder's own files have in common stands in its `mod.rs`.
            let others = targets.filter(|target| !module.starts_with(target));
            (module.clone(), others.collect())
        })
        .collect()
}

fn collect(folder: &Path, inside: &[String], found: &mut BTreeMap<ModulePath, Mentions>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{error}"));
    for entry in entries {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|name| name.to_str());
        let stem = stem.unwrap_or_default().to_owned();
        let mut module = inside.to_vec();
        if path.is_dir() {
            module.push(stem);
            collect(&path, &module, found);
            continue;
        }
        match stem.as_str() {
            // Tests in a file of their own, and the program, which only calls the library.
            "tests" | "main" => continue,
            "lib" | "mod" => {}
            _ => module.push(stem),
        }
        if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            found.insert(module, mentions(&text));
        }
    }
}

/// The module that defines what `path`, written in `from`, means; none if it is outside of the crate.
fn target(
    files: &BTreeMap<ModulePath, Mentions>,
    from: &ModulePath,
    path: &[String],
    passed: usize,
) -> Option<ModulePath> {
    let whole = absolute(files, from, path)?;
    let longest = (0..=whole.len()).rev();
    let module = longest
        .map(|length| whole[..length].to_vec())
        .find(|module| files.contains_key(module))?;
    let name = whole.get(module.len());
    let origin = name.and_then(|name| files[&module].passed_on.get(name));
    match origin {
        Some(origin) if passed < LONGEST_REEXPORT => {
            let mut further = origin.clone();
            further.extend_from_slice(&whole[module.len() + 1..]);
            target(files, &module, &further, passed + 1).or(Some(module))
        }
        Some(_) | None => Some(module),
    }
}

/// `path` as seen from the crate; none if it does not begin in it.
fn absolute(
    files: &BTreeMap<ModulePath, Mentions>,
    from: &ModulePath,
    path: &[String],
) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (base, rest): (&[String], &[String]) = match path.first()?.as_str() {
        "crate" => (&[], &path[1..]),
        "self" => (from, &path[1..]),
        "super" => (from.get(..from.len().checked_sub(ups)?)?, &path[ups..]),
        child => {
            let mut below = from.clone();
            below.push(child.to_owned());
            let is_child = files.contains_key(&below);
            is_child.then_some((from.as_slice(), path))?
        }
    };
    Some([base, rest].concat())
}

fn mentions(text: &str) -> Mentions {
    let tokens = tokens(text);
    let mut found = Mentions::default();
    let mut at = 0;
    while at < tokens.len() {
        if is_tests(&tokens[at..]) {
            break;
        }
        if tokens[at] == "use" {
            let public = is_public(&tokens[..at]);
            let end = tokens[at..].iter().position(|token| token == ";");
            let end = end.map_or(tokens.len(), |length| at + length);
            let tree = &tokens[at + 1..end];
            for (name, path) in use_tree(tree) {
                match public {
                    true => drop(found.passed_on.insert(name, path)),
                    false => found.used.push(path),
                }
            }
            at = end;
            continue;
        }
        let path = path_at(&tokens[at..]);
        at += (path.len() * 2).saturating_sub(1).max(1);
        if path.len() > 1 {
            found.used.push(path);
        }
    }
    found
}

/// Whether the tests of the file begin here.
fn is_tests(tokens: &[String]) -> bool {
    let begin = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    tokens.len() > begin.len() + 1
        && tokens
            .iter()
            .zip(begin)
            .all(|(token, wanted)| token == wanted)
        && tokens[begin.len() + 1] == "{"
}

/// Whether `pub` or `pub(…)` stands at the end.
fn is_public(before: &[String]) -> bool {
    match before.last().map(String::as_str) {
        Some("pub") => true,
        Some(")") => {
            let open = before.iter().rposition(|token| token == "(");
            open.is_some_and(|open| open > 0 && before[open - 1] == "pub")
        }
        Some(_) | None => false,
    }
}

/// The names at the beginning that `::` joins.
fn path_at(tokens: &[String]) -> Vec<String> {
    let mut path = Vec::new();
    for pair in tokens.chunks(2) {
        if !is_name(&pair[0]) {
            break;
        }
        path.push(pair[0].clone());
        if pair.get(1).is_none_or(|token| token != "::") {
            break;
        }
    }
    path
}

/// Every name that a `use` brings in, with its whole path.
fn use_tree(tokens: &[String]) -> Vec<(String, Vec<String>)> {
    let open = tokens.iter().position(|token| token == "{");
    let head = &tokens[..open.unwrap_or(tokens.len())];
    let names = head.iter().filter(|token| is_name(token));
    let mut prefix: Vec<String> = names.cloned().collect();
    let Some(open) = open else {
        let renamed = prefix.iter().position(|name| name == "as");
        let name = prefix.last().cloned().unwrap_or_default();
        prefix.truncate(renamed.unwrap_or(prefix.len()));
        return vec![(name, prefix)];
    };
    let end = tokens.iter().rposition(|token| token == "}");
    let inner = &tokens[open + 1..end.unwrap_or(tokens.len())];
    let below = split(inner).into_iter().flat_map(use_tree);
    below
        .map(|(name, path)| match path.as_slice() {
            [only] if only == "self" => (prefix.last().cloned().unwrap_or(name), prefix.clone()),
            _ => (name, [prefix.as_slice(), path.as_slice()].concat()),
        })
        .collect()
}

/// The parts between the commas that stand in no braces.
fn split(tokens: &[String]) -> Vec<&[String]> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::`, literals and single signs; no comments.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => text_length(rest, '"'),
            '\'' => character_length(rest),
            'r' if rest.starts_with("r#\"") => rest.find("\"#").map_or(rest.len(), |end| end + 2),
            ':' if rest.starts_with("::") => 2,
            _ if is_name(rest) => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let token = &rest[..length];
        rest = &rest[length..];
        if !token.starts_with(char::is_whitespace) && !token.starts_with("//") {
            found.push(token.to_owned());
        }
    }
    found
}

/// How long the literal is that begins with a quote, both quotes included.
fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match (escaped, c) {
            (false, c) if c == quote => return at + 1,
            (false, '\\') => escaped = true,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The same for a character, which a lifetime is not.
fn character_length(rest: &str) -> usize {
    let mut after = rest.chars().skip(1);
    match (after.next(), after.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => text_length(rest, '\''),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &str) -> Vec<String> {
        path.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn uses_and_paths_are_found_and_comments_and_texts_are_not() {
        let text = r#"
            //! [`crate::not::this`]
            use crate::a::{self, B, c::{D as E, F}};
            pub(crate) use super::g::H;
            const URL: &str = "crate::nor::this // \" either";
            fn f() { let q = '"'; let x: &'static str = crate::i::j(); k::l::<M>(); }
            #[cfg(test)]
            mod tests { use crate::nor::that; }
        "#;
        let found = mentions(text);
        let used = [
            "crate::a",
            "crate::a::B",
            "crate::a::c::D",
            "crate::a::c::F",
            "crate::i::j",
            "k::l",
        ];
        assert_eq!(found.used, used.map(words));
        assert_eq!(found.passed_on.get("H"), Some(&words("super::g::H")));
    }

    #[test]
    fn a_name_is_followed_to_the_file_that_defines_it() {
        let file = |text: &str| mentions(text);
        let files: BTreeMap<ModulePath, Mentions> = [
            (vec![], file("pub mod a; pub mod b;")),
            (words("a"), file("mod inner; pub use inner::Thing;")),
            (words("a::inner"), file("pub struct Thing;")),
            (words("b"), file("use crate::a::Thing;")),
        ]
        .into();
        let found = target(&files, &words("b"), &words("crate::a::Thing"), 0);
        assert_eq!(found, Some(words("a::inner")));
        assert_eq!(target(&files, &words("b"), &words("std::fmt"), 0), None);
    }
}
