//! A burst between two reports must spread, and must not overfill anybody.

use gateway_core::balance::{Fleet, Load, Request, StrategyKind, WorkerSnapshot};
use gateway_testkit::strategies::blank_worker;
use proptest::prelude::*;

use super::{Dice, fleet_of};

const CAP: u32 = 500;

fn workers(assigned: &[u32]) -> Vec<WorkerSnapshot> {
    let load = Load {
        cpu: Some(0.3),
        memory: Some(0.4),
        ..Load::default()
    };
    let worker = |(number, &assigned): (usize, &u32)| WorkerSnapshot {
        assigned,
        load: Some(load),
        ..blank_worker(number, CAP)
    };
    assigned.iter().enumerate().map(worker).collect()
}

/// Places `count` sessions; panics if there is no room or a reservation is refused.
fn place(fleet: &mut Fleet, count: u32) {
    let dice = Dice::seeded(11);
    for _ in 0..count {
        let choice = fleet
            .pick(&Request::default(), &dice)
            .expect("room is left");
        assert!(fleet.reserve(&choice.worker));
    }
}

/// The level that `count` sessions reach when poured over workers that hold `start`.
fn water_level(start: &[u32], count: u32) -> u32 {
    let poured = |level: u32| start.iter().map(|&s| level.saturating_sub(s)).sum::<u32>();
    (0..=CAP)
        .find(|&level| poured(level) >= count)
        .unwrap_or(CAP)
}

fn misplaced(fleet: &Fleet, start: &[u32], level: u32) -> u32 {
    let above = |worker: &WorkerSnapshot, start: u32| worker.sessions() - level.max(start);
    let over = fleet
        .iter()
        .zip(start)
        .filter(|(worker, start)| worker.sessions() > level.max(**start));
    over.map(|(worker, &start)| above(worker, start)).sum()
}

#[test]
fn a_burst_of_five_thousand_ends_at_the_ideal_level() {
    let start: Vec<u32> = (0..100u32).map(|number| 100 + number * 37 % 300).collect();
    let mut fleet = fleet_of(StrategyKind::Weighted, workers(&start));
    place(&mut fleet, 5_000);
    assert_eq!(misplaced(&fleet, &start, water_level(&start, 5_000)), 0);
}

#[test]
fn a_full_fleet_refuses_and_room_returns_with_a_release() {
    let mut fleet = fleet_of(StrategyKind::Weighted, workers(&[CAP - 1, CAP - 2]));
    place(&mut fleet, 3);
    assert!(fleet.iter().all(|worker| worker.sessions() == CAP));
    assert!(fleet.pick(&Request::default(), &Dice::seeded(0)).is_err());
    let first = blank_worker(0, CAP).worker;
    assert!(!fleet.reserve(&first));
    assert!(fleet.release(&first));
    place(&mut fleet, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn at_most_one_in_a_hundred_is_misplaced(
        start in proptest::collection::vec(0..400u32, 2..30),
        share in 1..100u32,
    ) {
        let room: u32 = start.iter().map(|assigned| CAP - assigned).sum();
        let count = (room * share / 100).min(2_000);
        let mut fleet = fleet_of(StrategyKind::Weighted, workers(&start));
        place(&mut fleet, count);
        let over = misplaced(&fleet, &start, water_level(&start, count));
        prop_assert!(over * 100 <= count, "{} of {}", over, count);
    }

    #[test]
    fn every_strategy_fills_the_fleet_to_the_last_slot(
        start in proptest::collection::vec(CAP - 20..=CAP, 1..12),
        kind in proptest::sample::select(vec![
            StrategyKind::TwoChoices,
            StrategyKind::LeastSessions,
            StrategyKind::RoundRobin,
        ]),
    ) {
        let room = start.iter().map(|assigned| CAP - assigned).sum();
        let mut fleet = fleet_of(kind, workers(&start));
        place(&mut fleet, room);
        prop_assert!(fleet.iter().all(|worker| worker.sessions() == CAP));
    }
}
