//! `gateway-server sim-worker`: a simulated worker as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io::Write};

use clap::Args;
use gateway_core::id::WorkerId;
use gateway_testkit::worker::Script;
use gateway_testkit::worker::http::{Options, SimHttpWorker};

use super::{CommandFailure, Context, runtime};
use crate::shutdown::StopSignals;
use crate::system::{OsEntropy, SystemClock};
use crate::telemetry;

/// After how long the simulated phone scans, unless a script says otherwise.
const AUTO_SCAN_MS: u64 = 2_000;

#[derive(Args, Debug)]
pub(super) struct SimWorker {
    /// The worker's id.
    #[arg(long)]
    id: String,
    /// The base URL of the gateway.
    #[arg(long)]
    gateway: String,
    /// The fleet's bootstrap token, or the one-time token of a reserved id (or WORKER_AUTH_TOKEN).
    #[arg(long)]
    token: Option<String>,
    /// The most sessions it takes.
    #[arg(long, default_value_t = 100)]
    max_sessions: u32,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The base URL under which the gateway reaches it, if it is not that address.
    #[arg(long)]
    endpoint: Option<String>,
    /// A TOML file that says how it behaves.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

impl SimWorker {
    /// Works until it is asked to stop, and says goodbye then; or until its script lets it crash, or the
    /// gateway does not take its token.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let config = context.load()?.config;
        telemetry::init(&config.log)?;
        let configured = config.workers.bootstrap_token.as_ref();
        let token = self
            .token
            .clone()
            .or(configured.map(|token| token.expose().to_owned()));
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or("give --token, or set WORKER_AUTH_TOKEN")?;
        let options = self.options(&token)?;
        runtime()?.block_on(async {
            let mut signals = StopSignals::listen()?;
            let mut worker = SimHttpWorker::start(options).await?;
            writeln!(context.output, "listening on {}", worker.endpoint())?;
            context.output.flush()?;
            tokio::select! {
                () = signals.next() => {}
                ended = worker.ended() => {
                    ended?;
                    return Err("the worker has crashed, as its script wants".into());
                }
            }
            worker.shutdown().await?;
            Ok(())
        })
    }

    fn options(&self, token: &str) -> Result<Options, CommandFailure> {
        let id = WorkerId::parse(&self.id)?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let mut options = Options::new(id, &self.gateway, token, clock, entropy);
        options.max_sessions = self.max_sessions;
        options.listen = self.listen;
        options.endpoint.clone_from(&self.endpoint);
        options.script = match &self.script {
            Some(file) => script(file)?,
            None => {
                let mut script = Script::default();
                script.auto_scan_ms = Some(AUTO_SCAN_MS);
                script
            }
        };
        Ok(options)
    }
}

fn script(file: &std::path::Path) -> Result<Script, CommandFailure> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("the script {} cannot be read: {error}", file.display()))?;
    let read = config::Config::builder()
        .add_source(config::File::from_str(&text, config::FileFormat::Toml))
        .build()?;
    Ok(read.try_deserialize()?)
}
