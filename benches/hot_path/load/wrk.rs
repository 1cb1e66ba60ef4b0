//! Saturation with `wrk`: lighter than anything it measures.
//!
//! Where `wrk` is not installed, the paced client sends as fast as it is answered; it costs more of the
//! machine that it shares with the target, so figures of the two must not be compared.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use super::{Load, Outcome, Rate, drive};
use crate::clock::now;
use crate::{Failure, proc};

/// `wrk` wants at least one connection per thread.
const THREADS: usize = 2;

/// Sends as fast as it is answered.
///
/// # Errors
/// `wrk` cannot be run or says something unexpected.
pub(crate) async fn saturate(load: &Load) -> Result<Outcome, Failure> {
    let script = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/hot_path/load/wrk.lua"
    ));
    let targets: Vec<String> = load.targets.iter().map(ToString::to_string).collect();
    let before = proc::ended_children()?;
    let started = now();
    let output = Command::new("wrk")
        .args(["-t", &THREADS.to_string()])
        .args(["-c", &load.connections.to_string()])
        .args(["-d", &format!("{}s", load.time.as_secs().max(1))])
        .args(["--timeout", "10s", "-s"])
        .arg(script)
        .arg(format!("http://{}", targets[0]))
        .arg("--")
        .arg(&load.table)
        .arg(load.request.name())
        .env("TARGETS", targets.join(","))
        .env("THREADS", THREADS.to_string())
        .env("RUN", &load.run)
        .output()
        .await;
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound && load.request.is_send() => {
            return drive(load, Rate::AsAnswered).await;
        }
        output => output?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut outcome = parse(&text).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("wrk said {text} {complaint}")
    })?;
    outcome.cpu = proc::ended_children()?.saturating_sub(before);
    debug_assert!(started.elapsed() >= outcome.time);
    Ok(outcome)
}

/// Reads the line that the script prints at the end.
fn parse(text: &str) -> Option<Outcome> {
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "))?;
    let field = |name: &str| -> Option<u64> {
        let value = line
            .split(' ')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
        value.parse().ok()
    };
    let refused = field("status")?;
    let lost = field("connect")? + field("read")? + field("write")? + field("timeout")?;
    Some(Outcome {
        answered: field("requests")?.checked_sub(refused)?,
        errors: refused + lost,
        time: Duration::from_micros(field("duration_us")?),
        p50: Duration::from_micros(field("p50_us")?),
        p99: Duration::from_micros(field("p99_us")?),
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_requests_are_not_answered_ones() {
        let text = "Running 1s test\nRESULT requests=1000 duration_us=2000000 connect=1 read=2 \
                    write=3 status=100 timeout=4 p50_us=590 p99_us=43000\n";
        let outcome = parse(text).expect("a result");
        assert_eq!((outcome.answered, outcome.errors), (900, 110));
        assert!((outcome.rate() - 450.0).abs() < 1e-6);
        assert_eq!(outcome.p99, Duration::from_millis(43));
        assert_eq!(parse("Running 1s test"), None);
    }
}
