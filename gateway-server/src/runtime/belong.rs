//! Whether this replica belongs beside the others, found out late.
//!
//! Replicas show each other over the coordinator that they share their files and derive message ids alike, and
//! one that would be the odd one out does not start. One that starts while the coordinator is away sees
//! nobody; so it looks again when that is back, for as long as it takes all others to show themselves, and
//! stops if it should not have started.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::coord::Live;
use gateway_core::message::MessageIds;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::app::App;
use crate::coord::same_key;
use crate::server::OpenError;
use crate::store::folder;

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

impl Belonging {
    /// That it has.
    ///
    /// # Errors
    /// One sentence that says what it has not.
    pub(crate) fn check(&self, others: &[Live]) -> Result<(), OpenError> {
        folder::check(others, self.files, &self.data)?;
        same_key::check(others, &self.ids)?;
        Ok(())
    }
}

/// Finds out, and begins the shutdown if it does not belong.
pub(crate) async fn find_out(belonging: Belonging, app: App, stop: CancellationToken) {
    let mut left = LOOKS;
    while left > 0 && !stop.is_cancelled() {
        if let Ok(others) = app.coord.live().await {
            left -= 1;
            if let Err(error) = belonging.check(&others) {
                tracing::error!(%error, "stopping");
                app.shutdown.begin();
                return;
            }
        }
        wait(EVERY, &mut None, |_| false, &stop).await;
    }
}
