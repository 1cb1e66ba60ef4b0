//! Equal workers take turns.

use gateway_core::balance::{Fleet, Request, StrategyKind};
use gateway_testkit::strategies::{blank_worker, slot};

use super::{Dice, fleet_of};

fn picks(fleet: &mut Fleet, count: usize) -> Vec<usize> {
    let dice = Dice::seeded(2);
    let names: Vec<_> = (0..8).map(slot).collect();
    let pick = |_| {
        let choice = fleet
            .pick(&Request::default(), &dice)
            .expect("all are open");
        names
            .iter()
            .position(|name| *name == choice.worker)
            .expect("one of the slots")
    };
    (0..count).map(pick).collect()
}

#[test]
fn equals_are_picked_in_the_order_they_came_and_then_in_turn() {
    for kind in [
        StrategyKind::Weighted,
        StrategyKind::LeastSessions,
        StrategyKind::RoundRobin,
    ] {
        let workers = [2, 0, 1].map(|number| blank_worker(number, 50));
        let mut fleet = fleet_of(kind, workers);
        assert_eq!(picks(&mut fleet, 7), [2, 0, 1, 2, 0, 1, 2], "{kind:?}");
    }
}

#[test]
fn a_newcomer_is_next_and_then_waits_its_turn() {
    let mut fleet = fleet_of(
        StrategyKind::RoundRobin,
        [0, 1].map(|n| blank_worker(n, 50)),
    );
    assert_eq!(picks(&mut fleet, 3), [0, 1, 0]);
    fleet.upsert(blank_worker(2, 50));
    assert_eq!(picks(&mut fleet, 4), [2, 1, 0, 2]);
}

#[test]
fn a_report_does_not_change_whose_turn_it_is() {
    let mut fleet = fleet_of(
        StrategyKind::RoundRobin,
        [0, 1, 2].map(|n| blank_worker(n, 50)),
    );
    assert_eq!(picks(&mut fleet, 1), [0]);
    fleet.upsert(blank_worker(0, 60));
    fleet.upsert(blank_worker(1, 60));
    assert_eq!(picks(&mut fleet, 3), [1, 2, 0]);
}

#[test]
fn workers_of_two_kinds_share_one_round() {
    let mut other = blank_worker(1, 50);
    other.labels.insert("region".into(), "eu".into());
    let mut fleet = fleet_of(
        StrategyKind::Weighted,
        [blank_worker(0, 50), other, blank_worker(2, 50)],
    );
    assert_eq!(picks(&mut fleet, 6), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn least_sessions_counts_heads_and_not_shares() {
    let (mut small, mut large) = (blank_worker(0, 10), blank_worker(1, 1_000));
    (small.assigned, large.assigned) = (5, 6);
    let workers = [small, large];
    assert_eq!(
        picks(
            &mut fleet_of(StrategyKind::LeastSessions, workers.clone()),
            1
        ),
        [0]
    );
    assert_eq!(
        picks(&mut fleet_of(StrategyKind::Weighted, workers), 1),
        [1]
    );
}
