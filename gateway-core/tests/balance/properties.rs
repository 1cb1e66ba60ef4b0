//! Properties over random fleets and sequences of changes.

use gateway_core::balance::{
    BalancePolicy, Choice, Fleet, NoWorker, Request, StrategyKind, WorkerSnapshot, choose,
};
use gateway_core::id::WorkerId;
use gateway_testkit::strategies::{Change, changes, fleets, requests};
use proptest::prelude::*;

use super::oracle::Model;
use super::{Dice, fleet_of};

const KINDS: [StrategyKind; 4] = [
    StrategyKind::Weighted,
    StrategyKind::TwoChoices,
    StrategyKind::LeastSessions,
    StrategyKind::RoundRobin,
];

fn kinds() -> impl Strategy<Value = StrategyKind> {
    proptest::sample::select(KINDS.as_slice())
}

fn counts(worker: &WorkerSnapshot) -> (WorkerId, u32, u32) {
    (worker.worker.clone(), worker.assigned, worker.reserved)
}

/// Does the same to both and checks what the fleet says about it.
fn apply(fleet: &mut Fleet, model: &mut Model, change: Change, dice: &Dice) {
    match change {
        Change::Upsert(worker) => {
            model.upsert(worker.clone());
            fleet.upsert(worker);
        }
        Change::Remove(id) => {
            let counts = |known: Option<WorkerSnapshot>| known.as_ref().map(counts);
            assert_eq!(counts(fleet.remove(&id)), counts(model.0.remove(&id)));
        }
        Change::Reserve(id) => {
            let room = model
                .0
                .get(&id)
                .is_some_and(|w| w.assigned + w.reserved < w.max_sessions);
            assert_eq!(fleet.reserve(&id), room);
            if room && let Some(worker) = model.0.get_mut(&id) {
                worker.reserved += 1;
            }
        }
        Change::Release(id) => settle(fleet.release(&id), model, &id, 0),
        Change::Confirm(id) => settle(fleet.confirm(&id), model, &id, 1),
        Change::Place(request) => {
            let answer = fleet.pick(&request, dice);
            model.check(&request, &answer);
            if let Ok(choice) = answer {
                assert!(fleet.reserve(&choice.worker), "a picked worker has room");
                model.0.get_mut(&choice.worker).expect("known").reserved += 1;
            }
        }
    }
}

fn settle(done: bool, model: &mut Model, id: &WorkerId, assigned: u32) {
    let promised = model.0.get_mut(id).filter(|worker| worker.reserved > 0);
    assert_eq!(done, promised.is_some());
    if let Some(worker) = promised {
        worker.reserved -= 1;
        worker.assigned += assigned;
    }
}

fn check_best(fleet: &mut Fleet, model: &Model, request: &Request) -> Result<Choice, NoWorker> {
    let answer = fleet.pick(request, &Dice::seeded(1));
    model.check_best(request, &answer);
    answer
}

proptest! {
    #[test]
    fn no_sequence_of_changes_confuses_a_fleet(
        kind in kinds(),
        changes in changes(60),
        seed: u64,
    ) {
        let dice = Dice::seeded(seed);
        let mut fleet = fleet_of(kind, []);
        let mut model = Model::default();
        for change in changes {
            apply(&mut fleet, &mut model, change, &dice);
            prop_assert!(fleet.iter().map(counts).eq(model.0.values().map(counts)));
        }
    }

    #[test]
    fn the_index_agrees_with_a_scan(changes in changes(60), request in requests()) {
        let dice = Dice::seeded(0);
        let mut fleet = fleet_of(StrategyKind::Weighted, []);
        let mut model = Model::default();
        for change in changes {
            apply(&mut fleet, &mut model, change, &dice);
            let _ = check_best(&mut fleet, &model, &request);
        }
    }

    #[test]
    fn the_parts_of_an_explanation_add_up(fleet in fleets(), request in requests()) {
        let answer = choose(BalancePolicy::default(), fleet, &request, &Dice::seeded(3));
        if let Ok(Choice { explanation, .. }) = answer {
            let sum: f64 = explanation.factors.iter().map(|part| part.weighted).sum();
            prop_assert!((sum - explanation.score).abs() < 1e-12);
            for part in &explanation.factors {
                prop_assert!((part.raw * part.weight - part.weighted).abs() < 1e-9);
                prop_assert!((0.0..=1.0).contains(&part.raw));
            }
        }
    }

    #[test]
    fn an_explanation_survives_json(fleet in fleets(), request in requests()) {
        let answer = choose(BalancePolicy::default(), fleet, &request, &Dice::seeded(3));
        if let Ok(choice) = answer {
            let text = serde_json::to_string(&choice.explanation).expect("plain data");
            prop_assert_eq!(serde_json::from_str(&text).ok(), Some(choice.explanation));
        }
    }

    #[test]
    fn tenant_spread_never_leaves_a_session_unplaced(
        fleet in fleets(),
        mut request in requests(),
        kind in kinds(),
    ) {
        let placed = |request: &Request| {
            fleet_of(kind, fleet.clone()).pick(request, &Dice::seeded(5)).is_ok()
        };
        let with = placed(&request);
        request.spread = None;
        prop_assert_eq!(with, placed(&request));
    }

    #[test]
    fn the_same_calls_give_the_same_answers(kind in kinds(), changes in changes(40), seed: u64) {
        let run = || {
            let dice = Dice::seeded(seed);
            let mut fleet = fleet_of(kind, []);
            let mut answers = Vec::new();
            for change in changes.clone() {
                match change {
                    Change::Upsert(worker) => fleet.upsert(worker),
                    Change::Remove(id) => drop(fleet.remove(&id)),
                    Change::Place(request) => answers.push(fleet.pick(&request, &dice)),
                    Change::Reserve(id) => drop(fleet.reserve(&id)),
                    Change::Release(id) | Change::Confirm(id) => drop(fleet.release(&id)),
                }
            }
            answers
        };
        prop_assert_eq!(run(), run());
    }
}
