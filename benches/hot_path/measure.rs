//! One measurement: load, and what it cost whom.
//!
//! Work that a gateway puts off is part of its cost: events are numbered after the answer, so CPU is
//! counted until none waits, and how long that takes after the load is a figure of its own.

use std::time::Duration;

use crate::Failure;
use crate::clock::{now, pause};
use crate::load::{Load, Outcome, Rate, Request, drive, saturate};
use crate::proc;
use crate::target::Target;

/// Connections of every load of sends.
pub(crate) const CONNECTIONS: usize = 64;
/// How long a target has to come to rest.
const REST: Duration = Duration::from_secs(5);
/// How long put-off work may take before it is left behind.
const DRAIN: Duration = Duration::from_secs(120);

/// Sends `count` messages as fast as they are answered, from the first `sessions` in turn, and lets the target
/// come to rest: afterwards it remembers whatever it remembers of them.
pub(crate) async fn touch(target: &Target, sessions: u32, count: u32) -> Result<(), Failure> {
    let table = target.table.with_extension("part");
    let all = std::fs::read_to_string(&target.table)?;
    let part: Vec<&str> = all.lines().take(sessions as usize).collect();
    std::fs::write(&table, part.join("\n"))?;
    let load = Load {
        targets: target.addresses.clone(),
        table,
        request: Request::Send,
        run: String::new(),
        connections: CONNECTIONS,
        time: Duration::ZERO,
    };
    drive(&load, Rate::Count(count.into())).await?;
    pause(REST).await;
    Ok(())
}

/// The figures of one measurement; CPU times are per answered request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Answered requests per second.
    pub(crate) rate: f64,
    /// CPU of the target's own processes while the load ran, in microseconds.
    pub(crate) during: f64,
    /// The same until no put-off work was left.
    pub(crate) own: f64,
    /// CPU of PostgreSQL.
    pub(crate) postgres: f64,
    /// CPU of Redis.
    pub(crate) redis: f64,
    /// CPU of the worker stub.
    pub(crate) stub: f64,
    /// CPU of the load generator.
    pub(crate) load: f64,
    /// Latencies in milliseconds.
    pub(crate) p50: f64,
    /// See `p50`.
    pub(crate) p99: f64,
    /// The longest latency, where requests are sent on schedule.
    pub(crate) max: f64,
    /// The longest time without an answer, likewise in milliseconds.
    pub(crate) stall: f64,
    /// Requests that were refused or lost.
    pub(crate) errors: f64,
    /// New message rows per answered request; none where nothing is written.
    pub(crate) rows: Option<f64>,
    /// How long put-off work took after the load, in seconds.
    pub(crate) drain: f64,
}

/// How a target is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Requests per second; none: as many as are answered.
    pub(crate) rate: Option<f64>,
    /// What every request asks for.
    pub(crate) request: Request,
    /// Connections, over which the requests are spread.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) time: Duration,
    /// A label that is never the same in one run of the command.
    pub(crate) label: String,
}

#[derive(Clone, Copy)]
struct Cpu {
    own: Duration,
    postgres: Duration,
    redis: Duration,
    stub: Duration,
}

impl Cpu {
    fn of(target: &Target) -> Result<Self, Failure> {
        let maybe = |pid: Option<u32>| pid.map_or(Ok(Duration::ZERO), proc::cpu);
        Ok(Self {
            own: target
                .own
                .iter()
                .map(|pid| proc::cpu(*pid))
                .sum::<Result<_, _>>()?,
            postgres: maybe(target.postgres)?,
            redis: maybe(target.redis)?,
            stub: proc::cpu(target.stub)?,
        })
    }
}

