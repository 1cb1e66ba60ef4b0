//! How long a gateway takes from nothing to ready.

use std::time::Duration;

use clap::Args;
use tempfile::TempDir;

use crate::Failure;
use crate::clock::now;
use crate::gateway::{Backend, Launch};
use crate::report::say;

/// How to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Start {
    /// How often.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
}

impl Start {
    /// Starts an embedded gateway in a new folder and again in the same one.
    pub(crate) async fn run(self, launch: &Launch) -> Result<(), Failure> {
        let (mut fresh, mut again) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds.max(1) {
            let folder = TempDir::with_prefix("hot-path-")?;
            fresh.push(Self::once(launch, &folder).await?);
            again.push(Self::once(launch, &folder).await?);
        }
        say("| embedded, process start to ready | median ms | slowest ms |\n|---|---|---|")?;
        for (name, times) in [
            ("new folder", &mut fresh),
            ("existing database", &mut again),
        ] {
            times.sort_unstable();
            let middle = times[times.len() / 2].as_millis();
            let slowest = times[times.len() - 1].as_millis();
            say(&format!("| {name} | {middle} | {slowest} |"))?;
        }
        Ok(())
    }

    async fn once(launch: &Launch, folder: &TempDir) -> Result<Duration, Failure> {
        let gateway = launch.serve(folder.path(), &Backend::default()).await?;
        let ready = now();
        Ok(ready.duration_since(gateway.started))
    }
}
