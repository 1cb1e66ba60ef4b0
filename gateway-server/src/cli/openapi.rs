//! `gateway-server openapi`.

use clap::Args;

use super::{CommandFailure, Context};

#[derive(Args, Debug)]
pub(super) struct Openapi {}

impl Openapi {
    /// Prints the document that `GET /api/v1/openapi.json` answers.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let document = crate::http::document("/");
        writeln!(context.output, "{document:#}")?;
        Ok(())
    }
}