/// Loads `target` once.
///
/// # Errors
/// The load cannot be made, or something has ended.
pub(crate) async fn measure(target: &Target, shape: &Shape) -> Result<Sample, Failure> {
    let load = Load {
        targets: target.addresses.clone(),
        table: target.table.clone(),
        request: shape.request,
        run: shape.label.clone(),
        connections: shape.connections,
        time: shape.time,
    };
    let rows = messages(target).await?;
    let before = Cpu::of(target)?;
    let outcome = match shape.rate {
        None => saturate(&load).await?,
        Some(rate) => drive(&load, Rate::PerSecond(rate)).await?,
    };
    let during = Cpu::of(target)?;
    let drained = drain(target).await?;
    let after = Cpu::of(target)?;
    let added = messages(target)
        .await?
        .zip(rows)
        .map(|(after, before)| after - before);
    Ok(sample(&outcome, [before, during, after], added, drained))
}

/// Waits until every event has its number, and everything its place in the indexes.
async fn drain(target: &Target) -> Result<Duration, Failure> {
    let started = now();
    let Some(database) = &target.database else {
        return Ok(Duration::ZERO);
    };
    while database.waiting().await? > 0 && started.elapsed() < DRAIN {
        pause(Duration::from_millis(50)).await;
    }
    Ok(started.elapsed())
}

async fn messages(target: &Target) -> Result<Option<u64>, Failure> {
    match &target.database {
        Some(database) => database.messages().await.map(Some),
        None => Ok(None),
    }
}

fn sample(
    outcome: &Outcome,
    [before, during, after]: [Cpu; 3],
    added: Option<u64>,
    drained: Duration,
) -> Sample {
    let answered = outcome.answered.max(1) as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / answered;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Sample {
        rate: outcome.rate(),
        during: each(during.own.saturating_sub(before.own)),
        own: each(after.own.saturating_sub(before.own)),
        postgres: each(after.postgres.saturating_sub(before.postgres)),
        redis: each(after.redis.saturating_sub(before.redis)),
        stub: each(after.stub.saturating_sub(before.stub)),
        load: each(outcome.cpu),
        p50: millis(outcome.p50),
        p99: millis(outcome.p99),
        max: millis(outcome.max),
        stall: millis(outcome.stall),
        errors: outcome.errors as f64,
        rows: added.map(|added| added as f64 / answered),
        drain: drained.as_secs_f64(),
    }
}

/// Returns the median of each figure by itself; of errors the sum, and of what must never happen the
/// worst.
pub(crate) fn median(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> f64| middle(samples.iter().map(figure).collect());
    let rows: Vec<f64> = samples.iter().filter_map(|sample| sample.rows).collect();
    Sample {
        rate: of(|sample| sample.rate),
        during: of(|sample| sample.during),
        own: of(|sample| sample.own),
        postgres: of(|sample| sample.postgres),
        redis: of(|sample| sample.redis),
        stub: of(|sample| sample.stub),
        load: of(|sample| sample.load),
        p50: of(|sample| sample.p50),
        p99: of(|sample| sample.p99),
        max: worst(samples, |sample| sample.max),
        stall: worst(samples, |sample| sample.stall),
        errors: samples.iter().map(|sample| sample.errors).sum(),
        rows: (!rows.is_empty()).then(|| middle(rows)),
        drain: of(|sample| sample.drain),
    }
}

fn worst(samples: &[Sample], figure: fn(&Sample) -> f64) -> f64 {
    samples.iter().map(figure).fold(0.0, f64::max)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_taken_of_each_figure_and_errors_are_added_up() {
        let one = |rate, p50| Sample {
            rate,
            p50,
            errors: 1.0,
            max: p50 * 10.0,
            rows: Some(1.0),
            ..Sample::default()
        };
        let median = median(&[one(3.0, 1.0), one(1.0, 2.0), one(2.0, 9.0)]);
        assert_eq!((median.rate, median.p50), (2.0, 2.0));
        assert_eq!((median.errors, median.rows), (3.0, Some(1.0)));
        assert_eq!(median.max, 90.0, "the worst of all rounds");
    }
}
