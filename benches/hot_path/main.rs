//! Measures the path of a send, from the client's first byte to the durable row, beside nginx.
//!
//! The targets are the real programs as processes of their own, so that the kernel counts what each of
//! them costs. Whatever they need (worker stub, PostgreSQL, Redis) is started privately and gone
//! afterwards. See `benches/README.md`.

mod clock;
mod database;
mod gateway;
mod load;
mod measure;
mod mode;
mod names;
mod nginx;
mod proc;
mod process;
mod report;
mod stub;
mod target;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::gateway::Launch;

/// Whatever goes wrong ends the run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a send costs, and where.
#[derive(Debug, Parser)]
#[command(name = "hot-path")]
struct Cli {
    /// The gateway to measure; the one beside this program if not given.
    #[arg(long, global = true)]
    gateway: Option<PathBuf>,
    /// A variable of the gateway's configuration, as in GATEWAY_MESSAGE_LOG_BATCH_SIZE=200.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Throughput, cost and latency of a send beside nginx (the default).
    Send(mode::send::Send),
    /// Latency at a fixed rate, and the longest stall.
    Paced(mode::paced::Paced),
    /// Throughput and cost of what tenants read most.
    Reads(mode::reads::Reads),
    /// The same at several numbers of sessions and workers.
    Sizes(mode::sizes::Sizes),
    /// Memory per routed session.
    Memory(mode::memory::Memory),
    /// Time from the start of the process to ready.
    Start(mode::start::Start),
    /// The worker stub; started by the others.
    #[command(hide = true)]
    Stub(stub::Stub),
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let cli = Cli::parse();
    let mode = match cli.mode {
        Some(Mode::Stub(stub)) => return stub.serve(),
        Some(mode) => mode,
        None => Cli::parse_from(["hot-path", "send"])
            .mode
            .ok_or("no mode")?,
    };
    let program = match cli.gateway {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("gateway-server"),
    };
    let launch = Launch {
        program,
        settings: cli.settings,
    };
    // Children are tied to the thread that starts them, so that is the one that lives longest.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match mode {
            Mode::Send(send) => send.run(&launch).await,
            Mode::Paced(paced) => paced.run(&launch).await,
            Mode::Reads(reads) => reads.run(&launch).await,
            Mode::Sizes(sizes) => sizes.run(&launch).await,
            Mode::Memory(memory) => memory.run(&launch).await,
            Mode::Start(start) => start.run(&launch).await,
            Mode::Stub(_) => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_has_a_name_and_a_value() {
        let pair = ("PORT".to_owned(), "1=2".to_owned());
        assert_eq!(setting("PORT=1=2"), Ok(pair));
        assert!(setting("PORT").is_err());
    }
}
