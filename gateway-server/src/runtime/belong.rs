//! Whether this replica belongs beside the others, found out late.
//!
//! Replicas show each other over the coordinator that they share their files and derive message ids alike, and
//! one that would be the odd one out does not start. One that starts while the coordinator is away sees
//! nobody; so it looks again when that is back, for as long as it takes all others to show themselves, and
//! stops if it should not have started. Several may have started so, and if each that sees another kind stopped,
//! none would be left: those stop that are of another kind than the first.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::coord::Live;
use gateway_core::message::MessageIds;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::app::App;
use crate::coord::same_key::{self, OtherKey};
use crate::store::folder::{self, FolderError};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// How many looks that see anything: others show themselves every five seconds.
const LOOKS: u32 = 5;

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
    /// Checks that this replica has everything in common with `others`.
    ///
    /// # Errors
    /// It has not; the error says what.
    pub(crate) fn check(&self, others: &[Live]) -> Result<(), NotInCommon> {
        folder::check(others, self.files, &self.data)?;
        same_key::check(others, &self.ids)?;
        Ok(())
    }

    /// Checks that it has so with the first of all that show themselves; names are ordered by when they were
    /// given.
    ///
    /// # Errors
    /// It has not; the error says what.
    fn check_with_first(&self, own: &str, all: &[Live]) -> Result<(), NotInCommon> {
        let others = all.iter().filter(|live| live.replica != own);
        let first = others.min_by(|a, b| a.replica.cmp(&b.replica));
        match first.filter(|first| *first.replica < *own) {
            Some(first) => self.check(std::slice::from_ref(first)),
            None => Ok(()),
        }
    }
}

/// Finds out, and begins the shutdown if it does not belong.
pub(crate) async fn find_out(belonging: Belonging, app: App, stop: CancellationToken) {
    let own = app.replica.to_string();
    let mut left = LOOKS;
    while left > 0 && !stop.is_cancelled() {
        if let Ok(all) = app.coord.live().await {
            left -= 1;
            // Before the last look not all have shown themselves.
            if left == 0
                && let Err(error) = belonging.check_with_first(&own, &all)
            {
                tracing::error!(%error, "stopping");
                app.shutdown.give_up();
                return;
            }
        }
        wait(EVERY, &mut None, |_| false, &stop).await;
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
