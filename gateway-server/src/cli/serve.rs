//! `gateway-server serve`.

use std::io::Write;

use clap::Args;

use super::{CommandFailure, Context, runtime};
use crate::server::Server;
use crate::shutdown::StopSignals;
use crate::telemetry;

#[derive(Args, Debug)]
pub(super) struct ServeCommand {}

impl ServeCommand {
    /// Serves until it is asked to stop. Prints where it listens as the first line of standard output.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let loaded = context.load()?;
        telemetry::init(&loaded.config.log)?;
        if let Some(warning) = loaded.warning {
            tracing::warn!("{warning}");
        }
        runtime()?.block_on(async {
            let server = Server::open(loaded.config).await?;
            writeln!(context.output, "listening on http://{}", server.address())?;
            context.output.flush()?;
            stop_when_asked(&server)?;
            server.run().await?;
            Ok(())
        })
    }
}

/// Stops the server when a signal asks for it.
pub(super) fn stop_when_asked(server: &Server) -> std::io::Result<()> {
    let (signals, grace) = (StopSignals::listen()?, server.app.config.grace());
    let shutdown = server.app.shutdown.clone();
    server.app.shutdown.spawn_loop(|stop| async move {
        let following = shutdown.follow(signals, grace);
        stop.run_until_cancelled(following).await;
    });
    Ok(())
}
