//! A scoring factor of one's own: sessions stay off machines that may be taken away.
//!
//! Run with `cargo run -p gateway-examples --example custom_factor`.

use std::error::Error;
use std::io::Write;

use gateway_core::balance::{
    BalancePolicy, FACTORS, Factor, Fleet, Request, Weights, WorkerSnapshot,
};
use gateway_core::entropy::Entropy;
use gateway_core::id::{Incarnation, WorkerId};

/// A worker whose label `lifecycle` says `spot` runs on a borrowed machine. It is the last resort
/// rather than forbidden; to forbid it, ask for a label in the request.
const BORROWED: Factor = Factor::new(
    "borrowed",
    0.25,
    "the machine may be taken away at short notice",
    |worker| {
        let lifecycle = worker.labels.get("lifecycle").map(String::as_str);
        Some(if lifecycle == Some("spot") { 1.0 } else { 0.0 })
    },
);

/// The exact best needs no randomness; pass a real source to use two choices.
#[derive(Debug)]
struct NoDice;

impl Entropy for NoDice {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn worker(name: &str, assigned: u32, lifecycle: &str) -> Result<WorkerSnapshot, Box<dyn Error>> {
    let run = Incarnation::parse("example-run")?;
    let mut worker = WorkerSnapshot::new(WorkerId::parse(name)?, run, 100);
    worker.assigned = assigned;
    worker.labels.insert("lifecycle".into(), lifecycle.into());
    Ok(worker)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut factors = FACTORS.to_vec();
    factors.push(BORROWED);
    let weights = Weights::default().with("report_age", 0.0);
    let mut fleet = Fleet::new(BalancePolicy::new(&factors, &weights)?);
    fleet.upsert(worker("owned", 60, "permanent")?);
    fleet.upsert(worker("borrowed", 5, "spot")?);

    let choice = fleet.pick(&Request::default(), &NoDice)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} with a score of {:.3}:",
        choice.worker, choice.explanation.score
    )?;
    for part in &choice.explanation.factors {
        let known = if part.assumed { "median" } else { "known" };
        writeln!(
            out,
            "  {:<11}{:.3} {known:<7}{}",
            part.name, part.weighted, part.why
        )?;
    }
    Ok(())
}
