//! Whether this replica belongs beside the others.
//!
//! Replicas show each other over the coordinator that they share their files and derive message ids alike, and
//! one that would be the odd one out does not start. Several may have started while the coordinator was away,
//! and if each that sees another kind stopped later, none would be left: those stop that are of another kind
//! than the first.

use std::path::PathBuf;

use gateway_core::coord::Live;
use gateway_core::message::MessageIds;

use crate::coord::same_key::{self, OtherKey};
use crate::store::folder::{self, FolderError};

/// What this replica must have in common with the others.
#[derive(Debug)]
pub(crate) struct Belonging {
    /// The folder of the files.
    pub(crate) data: PathBuf,
    /// Its id.
    pub(crate) files: u64,
    /// The key of message ids.
    pub(crate) ids: MessageIds,
}

/// What this replica does not have in common with the others, in one sentence that says what to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotInCommon {
    /// The folder of the files.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The key of message ids.
    #[error(transparent)]
    Key(#[from] OtherKey),
}

impl Belonging {
    /// Notes in what this replica shows what others can compare.
    pub(crate) fn show(&self, live: &mut Live) {
        folder::show(live, self.files);
        same_key::show(live, &self.ids);
    }

    /// Checks that everybody in `others` has the same.
    ///
    /// # Errors
    /// One sentence that says what is different.
    pub(crate) fn check(&self, others: &[Live]) -> Result<(), NotInCommon> {
        folder::check(others, self.files, &self.data)?;
        same_key::check(others, &self.ids)?;
        Ok(())
    }

    /// Says in the log what `all` do not have in common.
    pub(crate) fn warn_of(&self, all: &[Live]) {
        if let Err(error) = folder::check(all, self.files, &self.data) {
            tracing::error!(%error, "sessions will have to be linked again");
        }
        if let Err(error) = same_key::check(all, &self.ids) {
            tracing::error!(%error, "messages may go out twice");
        }
    }

    /// Checks that the first of all that show themselves has the same, unless `own` is the first; names are
    /// ordered by when they were given.
    ///
    /// # Errors
    /// One sentence that says what is different.
    pub(crate) fn check_with_first(&self, own: &str, all: &[Live]) -> Result<(), NotInCommon> {
        let others = all.iter().filter(|live| live.replica != own);
        let first = others.min_by(|a, b| a.replica.cmp(&b.replica));
        match first.filter(|first| *first.replica < *own) {
            Some(first) => self.check(std::slice::from_ref(first)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(key: &str) -> MessageIds {
        MessageIds::new(key.as_bytes())
    }

    fn stays(own: (&str, &str), others: &[(&str, &str)]) -> bool {
        let belonging = Belonging {
            data: PathBuf::new(),
            files: 1,
            ids: ids(own.1),
        };
        let shown = |(replica, key): &(&str, &str)| {
            let mut live = Live {
                replica: (*replica).to_owned(),
                numbers: [].into(),
            };
            same_key::show(&mut live, &ids(key));
            live
        };
        let all: Vec<Live> = others.iter().chain([&own]).map(shown).collect();
        belonging.check_with_first(own.0, &all).is_ok()
    }

    #[test]
    fn those_stop_that_are_of_another_kind_than_the_first() {
        let (a, b, c, d) = (("a", "one"), ("b", "two"), ("c", "one"), ("d", "two"));
        assert!(stays(a, &[]) && stays(b, &[]));
        assert!(stays(a, &[b]) && !stays(b, &[a]));
        assert!(stays(a, &[b, c, d]) && stays(c, &[a, b, d]));
        assert!(!stays(b, &[a, c, d]) && !stays(d, &[a, b, c]));
        assert!(stays(b, &[c, d]), "the first has gone");
    }
}
