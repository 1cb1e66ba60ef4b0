//! What operators do with workers: reserve, cordon, resize, remove.

use std::collections::BTreeMap;

use gateway_core::identity::{Actor, Origin};
use gateway_core::orchestrator::{AddWorker, BeatError, Join, RegisterError, UpdateWorker};
use gateway_core::orchestrator::{Orchestrator, WorkerAdminError};
use gateway_core::protocol::Beat;
use gateway_core::session::{Command, Status};
use gateway_core::worker::WorkerStatus;

use super::membership::registration;
use super::world::{World, seconds, worker};
use super::{all_at_once, block_on};

const TOKEN: [u8; 32] = [7; 32];

fn label(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("region".to_owned(), value.to_owned())])
}

fn reserve(number: u32) -> AddWorker {
    AddWorker {
        id: worker(number),
        max_sessions: 3,
        labels: label("eu"),
        join_token_hash: TOKEN,
    }
}

fn cordon(orchestrator: &Orchestrator, number: u32, cordoned: bool) {
    let update = UpdateWorker {
        cordoned: Some(cordoned),
        ..UpdateWorker::default()
    };
    block_on(orchestrator.update_worker(&Actor::operator(), &worker(number), &update))
        .expect("it is there");
}

#[test]
fn a_reserved_slot_takes_its_one_time_token_once_and_nothing_else() {
    let world = World::new(1);
    let orchestrator = &world.gateway().orchestrator;
    let added =
        block_on(orchestrator.add_worker(&Actor::operator(), &reserve(1))).expect("a new id");
    assert_eq!(added, world.worker(1));
    assert_eq!(
        (added.status, added.max_sessions),
        (WorkerStatus::Pending, 3)
    );

    let join = |join, run| {
        block_on(orchestrator.register(&Origin::default(), join, &registration(1, run)))
    };
    for wrong in [Join::Bootstrap, Join::OneTime([8; 32])] {
        let refused = join(wrong, 1);
        assert!(
            matches!(refused, Err(RegisterError::WrongToken)),
            "{refused:?}"
        );
    }
    assert_eq!(world.worker(1).status, WorkerStatus::Pending);

    let _ = join(Join::OneTime(TOKEN), 1).expect("the token of that slot");
    let row = world.worker(1);
    assert_eq!((row.status, row.max_sessions), (WorkerStatus::Active, 10));
    assert_eq!(row.labels, label("eu"), "what the operator said stays");
    let _ = join(Join::OneTime(TOKEN), 1).expect("the same run: the answer may have been lost");
    let again = join(Join::OneTime(TOKEN), 2);
    assert!(matches!(again, Err(RegisterError::WrongToken)), "{again:?}");
    let _ = join(Join::Bootstrap, 2).expect("its next run comes like any other");
    let late = join(Join::OneTime(TOKEN), 1);
    assert!(matches!(late, Err(RegisterError::WrongToken)), "{late:?}");
}

#[test]
fn an_operators_labels_win_and_a_workers_are_replaced_by_those_of_its_next_run() {
    let world = World::new(7);
    let orchestrator = &world.gateway().orchestrator;
    block_on(orchestrator.add_worker(&Actor::operator(), &reserve(1))).expect("a new id");
    let join = |join, run, labels: &[(&str, &str)]| {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let mut run = registration(1, run);
        run.labels = labels.collect();
        let _ = block_on(orchestrator.register(&Origin::default(), join, &run)).expect("let in");
    };
    let labels = || {
        let labels = world.worker(1).labels_in_force().into_iter();
        let pairs = labels.map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>()
    };
    join(
        Join::OneTime(TOKEN),
        1,
        &[("region", "us"), ("disk", "ssd")],
    );
    assert_eq!(labels(), ["disk=ssd", "region=eu"]);
    for run in 2..50 {
        join(Join::Bootstrap, run, &[("run", &run.to_string())]);
        assert_eq!(labels(), ["region=eu".to_owned(), format!("run={run}")]);
    }
    assert_eq!(world.worker(1).labels, label("eu"), "the operator's");
    let update = UpdateWorker {
        labels: Some(BTreeMap::new()),
        ..UpdateWorker::default()
    };
    block_on(orchestrator.update_worker(&Actor::operator(), &worker(1), &update)).expect("there");
    assert_eq!(labels(), ["run=49"]);
}

#[test]
fn an_id_that_is_known_cannot_be_reserved() {
    let world = World::new(2).with_workers(1..=1, 10);
    let before = world.worker(1);
    let taken = block_on(
        world
            .gateway()
            .orchestrator
            .add_worker(&Actor::operator(), &reserve(1)),
    );
    assert!(matches!(taken, Err(WorkerAdminError::Taken)), "{taken:?}");
    assert_eq!(world.worker(1), before);
}

#[test]
fn of_two_operators_who_reserve_one_id_at_once_one_gets_it() {
    for seed in 0..20 {
        let world = World::interleaved(seed, 2);
        let (one, two, by) = (reserve(1), reserve(1), Actor::operator());
        let outcomes = all_at_once(vec![
            Box::pin(world.gateways[0].orchestrator.add_worker(&by, &one)),
            Box::pin(world.gateways[1].orchestrator.add_worker(&by, &two)),
        ]);
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "seed {seed}");
        assert!(
            matches!(lost[..], [Err(WorkerAdminError::Taken)]),
            "seed {seed}: {lost:?}"
        );
    }
}

