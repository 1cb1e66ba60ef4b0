//! Our send beside nginx: saturated, with and without an `Idempotency-Key`, and at half load.

use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::gateway::Launch;
use crate::load::Request;
use crate::measure::{CONNECTIONS, Sample, Shape, measure, median};
use crate::names::Size;
use crate::report::{Line, paced, saturated, say};
use crate::target::{Kind, Target};

/// How to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Send {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often each is made; medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Stub, Kind::Nginx, Kind::Embedded, Kind::Cluster, Kind::Replicas])]
    targets: Vec<Kind>,
    /// Connected sessions.
    #[arg(long, default_value_t = 1000)]
    sessions: u32,
    /// Registered workers.
    #[arg(long, default_value_t = 10)]
    workers: u32,
    /// One short round of everything: whether it works at all.
    #[arg(long)]
    quick: bool,
    /// Leave out the lines with an `Idempotency-Key`.
    #[arg(long)]
    no_keyed: bool,
    /// Leave out the measurement at half load.
    #[arg(long)]
    no_half: bool,
    /// Print the process ids and wait so long before the first round, for a profiler.
    #[arg(long, default_value_t = 0)]
    settle: u64,
}

/// A target with what was measured of it.
struct Subject {
    target: Target,
    plain: Vec<Sample>,
    keyed: Vec<Sample>,
    half: Vec<Sample>,
}

impl Send {
    /// Measures and prints the tables.
    pub(crate) async fn run(mut self, launch: &Launch) -> Result<(), Failure> {
        if self.quick {
            (self.seconds, self.rounds) = (1, 1);
        }
        let size = Size::of(self.sessions, self.workers);
        let mut subjects = Vec::new();
        for kind in &self.targets {
            let Some(target) = Target::start(*kind, size, launch).await? else {
                say(&format!("{} is not installed: left out", kind.name()))?;
                continue;
            };
            say(&format!("{}: process {:?}", kind.name(), target.own))?;
            subjects.push(Subject {
                target,
                plain: Vec::new(),
                keyed: Vec::new(),
                half: Vec::new(),
            });
        }
        crate::clock::pause(Duration::from_secs(self.settle)).await;
        for subject in &subjects {
            // Connections, caches and statements are made once; that is not what is measured.
            measure(&subject.target, &self.shape(None, Request::Send, "warm", 1)).await?;
        }
        for round in 0..self.rounds {
            for subject in &mut subjects {
                self.round(subject, round).await?;
            }
        }
        if !self.no_half {
            for round in 0..self.rounds {
                for subject in &mut subjects {
                    let rate = median(&subject.plain).rate / 2.0;
                    let shape = self.shape(Some(rate), Request::Send, "half", round);
                    subject.half.push(measure(&subject.target, &shape).await?);
                }
            }
        }
        self.print(&subjects)
    }

    async fn round(&self, subject: &mut Subject, round: u32) -> Result<(), Failure> {
        let plain = self.shape(None, Request::Send, "plain", round);
        subject.plain.push(measure(&subject.target, &plain).await?);
        if !self.no_keyed {
            let keyed = self.shape(None, Request::KeyedSend, "keyed", round);
            subject.keyed.push(measure(&subject.target, &keyed).await?);
        }
        Ok(())
    }

    fn shape(&self, rate: Option<f64>, request: Request, name: &str, round: u32) -> Shape {
        Shape {
            rate,
            request,
            connections: CONNECTIONS,
            time: Duration::from_secs(self.seconds),
            label: format!("{name}-{round}"),
        }
    }

    fn print(&self, subjects: &[Subject]) -> Result<(), Failure> {
        let mut figures = Vec::new();
        let mut base = None;
        for subject in subjects {
            let plain = median(&subject.plain);
            if subject.target.kind == Kind::Nginx {
                base = Some(plain);
            }
            figures.push((subject.target.kind.name().to_owned(), plain));
            if !subject.keyed.is_empty() && subject.target.database.is_some() {
                let name = format!("{}, Idempotency-Key", subject.target.kind.name());
                figures.push((name, median(&subject.keyed)));
            }
        }
        let (rounds, seconds) = (self.rounds, self.seconds);
        say(&format!(
            "\nSaturated: 64 connections, {} sessions, {} workers, medians of {rounds} rounds of {seconds} s\n",
            self.sessions, self.workers,
        ))?;
        say(&saturated(&lines(&figures), base.as_ref()))?;
        let half: Vec<(String, Sample)> = subjects
            .iter()
            .filter(|subject| !subject.half.is_empty())
            .map(|subject| (subject.target.kind.name().to_owned(), median(&subject.half)))
            .collect();
        if half.is_empty() {
            return Ok(());
        }
        say("Half load: sent on schedule, latency from when a request was due\n")?;
        say(&paced(&lines(&half)))
    }
}

fn lines(figures: &[(String, Sample)]) -> Vec<Line<'_>> {
    figures
        .iter()
        .map(|(name, sample)| Line {
            name: name.clone(),
            sample,
        })
        .collect()
}
