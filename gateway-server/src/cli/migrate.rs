//! `gateway-server migrate`.

use std::sync::Arc;

use clap::Args;

use super::{CommandFailure, Context, runtime};
use crate::store::open;
use crate::system::SystemClock;

#[derive(Args, Debug)]
pub(super) struct Migrate {}

impl Migrate {
    /// Brings the schema up to date, and says of which database: without `DATABASE_URL` that is a file in the
    /// data folder. Does nothing when it is.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let config = context.load()?.config;
        let place = match &config.database.url {
            Some(url) => url.to_string(),
            None => open::database_file(&config).display().to_string(),
        };
        runtime()?.block_on(async {
            let store = open::beside(&config, Arc::new(SystemClock)).await?;
            store.migrate().await?;
            writeln!(context.output, "the schema of {place} is up to date")?;
            Ok(())
        })
    }
}