#[test]
fn nothing_new_is_placed_on_a_cordoned_worker_and_what_it_holds_stays() {
    let world = World::new(3).with_workers(1..=1, 10);
    let orchestrator = &world.gateway().orchestrator;
    let held = world.connected("held");
    cordon(orchestrator, 1, true);
    assert_eq!(
        block_on(orchestrator.placeable_workers())
            .expect("counted")
            .value,
        0
    );
    let waiting = world.card("waiting");
    world.connect(waiting);
    world.run(seconds(5));
    assert_eq!(world.owner(waiting), None);
    assert_eq!(world.status(held), Status::Connected);

    cordon(orchestrator, 1, false);
    assert_eq!(
        block_on(orchestrator.placeable_workers())
            .expect("counted")
            .value,
        1
    );
    let before = world.clock_now();
    world.tick_now();
    world.settle();
    assert_eq!(world.clock_now(), before, "no time has passed");
    assert_eq!(world.holder(waiting), 1);
}

#[test]
fn a_raised_limit_lets_in_who_waits_and_a_lowered_one_moves_nobody() {
    let world = World::new(4).with_workers(1..=1, 1);
    let orchestrator = &world.gateway().orchestrator;
    let (first, second) = (world.connected("first"), world.card("second"));
    world.connect(second);
    world.settle();
    assert_eq!(world.owner(second), None);

    let limit = |count| UpdateWorker {
        max_sessions: Some(count),
        labels: Some(label("us")),
        ..UpdateWorker::default()
    };
    let raised = block_on(orchestrator.update_worker(&Actor::operator(), &worker(1), &limit(2)))
        .expect("there");
    assert_eq!(raised.labels, label("us"));
    world.tick_now();
    world.settle();
    assert_eq!(world.holder(second), 1);

    let owner = world.owner(first);
    block_on(orchestrator.update_worker(&Actor::operator(), &worker(1), &limit(1))).expect("there");
    world.run(seconds(10));
    assert_eq!((world.owner(first), world.holder(second)), (owner, 1));
    assert_eq!(world.worker(1).assigned, 2);
}

#[test]
fn a_worker_is_removed_only_when_it_holds_nothing() {
    let world = World::new(5).with_workers(1..=1, 10);
    let orchestrator = &world.gateway().orchestrator;
    let session = world.connected("sales");
    let owner = world.owner(session).expect("held");
    let early = block_on(orchestrator.remove_worker(&Actor::operator(), &worker(1)));
    assert!(
        matches!(early, Err(WorkerAdminError::NotEmpty { assigned: 1 })),
        "{early:?}"
    );
    assert_eq!(world.status(session), Status::Connected);

    world.ask(session, Command::Disconnect);
    world.settle();
    let born = world.worker(1).created_at;
    block_on(orchestrator.remove_worker(&Actor::operator(), &worker(1))).expect("it is empty");
    assert!(!block_on(orchestrator.is_present(&owner)).expect("answered"));
    let beat = block_on(orchestrator.heartbeat(&owner, &Beat::default()));
    assert!(matches!(beat, Err(BeatError::Ended)), "{beat:?}");
    let back =
        block_on(orchestrator.register(&Origin::default(), Join::Bootstrap, &registration(1, 9)));
    assert!(matches!(back, Err(RegisterError::Removed)), "{back:?}");

    world.connect(session);
    world.run(seconds(40));
    assert_eq!(world.owner(session), None, "nothing is placed on it");
    assert_eq!(world.worker(1).status, WorkerStatus::Removed);

    let again =
        block_on(orchestrator.add_worker(&Actor::operator(), &reserve(1))).expect("added again");
    assert_eq!(
        (again.created_at, again.status),
        (born, WorkerStatus::Pending)
    );
    let (origin, run) = (Origin::default(), registration(1, 9));
    let join = orchestrator.register(&origin, Join::OneTime(TOKEN), &run);
    let _ = block_on(join).expect("and let in");
    world.assert_safe();
}

#[test]
fn a_worker_nobody_knows_can_be_neither_changed_nor_removed() {
    let world = World::new(6);
    let orchestrator = &world.gateway().orchestrator;
    let unknown = |removed: bool| {
        let update = block_on(orchestrator.update_worker(
            &Actor::operator(),
            &worker(1),
            &UpdateWorker::default(),
        ));
        let remove = block_on(orchestrator.remove_worker(&Actor::operator(), &worker(1)));
        assert!(
            matches!(update, Err(WorkerAdminError::Unknown)),
            "removed: {removed}, {update:?}"
        );
        assert!(
            matches!(remove, Err(WorkerAdminError::Unknown)),
            "removed: {removed}, {remove:?}"
        );
    };
    unknown(false);
    block_on(orchestrator.add_worker(&Actor::operator(), &reserve(1))).expect("a new id");
    block_on(orchestrator.remove_worker(&Actor::operator(), &worker(1))).expect("empty");
    unknown(true);
}
