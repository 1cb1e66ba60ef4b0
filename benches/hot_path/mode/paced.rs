//! Latency at a fixed rate, which is what a user notices: whether anything ever holds up the sends.

use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::gateway::Launch;
use crate::load::Request;
use crate::measure::{CONNECTIONS, Shape, measure, touch};
use crate::names::Size;
use crate::report::{Line, paced, say};
use crate::target::{Kind, Target};

/// How to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Paced {
    /// How long the rate is kept.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Requests per second; if not given, 1,000 embedded and 2,000 on everything else.
    #[arg(long)]
    rate: Option<u32>,
    /// What to measure, one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Embedded, Kind::Cluster])]
    targets: Vec<Kind>,
    /// Connected sessions.
    #[arg(long, default_value_t = 1000)]
    sessions: u32,
    /// Registered workers.
    #[arg(long, default_value_t = 10)]
    workers: u32,
}

impl Paced {
    /// Measures each target by itself and prints the table.
    pub(crate) async fn run(self, launch: &Launch) -> Result<(), Failure> {
        let size = Size::of(self.sessions, self.workers);
        let mut samples = Vec::new();
        for kind in &self.targets {
            let Some(target) = Target::start(*kind, size, launch).await? else {
                say(&format!("{} is not installed: left out", kind.name()))?;
                continue;
            };
            // Connections, caches and statements are made once; that is not what is measured.
            touch(&target, self.sessions, self.sessions).await?;
            let shape = Shape {
                rate: Some(self.rate.unwrap_or(usual_rate(*kind)).into()),
                request: Request::Send,
                connections: CONNECTIONS,
                time: Duration::from_secs(self.seconds),
                label: "paced".to_owned(),
            };
            samples.push((kind.name().to_owned(), measure(&target, &shape).await?));
        }
        say(&format!(
            "\nSent on schedule for {} s, latency from when a request was due; {} sessions, {} workers\n",
            self.seconds, self.sessions, self.workers
        ))?;
        let lines: Vec<Line<'_>> = samples
            .iter()
            .map(|(name, sample)| Line {
                name: name.clone(),
                sample,
            })
            .collect();
        say(&paced(&lines))
    }
}

/// Returns the rate that the goals in `benches/README.md` name.
const fn usual_rate(kind: Kind) -> u32 {
    match kind {
        Kind::Embedded => 1_000,
        Kind::Stub | Kind::Nginx | Kind::Postgres | Kind::Cluster | Kind::Replicas => 2_000,
    }
}
