//! What a worker says it holds is compared with the rows, in both directions.

use gateway_core::id::SessionId;
use gateway_core::protocol::HeldSession;
use gateway_core::session::{Command, Owner, Status};
use gateway_core::worker::WorkerStatus;
use serde_json::json;

use super::block_on;
use super::hand_made::{beat, join, live, say};
use super::links::Bent;
use super::world::{World, seconds};

/// A session that a hand-made worker says is connected.
fn connected(world: &World, owner: &Owner) -> SessionId {
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    let said = say(
        world,
        session,
        &json!({"status": "CONNECTED", "reportSeq": 1, "phoneNumber": "491701234567"}),
    );
    let _ = block_on(world.gateway().orchestrator.report(owner, &said)).expect("folded");
    live(world, owner, 40);
    assert_eq!(world.status(session), Status::Connected);
    session
}

fn held(world: &World, session: SessionId) -> HeldSession {
    HeldSession {
        session_id: session,
        epoch: world.row(session).epoch,
        status: "CONNECTED".to_owned(),
    }
}

#[test]
fn a_session_that_its_worker_has_lost_is_started_again() {
    let world = World::new(4);
    let owner = join(&world, 1, 1, 10);
    let session = connected(&world, &owner);
    let epoch = world.row(session).epoch;
    // From now on every heartbeat says in full that it holds nothing at all.
    for round in 1..=4 {
        let answer = beat(&world, &owner, Some(vec![])).expect("renewed");
        let row = world.row(session);
        match round {
            1 => assert!(answer.send_held, "one list proves nothing"),
            2 => assert_eq!(answer.dropped, []),
            _ => assert_eq!(row.status().status, Status::Connecting, "{round}"),
        }
        world.run(seconds(2));
    }
    world.run(seconds(4));
    let row = world.row(session);
    assert_eq!((row.phase.name(), row.epoch), ("STARTING", epoch.next()));
    assert_eq!(world.worker(1).status, WorkerStatus::Active);
}

#[test]
fn a_session_that_one_list_leaves_out_and_the_next_one_names_is_left_alone() {
    let world = World::new(5);
    let owner = join(&world, 1, 1, 10);
    let session = connected(&world, &owner);
    let before = world.row(session);
    for _ in 0..10 {
        for list in [vec![], vec![held(&world, session)]] {
            beat(&world, &owner, Some(list)).expect("renewed");
            world.run(seconds(2));
        }
    }
    assert_eq!(world.row(session), before);
}

#[test]
fn two_replicas_that_hear_a_worker_in_turn_notice_it_too() {
    let world = World::with_replicas(6, 2);
    let owner = join(&world, 1, 1, 10);
    let session = connected(&world, &owner);
    for _ in 0..6 {
        beat(&world, &owner, Some(vec![])).expect("renewed");
        world.run(seconds(2));
    }
    assert_ne!(world.status(session), Status::Connected);
}

#[test]
fn a_stop_ends_with_a_list_that_came_after_it_and_not_before() {
    let mut world = World::new(7);
    let owner = join(&world, 1, 1, 10);
    let session = connected(&world, &owner);
    Bent::between(&mut world, |link| link.disclaimed = Some(session));
    // The worker has closed it, and nobody knows yet: its answer to the order will be that it knows no such session.
    beat(&world, &owner, Some(vec![])).expect("renewed");
    world.ask(session, Command::Disconnect);
    world.settle();
    assert_eq!(world.row(session).phase.name(), "STOPPING");
    let answer = beat(&world, &owner, Some(vec![])).expect("renewed");
    world.settle();
    assert_eq!(answer.dropped.len(), 1);
    assert_eq!(
        world.row(session).phase.name(),
        "STOPPING",
        "an order to start might still come in"
    );
    beat(&world, &owner, Some(vec![])).expect("renewed");
    world.settle();
    assert_eq!(world.row(session).phase.name(), "IDLE");
}
