//! How a replica knows the fleet, and what that costs.

use gateway_core::identity::Origin;
use gateway_core::orchestrator::{Join, Orchestrator};
use gateway_core::protocol::Beat;
use gateway_core::session::{Reason, Status};
use gateway_testkit::worker::Script;

use super::block_on;
use super::membership::registration;
use super::world::{World, seconds};

const MANY: u32 = 100;

fn register(orchestrator: &Orchestrator, number: u32) {
    let (origin, run) = (Origin::default(), registration(number, 1));
    let done = block_on(orchestrator.register(&origin, Join::Bootstrap, &run));
    let _ = done.expect("let in");
}

fn placeable(orchestrator: &Orchestrator) -> usize {
    let counted = block_on(orchestrator.placeable_workers());
    counted.expect("answered").value
}

#[test]
fn a_fleet_that_registers_at_once_is_read_once_and_not_once_per_worker() {
    let world = World::new(1);
    let orchestrator = &world.gateway().orchestrator;
    block_on(orchestrator.follow_fleet()).expect("an empty fleet");
    let before = world.shared.store.worker_rows_read();
    for number in 1..=MANY {
        register(orchestrator, number);
    }
    let read = world.shared.store.worker_rows_read() - before;
    assert!(read <= 2 * MANY as usize, "{read} rows of {MANY} workers");
    assert_eq!(placeable(orchestrator), MANY as usize);
}

#[test]
fn a_fleet_in_which_nothing_changes_is_not_read_again() {
    let world = World::new(1);
    let orchestrator = &world.gateway().orchestrator;
    for number in 1..=MANY {
        register(orchestrator, number);
    }
    let follow = || {
        world.clock.advance(seconds(2));
        block_on(orchestrator.follow_fleet()).expect("answered");
    };
    (0..40).for_each(|_| follow());
    let before = world.shared.store.worker_rows_read();
    for _ in 0..40 {
        follow();
        let _ = block_on(orchestrator.claim_due()).expect("answered");
    }
    assert_eq!(world.shared.store.worker_rows_read(), before);
}

#[test]
fn a_replica_that_has_not_looked_for_long_reads_the_whole_fleet_again() {
    let world = World::with_replicas(1, 2);
    let [here, there] = &world.gateways[..] else {
        unreachable!("two replicas")
    };
    block_on(there.orchestrator.follow_fleet()).expect("an empty fleet");
    register(&here.orchestrator, 1);
    world.clock.advance(seconds(600));
    assert_eq!(placeable(&there.orchestrator), 1);
}

#[test]
fn a_pick_that_finds_nobody_learns_of_a_worker_that_registered_at_another_replica() {
    let world = World::with_replicas(1, 2);
    for gateway in &world.gateways {
        block_on(gateway.orchestrator.follow_fleet()).expect("an empty fleet");
    }
    world.add_worker(1, 10, Script::default());
    world.settle();
    let session = world.card("one");
    // The replicas take turns, and none of them ticks.
    for _ in 0..2 {
        world.connect(session);
        world.settle();
        assert_ne!(world.row(session).status().reason, Some(Reason::NoCapacity));
    }
    assert_eq!(world.holder(session), 1);
    assert_ne!(world.status(session), Status::Disconnected);
}

#[test]
fn what_a_heartbeat_says_at_one_replica_is_followed_by_the_others() {
    let world = World::with_replicas(1, 2);
    let [here, there] = &world.gateways[..] else {
        unreachable!("two replicas")
    };
    register(&here.orchestrator, 1);
    assert_eq!(placeable(&there.orchestrator), 1);
    let cannot_persist = Beat {
        persist_ok: Some(false),
        ..Beat::default()
    };
    let owner = registration(1, 1).owner;
    let beat = block_on(here.orchestrator.heartbeat(&owner, &cannot_persist));
    let _ = beat.expect("renewed");
    assert_eq!(placeable(&there.orchestrator), 0);
}
