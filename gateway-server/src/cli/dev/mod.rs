//! `gateway-server dev`: everything there is, in one process, for a first look.
//!
//! Embedded mode on loopback, two simulated workers, an administrator and a demo tenant. The workers run
//! in this process and died with its former run: the lock on the data folder proves it, so their sessions
//! are free at once.

mod credentials;
mod lines;
mod workers;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use clap::Args;

use super::serve::stop_when_asked;
use super::{CommandFailure, Context, runtime};
use crate::config::{Config, Format};
use crate::server::Server;
use crate::telemetry;
use credentials::DemoCredentials;

/// The last line that is printed before the log begins.
const READY: &str = "Stop with Ctrl-C.";

#[derive(Args, Debug)]
pub(super) struct Dev {}

impl Dev {
    /// Serves until it is asked to stop.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let mut config = context.load()?.config;
        for_one_developer(&mut config)?;
        telemetry::init(&config.log)?;
        let folder = config.storage.data_dir.clone();
        runtime()?.block_on(async {
            let server = Server::open(config).await?;
            let url = format!("http://{}", server.address());
            let credentials = DemoCredentials::load_or_make(&server.app, &folder).await?;
            workers::bury_former(&server).await?;
            writeln!(context.output, "listening on {url}")?;
            let kept_in = folder.join("dev.json");
            let said = lines::welcome(&url, &credentials, &kept_in.display().to_string());
            writeln!(context.output, "{said}{READY}")?;
            context.output.flush()?;
            stop_when_asked(&server)?;
            workers::start(&server, &url);
            server.run().await?;
            Ok(())
        })
    }
}

/// Changes the configuration for one developer: loopback, a SQLite file in the data folder, a log for
/// people.
fn for_one_developer(config: &mut Config) -> Result<(), CommandFailure> {
    if config.database.url.is_some() {
        return Err("dev runs on a file of its own: unset DATABASE_URL, or use serve".into());
    }
    config.http.listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.log.format = Format::Pretty;
    Ok(())
}
