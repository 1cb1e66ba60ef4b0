//! Where configuration comes from: the only place that reads the process's environment.
//!
//! Everything else takes a [`Source`], so a test passes a list of variables instead of changing those
//! of the process, which all tests share.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The environment variables that configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    variables: BTreeMap<String, String>,
}

impl Source {
    /// Returns the variables of this process. Those that are not UTF-8 are left out; empty ones count as
    /// not set, because that is how container tools write "no value".
    #[must_use]
    pub fn process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(text).collect()
    }

    /// Returns the value of a variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns all variables whose name starts with `prefix`, by name.
    pub(super) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let all = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }

    pub(super) fn read(path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Source {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: variables
                .filter(|(_, value): &(String, String)| !value.trim().is_empty())
                .collect(),
        }
    }
}
