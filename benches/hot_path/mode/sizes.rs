//! Whether a send costs the same with many sessions and many workers.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::gateway::Launch;
use crate::load::Request;
use crate::measure::{CONNECTIONS, Sample, Shape, measure, median, touch};
use crate::names::Size;
use crate::report::{Line, saturated, say};
use crate::target::{Kind, Target};

/// A number of sessions on a number of workers, of which each holds at most a thousand.
#[derive(Clone, Copy, Debug)]
struct Fleet {
    sessions: u32,
    workers: u32,
}

impl FromStr for Fleet {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let (sessions, workers) = text.split_once('/').ok_or("write it as 1000/10")?;
        Ok(Self {
            sessions: sessions.parse()?,
            workers: workers.parse()?,
        })
    }
}

/// So many messages are sent before the first measurement, at least one from every session.
const WARM: u32 = 20_000;

/// How to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sizes {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often each is made.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Embedded, Kind::Cluster])]
    targets: Vec<Kind>,
    /// Sessions and workers, as in 1000/10; the ratios are to the first.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10/10,1000/10,1000/1000,100000/1000"
    )]
    sizes: Vec<Fleet>,
}

impl Sizes {
    /// Measures every size, one after the other, and prints a table per target.
    pub(crate) async fn run(self, launch: &Launch) -> Result<(), Failure> {
        for kind in &self.targets {
            let mut figures = Vec::new();
            for &Fleet { sessions, workers } in &self.sizes {
                let size = Size::of(sessions, workers);
                let Some(target) = Target::start(*kind, size, launch).await? else {
                    continue;
                };
                // What is remembered of a session is looked up once; the cost of a send is what follows.
                touch(&target, sessions, sessions.max(WARM)).await?;
                let sample = self.median(&target).await?;
                figures.push((format!("{sessions} sessions, {workers} workers"), sample));
            }
            say(&format!(
                "\n{}; ratios are to the first line\n",
                kind.name()
            ))?;
            let base = figures.first().map(|(_, sample)| *sample);
            let lines: Vec<Line<'_>> = figures
                .iter()
                .map(|(name, sample)| Line {
                    name: name.clone(),
                    sample,
                })
                .collect();
            say(&saturated(&lines, base.as_ref()).replace("nginx", "first"))?;
        }
        Ok(())
    }

    async fn median(&self, target: &Target) -> Result<Sample, Failure> {
        let mut samples = Vec::new();
        for round in 0..self.rounds {
            let shape = Shape {
                rate: None,
                request: Request::Send,
                connections: CONNECTIONS,
                time: Duration::from_secs(self.seconds),
                label: format!("round-{round}"),
            };
            samples.push(measure(target, &shape).await?);
        }
        Ok(median(&samples))
    }
}
