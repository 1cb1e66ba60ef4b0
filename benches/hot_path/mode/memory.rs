//! What a routed session costs in memory.

use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::clock::pause;
use crate::gateway::Launch;
use crate::load::{Load, Rate, drive};
use crate::names::Size;
use crate::proc;
use crate::report::say;
use crate::target::{Kind, Target};

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
    /// The growth is counted from a process that has served as many requests over few sessions, so that
    /// buffers and statements are not taken for routes.
    pub(crate) async fn run(self, launch: &Launch) -> Result<(), Failure> {
        say("| routed sessions | before MiB | after MiB | bytes per session |\n|---|---|---|---|")?;
        for sessions in &self.sessions {
            let size = Size::of(*sessions, sessions.div_ceil(1000));
            let started = Target::start(self.target, size, launch).await?;
            let target = started.ok_or("not installed")?;
            self.touch(&target, 1000, *sessions).await?;
            let before = resident(&target)?;
            self.touch(&target, *sessions, *sessions).await?;
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

    async fn touch(&self, target: &Target, sessions: u32, count: u32) -> Result<(), Failure> {
        let table = target.table.with_extension("part");
        let all = std::fs::read_to_string(&target.table)?;
        let part: Vec<&str> = all.lines().take(sessions as usize).collect();
        std::fs::write(&table, part.join("\n"))?;
        let load = Load {
            targets: target.addresses.clone(),
            table,
            keyed: false,
            run: String::new(),
            connections: 64,
            time: Duration::ZERO,
        };
        drive(&load, Rate::Count(count.into())).await?;
        pause(Duration::from_secs(5)).await;
        Ok(())
    }
}

fn resident(target: &Target) -> Result<u64, Failure> {
    let each = target.own.iter().map(|pid| proc::resident(*pid));
    Ok(each.sum::<Result<u64, _>>()?)
}
