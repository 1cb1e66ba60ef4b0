//! What tenants read most: a session, a list of sessions, a list of messages.

use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::gateway::Launch;
use crate::load::Request;
use crate::measure::{Sample, Shape, measure, median, touch};
use crate::names::Size;
use crate::report::{Line, saturated, say};
use crate::target::{Kind, Target};

/// What is read, and how it is called in the table.
const READS: [(Request, &str); 3] = [
    (Request::Session, "a session"),
    (Request::Sessions, "a list of sessions"),
    (Request::Messages, "a list of messages"),
];
/// How many messages each session has.
const MESSAGES: u32 = 5;

/// How to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reads {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often each is made; medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// What to measure, one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Embedded, Kind::Cluster])]
    targets: Vec<Kind>,
    /// Connected sessions.
    #[arg(long, default_value_t = 1000)]
    sessions: u32,
    /// Registered workers.
    #[arg(long, default_value_t = 10)]
    workers: u32,
    /// Connections that ask at the same time.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
}

impl Reads {
    /// Measures each target by itself and prints the table.
    pub(crate) async fn run(self, launch: &Launch) -> Result<(), Failure> {
        let mut figures = Vec::new();
        for kind in &self.targets {
            self.target(*kind, launch, &mut figures).await?;
        }
        say(&format!(
            "\nSaturated: {} connections, {} sessions of {MESSAGES} messages each, {} workers, medians of {} rounds of {} s\n",
            self.connections, self.sessions, self.workers, self.rounds, self.seconds,
        ))?;
        let lines: Vec<Line<'_>> = figures
            .iter()
            .map(|(name, sample)| Line {
                name: name.clone(),
                sample,
            })
            .collect();
        say(&saturated(&lines, None))
    }

    async fn target(
        &self,
        kind: Kind,
        launch: &Launch,
        figures: &mut Vec<(String, Sample)>,
    ) -> Result<(), Failure> {
        let size = Size::of(self.sessions, self.workers);
        let target = match Target::start(kind, size, launch).await? {
            Some(target) if target.database.is_some() => target,
            _ => return Err(format!("{} has nothing to read", kind.name()).into()),
        };
        touch(&target, self.sessions, self.sessions * MESSAGES).await?;
        for (request, what) in READS {
            let shape = Shape {
                rate: None,
                request,
                connections: self.connections,
                time: Duration::from_secs(self.seconds),
                label: "reads".to_owned(),
            };
            let mut samples = Vec::new();
            for _ in 0..self.rounds {
                samples.push(measure(&target, &shape).await?);
            }
            figures.push((format!("{}: {what}", kind.name()), median(&samples)));
        }
        Ok(())
    }
}
