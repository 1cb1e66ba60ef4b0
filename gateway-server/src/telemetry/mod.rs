//! What the server says about itself: logs and metrics.

pub mod census_metrics;
mod chain;
pub mod failure_metrics;
pub mod job_metrics;
pub mod metrics;
pub mod numbers;
mod repeated;
pub mod span;
mod span_fields;
pub mod worker_metrics;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Format, Log};

pub use chain::ErrorChain;
pub use repeated::RepeatedMessage;

use span_fields::SpanFields;

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter makes no sense.
    #[error("log.level is not a filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs go somewhere already.
    #[error("the log was set up twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the logs of this process to standard error; standard output is for what commands answer.
///
/// # Errors
/// An impossible filter, or a second call.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match log.format {
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            lines
                .fmt_fields(SpanFields::default())
                .finish()
                .try_init()?;
        }
        Format::Pretty => {
            lines
                .with_ansi(std::io::stderr().is_terminal())
                .finish()
                .try_init()?;
        }
    }
    Ok(())
}
