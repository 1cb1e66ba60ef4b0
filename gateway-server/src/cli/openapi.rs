//! `gateway-server openapi`.

use clap::Args;

use super::{CommandFailure, Context};

#[derive(Args, Debug)]
pub(super) struct Openapi {}

impl Openapi {
    /// Prints the document that `GET /api/v1/openapi.json` answers.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        writeln!(
            context.output,
            "{}",
            crate::http::document().to_pretty_json()?
        )?;
        Ok(())
    }
}
