//! `gateway-server serve`.

use std::io::Write;

use clap::Args;

use super::{CommandFailure, Context, runtime};
use crate::server::Server;
use crate::{shutdown, telemetry};

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
            stop_when_asked(&server);
            server.run().await?;
            Ok(())
        })
    }
}

/// Begins the shutdown when a signal asks for it.
pub(super) fn stop_when_asked(server: &Server) {
    let shutdown = server.app.shutdown.clone();
    let asked = async move {
        match shutdown::asked_to_stop().await {
            Ok(()) => shutdown.begin(),
            Err(error) => tracing::error!(%error, "signals cannot be received"),
        }
    };
    let shutdown = &server.app.shutdown;
    shutdown.spawn_loop(|stop| async move {
        stop.run_until_cancelled_owned(asked).await;
    });
}
