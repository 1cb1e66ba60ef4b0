//! What is seen of the sessions of a worker of which nothing is heard.

use gateway_core::session::{Reason, Status};
use gateway_core::time::Clock;
use gateway_core::worker::WorkerStatus;
use gateway_testkit::sink::RecordedEvents;
use serde_json::json;

use super::block_on;
use super::hand_made::{join, live, say};
use super::world::{World, seconds, worker};

fn is_silent(world: &World, session: gateway_core::id::SessionId) -> bool {
    let view = world.row(session).status();
    (view.status, view.reason) == (Status::Reconnecting, Some(Reason::WorkerSilent))
}

#[test]
fn while_a_worker_is_suspect_none_of_its_sessions_is_connected() {
    let world = World::new(1).with_workers(1..=2, 10);
    let sessions = ["a", "b", "c"].map(|name| world.connected(name));
    let dead = world.holder(sessions[0]);
    let last_heard = world.clock.now();
    world.fleet.crash(&worker(dead));
    let mut was_silent = false;
    for _ in 0..40 {
        world.run(seconds(1));
        let suspect = world.worker(dead).status == WorkerStatus::Suspect;
        for session in sessions {
            let row = world.row(session);
            let there = row
                .owner()
                .is_some_and(|owner| owner.worker == worker(dead));
            assert_eq!(is_silent(&world, session), suspect && there);
            if is_silent(&world, session) {
                was_silent = true;
                let ends = row.status().deadline.expect("it ends");
                let after = ends.since(last_heard);
                assert!(after >= seconds(20) && after <= seconds(24), "{after:?}");
            }
        }
    }
    assert!(was_silent);
    assert!(
        sessions
            .iter()
            .all(|session| world.status(*session) == Status::Connected)
    );
    world.assert_safe();
}

#[test]
fn a_worker_that_is_heard_again_has_its_sessions_connected_again() {
    let world = World::with_replicas(2, 2).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let epoch = world.row(session).epoch;
    let events = RecordedEvents::of(&world.shared.store);
    let before = block_on(events.names(session)).expect("published").len();
    world.fleet.partition(&worker(1));
    world.run_until(seconds(12), |world| is_silent(world, session));
    world.fleet.heal(&worker(1));
    world.run_until(seconds(6), |world| {
        world.status(session) == Status::Connected
    });
    let row = world.row(session);
    assert_eq!((row.epoch, row.silence), (epoch, None));
    let names = block_on(events.names(session)).expect("published");
    assert_eq!(names[before..], ["session.status", "session.status"]);
    world.run(seconds(60));
    assert_eq!(world.row(session).epoch, epoch);
}

/// Its former run cannot be used any more, and nobody knows yet whether it is dead.
#[test]
fn the_sessions_of_a_run_that_was_replaced_are_shown_as_silent_at_once() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.fleet.crash(&worker(1));
    world.fleet.restart(&worker(1));
    world.run(seconds(1));
    assert_eq!(world.worker(1).status, WorkerStatus::Active);
    assert!(is_silent(&world, session));
    world.run(seconds(40));
    assert_eq!(world.status(session), Status::Connected);
}

#[test]
fn a_session_that_connects_while_its_worker_is_suspect_is_shown_as_silent_too() {
    let world = World::new(4);
    let owner = join(&world, 1, 1, 10);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    live(&world, &owner, 4);
    world.run(seconds(10));
    assert_eq!(world.worker(1).status, WorkerStatus::Suspect);
    let fields = json!({"status": "CONNECTED", "reportSeq": 1, "phoneNumber": "491701234567"});
    let said = say(&world, session, &fields);
    let _ = block_on(world.gateway().orchestrator.report(&owner, &said)).expect("folded");
    world.run(seconds(2));
    assert!(is_silent(&world, session));
    live(&world, &owner, 2);
    assert_eq!(world.status(session), Status::Connected);
}

#[test]
fn a_registration_that_is_repeated_is_a_sign_of_life() {
    let world = World::new(5);
    let owner = join(&world, 1, 1, 10);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    let fields = json!({"status": "CONNECTED", "reportSeq": 1, "phoneNumber": "491701234567"});
    let said = say(&world, session, &fields);
    let _ = block_on(world.gateway().orchestrator.report(&owner, &said)).expect("folded");
    world.run(seconds(10));
    assert!(is_silent(&world, session));
    join(&world, 1, 1, 10);
    assert_eq!(world.status(session), Status::Connected);
    world.run(seconds(4));
    assert_eq!(world.status(session), Status::Connected);
}
