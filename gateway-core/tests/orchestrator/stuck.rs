//! A worker that does not stop a session when told to: what that costs it, and for how long.

use gateway_core::identity::Actor;
use gateway_core::orchestrator::UpdateWorker;
use gateway_core::session::{Command, Effect, Owner, Status};
use gateway_core::worker::WorkerStatus;

use super::block_on;
use super::hand_made::{beat, join, live};
use super::links::Bent;
use super::world::{World, seconds, worker};

/// A worker that ignores an order to stop a session.
fn ignoring(world: &World) -> (Owner, gateway_core::id::SessionId) {
    let owner = join(world, 1, 1, 10);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    assert_eq!(world.owner(session), Some(owner.clone()));
    world.ask(session, Command::Disconnect);
    world.settle();
    (owner, session)
}

fn places_nothing(world: &World) -> bool {
    let row = world.worker(1);
    assert!(!row.cordoned, "that is the operator's");
    row.is_cordoned()
}

#[test]
fn a_new_run_is_not_cordoned_for_what_a_former_run_ignored() {
    let world = World::new(1);
    let (first, _) = ignoring(&world);
    live(&world, &first, 50);
    assert!(!places_nothing(&world), "50 s are less than 60");
    // The process has crashed; its supervisor starts the next run at once, which is healthy and empty.
    let second = join(&world, 1, 2, 10);
    live(&world, &second, 40);
    let row = world.worker(1);
    assert_eq!(
        (row.owner(), row.status),
        (Some(second), WorkerStatus::Active)
    );
    assert!(!places_nothing(&world), "the new run has ignored nothing");
}

#[test]
fn a_run_that_is_cordoned_hands_that_on_to_no_other() {
    let world = World::new(2);
    let (first, _) = ignoring(&world);
    live(&world, &first, 70);
    assert!(places_nothing(&world));
    let second = join(&world, 1, 2, 10);
    assert!(!places_nothing(&world));
    live(&world, &second, 40);
    let other = world.card("other");
    world.connect(other);
    world.settle();
    assert_eq!(world.owner(other), Some(second));
}

#[test]
fn a_cordon_for_a_stop_ends_with_it() {
    let world = World::new(3);
    let (owner, session) = ignoring(&world);
    live(&world, &owner, 70);
    assert!(places_nothing(&world));
    let waiting = world.card("waiting");
    world.connect(waiting);
    world.settle();
    assert_eq!(world.owner(waiting), None);
    // At last it answers: it does not hold the session any more.
    for _ in 0..2 {
        beat(&world, &owner, Some(vec![])).expect("renewed");
        world.settle();
    }
    assert_eq!(world.row(session).phase.name(), "IDLE");
    assert!(!places_nothing(&world));
    world.tick_now();
    world.settle();
    assert_eq!(world.owner(waiting), Some(owner), "room is used at once");
}

#[test]
fn a_cordon_for_two_stops_ends_with_the_second() {
    let world = World::new(4);
    let owner = join(&world, 1, 1, 10);
    let sessions = ["a", "b"].map(|name| world.card(name));
    for session in sessions {
        world.connect(session);
        world.settle();
        world.ask(session, Command::Disconnect);
        world.settle();
    }
    live(&world, &owner, 70);
    for (session, then) in sessions.into_iter().zip([true, false]) {
        let order = world.row(session).order().expect("held");
        let orchestrator = &world.gateway().orchestrator;
        block_on(orchestrator.perform(Effect::NotHeld(order))).expect("performed");
        assert_eq!(places_nothing(&world), then);
    }
}

#[test]
fn an_operator_can_take_it_back_and_it_returns_while_its_cause_lasts() {
    let world = World::new(5);
    let (owner, _) = ignoring(&world);
    live(&world, &owner, 70);
    let update = UpdateWorker {
        cordoned: Some(false),
        ..UpdateWorker::default()
    };
    let orchestrator = &world.gateway().orchestrator;
    let actor = Actor::operator();
    block_on(orchestrator.update_worker(&actor, &worker(1), &update)).expect("taken");
    assert!(!places_nothing(&world));
    live(&world, &owner, 8);
    assert!(places_nothing(&world));
}

#[test]
fn a_late_order_to_cordon_does_nothing() {
    let world = World::new(6);
    let (owner, session) = ignoring(&world);
    let order = world.row(session).order().expect("held");
    live(&world, &owner, 30);
    let orchestrator = &world.gateway().orchestrator;
    block_on(orchestrator.perform(Effect::Cordon(order.clone()))).expect("performed");
    assert!(!places_nothing(&world), "it has half a minute left");
    block_on(orchestrator.perform(Effect::NotHeld(order.clone()))).expect("performed");
    world.clock.advance(seconds(60));
    block_on(orchestrator.perform(Effect::Cordon(order))).expect("performed");
    assert!(!places_nothing(&world), "it has stopped");
}

/// The fault of one session never costs the worker.
#[test]
fn a_worker_that_does_not_know_one_session_keeps_the_others() {
    let mut world = World::new(13).with_workers(1..=1, 10);
    let (lost, other) = (world.connected("lost"), world.connected("other"));
    let before = world.row(other).epoch;
    Bent::between(&mut world, |link| link.disclaimed = Some(lost));
    world.ask(lost, Command::Disconnect);
    world.run(seconds(20));
    assert_eq!(world.row(lost).phase.name(), "IDLE");
    world.run(seconds(340));
    assert!(!places_nothing(&world));
    assert_eq!(world.worker(1).status, WorkerStatus::Active);
    assert_eq!(world.row(other).epoch, before);
    assert_eq!(world.status(other), Status::Connected);
}

/// Not even if it never says what it holds.
#[test]
fn a_worker_without_lists_is_not_punished_either() {
    let mut world = World::new(14);
    let owner = join(&world, 1, 1, 10);
    let lost = world.card("lost");
    world.connect(lost);
    world.settle();
    Bent::between(&mut world, |link| link.disclaimed = Some(lost));
    world.ask(lost, Command::Disconnect);
    for _ in 0..180 {
        beat(&world, &owner, None).expect("renewed");
        world.run(seconds(2));
        assert!(!places_nothing(&world));
    }
    assert_eq!(world.row(lost).phase.name(), "IDLE");
}
