//! What picking a worker costs, by strategy and size of the fleet.
//!
//! Target: a pick under a microsecond at 10 000 workers, and within a factor of two from 100 to
//! 100 000. Run with `cargo bench -p gateway-benches --bench worker_selection`.
//!
//! `pick` leaves the counts alone; `place` picks and reserves, and takes the reservation of an
//! earlier round back, so that the fleet neither fills nor empties; `upsert` replaces what is known
//! of the next worker by a report with other figures.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use gateway_core::balance::{BalancePolicy, Fleet, Load, Request, StrategyKind, WorkerSnapshot};
use gateway_core::entropy::Entropy;
use gateway_core::id::{Incarnation, WorkerId};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const KINDS: [(&str, StrategyKind); 4] = [
    ("weighted", StrategyKind::Weighted),
    ("two_choices", StrategyKind::TwoChoices),
    ("least_sessions", StrategyKind::LeastSessions),
    ("round_robin", StrategyKind::RoundRobin),
];
const IN_FLIGHT: usize = 64;

/// Random bytes from a seed (splitmix64).
#[derive(Debug)]
struct Dice(AtomicU64);

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let step = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let mixed = (step ^ (step >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

impl Dice {
    fn share(&self) -> f64 {
        self.below(1_000) as f64 / 1_000.0
    }
}

/// Returns a worker like those of a real fleet: three regions, one in ten without a latency yet.
fn worker(number: usize, dice: &Dice) -> WorkerSnapshot {
    let id = WorkerId::parse(&format!("worker-{number:06}")).expect("a slug");
    let run = Incarnation::parse("0123456789abcdef").expect("a token");
    let region = ["eu", "us", "ap"][number % 3].to_owned();
    let sessions = 100 + u32::try_from(dice.below(300)).unwrap_or(0);
    WorkerSnapshot {
        assigned: sessions,
        labels: BTreeMap::from([("region".to_owned(), region)]),
        load: Some(Load {
            cpu: Some(dice.share()),
            memory: Some(dice.share()),
            connected: sessions,
            disconnected: 3,
            qr_required: 2,
            error: 1,
            instability: dice.share(),
            latency_ms: (!number.is_multiple_of(10)).then(|| dice.share() * 300.0),
            report_age: Duration::from_millis(dice.below(2_000)),
        }),
        ..WorkerSnapshot::new(id, run, 500)
    }
}

fn fleet(size: usize, kind: StrategyKind, dice: &Dice) -> Fleet {
    let mut fleet = Fleet::new(BalancePolicy::default().with_strategy(kind));
    for number in 0..size {
        fleet.upsert(worker(number, dice));
    }
    fleet
}

fn place(fleet: &mut Fleet, dice: &Dice, in_flight: &mut VecDeque<WorkerId>) {
    let choice = fleet.pick(&Request::default(), dice).expect("room is left");
    fleet.reserve(&choice.worker);
    in_flight.push_back(choice.worker);
    if in_flight.len() > IN_FLIGHT
        && let Some(earlier) = in_flight.pop_front()
    {
        fleet.release(&earlier);
    }
}

fn worker_selection(criterion: &mut Criterion) {
    let dice = Dice(AtomicU64::new(42));
    let europe = Request {
        labels: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
        ..Request::default()
    };
    for (name, kind) in KINDS {
        let mut group = criterion.benchmark_group(name);
        for size in SIZES {
            let mut fleet = fleet(size, kind, &dice);
            for (what, request) in [("pick", &Request::default()), ("pick_in_region", &europe)] {
                group.bench_function(BenchmarkId::new(what, size), |bencher| {
                    bencher.iter(|| fleet.pick(request, &dice));
                });
            }
            let mut in_flight = VecDeque::new();
            group.bench_function(BenchmarkId::new("place", size), |bencher| {
                bencher.iter(|| place(&mut fleet, &dice, &mut in_flight));
            });
            let mut next = 0;
            let mut report = || {
                next = (next + 7_919) % size;
                worker(next, &dice)
            };
            group.bench_function(BenchmarkId::new("upsert", size), |bencher| {
                let upsert = |report| fleet.upsert(report);
                bencher.iter_batched(&mut report, upsert, BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, worker_selection);
criterion_main!(benches);
