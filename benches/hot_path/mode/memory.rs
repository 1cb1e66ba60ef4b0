//! What a routed session costs in memory.

use clap::Args;

use crate::Failure;
use crate::gateway::Launch;
use crate::measure::touch;
use crate::names::Size;
use crate::proc;
use crate::report::say;
use crate::target::{Kind, Target};

/// Requests over few sessions before the first look.
const SAME: u32 = 100_000;

/// How to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Memory {
    /// How many sessions are routed.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    sessions: Vec<u32>,
    /// On what.
    #[arg(long, value_enum, default_value_t = Kind::Embedded)]
    target: Kind,
}

impl Memory {
    /// Sends once from every session, and prints what the process has grown by.
    ///
    /// The growth is counted from a process that has served many requests over few sessions, so that
    /// buffers and statements are not taken for routes.
    pub(crate) async fn run(self, launch: &Launch) -> Result<(), Failure> {
        say("| routed sessions | before MiB | after MiB | bytes per session |\n|---|---|---|---|")?;
        for sessions in &self.sessions {
            let size = Size::of(*sessions, sessions.div_ceil(1000));
            let started = Target::start(self.target, size, launch).await?;
            let target = started.ok_or("not installed")?;
            touch(&target, 1000, SAME).await?;
            let before = resident(&target)?;
            touch(&target, *sessions, *sessions).await?;
            let after = resident(&target)?;
            let each = after.saturating_sub(before) / u64::from(*sessions);
            let mib = |bytes: u64| bytes / (1024 * 1024);
            say(&format!(
                "| {sessions} | {} | {} | {each} |",
                mib(before),
                mib(after)
            ))?;
        }
        Ok(())
    }
}

fn resident(target: &Target) -> Result<u64, Failure> {
    let each = target.own.iter().map(|pid| proc::resident(*pid));
    Ok(each.sum::<Result<u64, _>>()?)
}
