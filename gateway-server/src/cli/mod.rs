//! The command line: one file and one variant per sub-command.
//!
//! A command takes a `Context` instead of the process's environment and output, so that tests run it
//! as it is. Whatever fails ends as one sentence on standard error and exit code 1.

mod admin;
mod check_config;
mod dev;
mod health;
mod migrate;
mod openapi;
mod serve;
mod sim_worker;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, Loaded, Source};
use crate::telemetry::ErrorChain;

/// Why a command failed; shown with [`ErrorChain`].
pub type CommandFailure = Box<dyn Error + Send + Sync>;

/// One base URL in front of a fleet of WhatsApp workers.
#[derive(Debug, Parser)]
#[command(name = "gateway-server", version, about)]
struct Cli {
    /// A TOML file with the options that differ from the defaults (or GATEWAY_CONFIG).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Make administrators, reset passwords, change plans; beside a running server.
    Admin(admin::Admin),
    /// Print the options in effect, with secrets masked, or say what is wrong with them.
    CheckConfig(check_config::CheckConfig),
    /// Bring the database schema up to date.
    Migrate(migrate::Migrate),
    /// Print the description of the HTTP API.
    Openapi(openapi::Openapi),
    /// Serve until asked to stop.
    Serve(serve::ServeCommand),
    /// Serve on this machine alone, with simulated workers and a demo tenant, for a first look.
    Dev(dev::Dev),
    /// Run a simulated worker.
    SimWorker(sim_worker::SimWorker),
    /// Ask the server on this machine whether it is alive; for the health check of a container.
    Health(health::HealthCommand),
}

impl CliCommand {
    fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        match self {
            Self::Admin(command) => command.run(context),
            Self::Migrate(command) => command.run(context),
            Self::Openapi(command) => command.run(context),
            Self::Serve(command) => command.run(context),
            Self::Dev(command) => command.run(context),
            Self::SimWorker(command) => command.run(context),
            Self::CheckConfig(command) => command.run(context),
            Self::Health(command) => command.run(context),
        }
    }
}

/// What a command gets from the process: environment, arguments and output.
pub(crate) struct Context {
    pub(crate) source: Source,
    /// The file of `--config`.
    pub(crate) file: Option<PathBuf>,
    pub(crate) output: Box<dyn Write>,
}

impl Context {
    /// Returns the configuration in effect.
    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        Config::load(&self.source, self.file.as_deref())
    }
}

/// Makes the runtime of a command, with a thread per core.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Runs the sub-command that the arguments of this process name.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = Box::new(io::stdout());
    let mut context = Context {
        source: Source::process(),
        file: cli.config,
        output,
    };
    match cli.command.run(&mut context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where standard error is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: {}", ErrorChain(&*failure));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use clap::CommandFactory;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs a command with these arguments and variables. Returns its output, or the sentence it fails
    /// with.
    pub(super) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let name = std::iter::once("gateway-server");
        let cli = Cli::try_parse_from(name.chain(arguments.iter().copied()))
            .map_err(|error| error.to_string())?;
        let captured = Captured::default();
        let mut context = Context {
            source: variables.iter().copied().collect(),
            file: cli.config,
            output: Box::new(captured.clone()),
        };
        let outcome = cli.command.run(&mut context);
        outcome.map_err(|failure| ErrorChain(&*failure).to_string())?;
        let output = captured.0.lock().expect("no panic");
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_command_is_refused() {
        assert!(run(&["sevre"], &[]).expect_err("refused").contains("sevre"));
    }
}
