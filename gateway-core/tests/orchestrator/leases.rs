//! A lease is a promise: it is judged by what was granted, whoever is configured how.

use gateway_core::session::Status;
use gateway_core::store::Store;
use gateway_core::worker::WorkerStatus;

use super::block_on;
use super::gateway::Gateway;
use super::hand_made::{beat, join};
use super::world::{World, seconds, worker};

/// Replicas that grant leases of so many seconds.
fn granting(seed: u64, leases: [u64; 2]) -> World {
    let mut world = World::with_replicas(seed, leases.len());
    for (number, lease) in leases.into_iter().enumerate() {
        world.gateways[number] = Gateway::granting(&world.shared, seed, seconds(lease));
    }
    world
}

#[test]
fn two_replicas_with_different_leases_never_give_two_owners() {
    for (seed, leases) in [(1, [60, 20]), (2, [20, 60])] {
        let world = granting(seed, leases).with_workers(1..=2, 10);
        let session = world.connected("sales");
        let (holder, epoch) = (world.holder(session), world.row(session).epoch);
        // Cut off from every gateway, it can still reach WhatsApp, and holds the session as long as it may.
        world.fleet.partition(&worker(holder));
        world.run(seconds(55));
        assert_eq!(world.row(session).epoch, epoch, "{leases:?}");
        world.run_until(seconds(15), |world| {
            world.status(session) == Status::Connected && world.holder(session) != holder
        });
        world.fleet.heal(&worker(holder));
        world.run(seconds(30));
        world.assert_safe();
    }
}

#[test]
fn a_shorter_lease_counts_once_the_longer_one_is_over() {
    let mut world = granting(3, [60, 60]).with_workers(1..=2, 10);
    let session = world.connected("sales");
    world.restart_gateways();
    // A minute of renewals for twenty seconds each.
    world.run(seconds(60));
    let holder = world.holder(session);
    world.fleet.crash(&worker(holder));
    world.run_until(seconds(26), |world| {
        world
            .owner(session)
            .is_none_or(|owner| owner.worker != worker(holder))
    });
    world.assert_safe();
}

#[test]
fn a_registration_grants_what_it_says() {
    let world = granting(4, [60, 20]);
    let owner = join(&world, 1, 1, 10);
    world.run(seconds(30));
    assert_eq!(world.worker(1).status, WorkerStatus::Suspect, "not dead");
    for _ in 0..2 {
        beat(&world, &owner, None).expect("renewed by either");
    }
}

#[test]
fn a_worker_is_told_how_long_it_may_hold_its_sessions_by_whom_it_asks() {
    let world = granting(5, [60, 20]);
    let owner = join(&world, 1, 1, 10);
    let told = [(); 2].map(|()| beat(&world, &owner, None).expect("renewed").lease_seconds);
    assert_eq!(told.iter().sum::<u64>(), 80, "{told:?}");
    let lease = block_on(async {
        let mut tx = world.shared.store.begin().await?;
        tx.lease(&owner).await
    });
    let lasts = lease.expect("answered").expect("a lease").lasts;
    assert_eq!(lasts, seconds(60), "the longer one still runs");
}
