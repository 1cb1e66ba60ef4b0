//! A worker that is gone: suspicion is soft, death is hard.

use std::time::Duration;

use gateway_core::identity::Origin;
use gateway_core::orchestrator::{Join, Registration};
use gateway_core::protocol::{HeldSession, Register};
use gateway_core::session::{Command, Reason, Status};
use gateway_core::store::Store;
use gateway_core::worker::{AllowedHost, WorkerStatus};
use gateway_testkit::worker::{Restart, Script};
use serde_json::json;

use super::block_on;
use super::hand_made::{beat, join, say};
use super::world::{World, seconds, worker};

/// Lease and guard.
const PROOF: Duration = Duration::from_secs(22);

#[test]
fn nothing_moves_before_lease_and_guard_and_then_everything_without_a_scan() {
    let world = World::new(1).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let (dead, epoch) = (world.holder(session), world.row(session).epoch);
    world.fleet.crash(&worker(dead));

    world.run(PROOF - seconds(3));
    assert_eq!(world.holder(session), dead, "silence alone proves nothing");
    assert_eq!(world.worker(dead).status, WorkerStatus::Suspect);

    let took = world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected && world.holder(session) != dead
    });
    assert!(
        took + PROOF - seconds(3) < seconds(30),
        "a silent host is < 30 s: {took:?}"
    );
    let row = world.row(session);
    assert_eq!(row.epoch, epoch.next());
    assert!(row.paired);
    assert_eq!(world.worker(dead).status, WorkerStatus::Offline);
    world.assert_counted(1..=2, &[session]);
    world.assert_safe();
}

#[test]
fn a_goodbye_frees_at_once() {
    let world = World::new(2).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let leaving = world.holder(session);
    world.fleet.stop(&worker(leaving));
    world.settle();
    assert_eq!(world.worker(leaving).status, WorkerStatus::Offline);
    assert_ne!(
        world.holder(session),
        leaving,
        "placed elsewhere at the same moment"
    );
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::Connected
    });
    world.assert_safe();
}

#[test]
fn a_restarted_worker_gets_its_sessions_back_only_when_its_former_run_is_proved_dead() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let epoch = world.row(session).epoch;
    world.fleet.crash(&worker(1));
    world.fleet.restart(&worker(1));
    world.run(seconds(10));
    assert_eq!(
        world.row(session).epoch,
        epoch,
        "the former run may still hold it"
    );
    assert_eq!(world.worker(1).status, WorkerStatus::Active);
    world.run_until(seconds(20), |world| {
        world.row(session).epoch == epoch.next()
    });
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::Connected
    });
    world.assert_counted(1..=1, &[session]);
    world.assert_safe();
}

#[test]
fn a_restarted_gateway_waits_lease_and_guard_anew() {
    let mut world = World::new(4).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let dead = world.holder(session);
    world.fleet.crash(&worker(dead));
    world.run(PROOF - seconds(4));
    world.restart_gateways();
    world.run(PROOF - seconds(1));
    assert_eq!(
        world.holder(session),
        dead,
        "it has not seen enough silence itself"
    );
    world.run(seconds(4));
    assert_ne!(world.holder(session), dead);
    world.assert_safe();
}

#[test]
fn a_step_of_the_wall_clock_fences_nobody() {
    use gateway_core::time::Clock;
    let world = World::new(5).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let holder = world.holder(session);
    world.clock.step_to(world.clock.now().plus(seconds(7_200)));
    world.run(seconds(10));
    assert_eq!(world.holder(session), holder);
    assert_eq!(world.worker(holder).status, WorkerStatus::Active);
    assert_eq!(world.status(session), Status::Connected);
}

#[test]
fn a_suspended_worker_is_never_live_twice() {
    for stopped_for in [5, 15, 21, 23, 40, 120] {
        let world = World::new(6).with_workers(1..=2, 10);
        let session = world.connected("sales");
        let frozen = worker(world.holder(session));
        world.fleet.freeze(&frozen);
        world.run(seconds(stopped_for));
        world.fleet.thaw(&frozen);
        world.run(seconds(60));
        world.assert_safe();
        assert_eq!(world.status(session), Status::Connected, "{stopped_for} s");
        world.assert_counted(1..=2, &[session]);
    }
}

#[test]
fn a_worker_that_is_cut_off_is_never_live_twice() {
    for cut_off_for in [5, 19, 22, 60] {
        let world = World::new(7).with_workers(1..=2, 10);
        let session = world.connected("sales");
        let alone = worker(world.holder(session));
        world.fleet.partition(&alone);
        world.run(seconds(cut_off_for));
        world.fleet.heal(&alone);
        world.run(seconds(60));
        world.assert_safe();
        assert_eq!(world.status(session), Status::Connected, "{cut_off_for} s");
        world.assert_counted(1..=2, &[session]);
    }
}

#[test]
fn a_process_image_of_before_holds_nothing() {
    let world = World::new(8).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let old = worker(world.holder(session));
    world
        .fleet
        .change_script(&old, |script| script.faults.restart = Restart::OldEpochs);
    world.fleet.crash(&old);
    world.run(seconds(40));
    assert_eq!(world.status(session), Status::Connected);
    world.fleet.restart(&old);
    world.run(seconds(40));
    world.assert_safe();
    assert_eq!(world.status(session), Status::Connected);
    world.assert_counted(1..=2, &[session]);
}

#[test]
fn an_unlinked_session_is_placed_like_a_fresh_connect_within_its_own_deadline() {
    let world = World::new(9).with_workers(1..=2, 10);
    let session = world.card("sales");
    world.connect(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::QrRequired
    });
    let dead = world.holder(session);
    world.fleet.crash(&worker(dead));
    world.run_until(seconds(30), |world| {
        world.status(session) == Status::QrRequired && world.holder(session) != dead
    });
    assert_eq!(world.row(session).epoch.0, 2);
    world.run(seconds(190));
    let view = world.row(session).status();
    assert_eq!(view.reason, Some(Reason::QrTimeout), "{view:?}");
    world.assert_safe();
}

#[test]
fn linked_sessions_are_placed_before_unlinked_ones() {
    let world = World::new(10).with_workers(1..=1, 2);
    let linked = world.connected("linked");
    let fresh = world.card("fresh");
    world.connect(fresh);
    world.run_until(seconds(5), |world| {
        world.status(fresh) == Status::QrRequired
    });
    world.fleet.crash(&worker(1));
    world.run(PROOF + seconds(2));
    assert_eq!(world.owner(linked), None);
    world.add_worker(2, 1, Script::default());
    world.run(seconds(3));
    assert_eq!(world.holder(linked), 2);
    assert_eq!(world.owner(fresh), None);
}

/// It keeps what it was told to let go of, and says so.
#[test]
fn a_worker_that_answers_no_stop_is_cordoned_then_disowned_and_fenced() {
    let world = World::new(11);
    let deaf = join(&world, 1, 1, 10);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    let fields = json!({"status": "CONNECTED", "reportSeq": 1, "phoneNumber": "491701234567"});
    let said = say(&world, session, &fields);
    let _ = block_on(world.gateway().orchestrator.report(&deaf, &said)).expect("folded");
    world.add_worker(2, 10, Script::default());
    world.settle();
    let held = HeldSession {
        session_id: session,
        epoch: world.row(session).epoch,
        status: "CONNECTED".to_owned(),
    };
    let live = |count: u64| {
        for _ in 0..count / 2 {
            // It is refused once its lease is not renewed any more.
            let _ = beat(&world, &deaf, Some(vec![held.clone()]));
            world.run(seconds(2));
        }
    };
    world.ask(session, Command::Restart);
    live(58);
    assert!(!world.worker(1).is_cordoned());
    live(6);
    assert!(world.worker(1).is_cordoned(), "after a minute");
    live(230);
    assert_eq!(world.holder(session), 1, "placed nowhere else meanwhile");
    live(10);
    world.run(PROOF);
    assert_eq!(
        world.row(session).epoch,
        held.epoch.next(),
        "after five minutes, lease and guard"
    );
    assert!(!world.worker(1).is_cordoned(), "its run has ended");
    world.assert_counted(1..=2, &[session]);
    world.assert_safe();
}

#[test]
fn a_worker_that_is_suspected_already_costs_no_transaction_at_the_next_look() {
    let world = World::new(42).with_workers(1..=3, 10);
    (1..=3).for_each(|number| world.fleet.crash(&worker(number)));
    world.run(seconds(8));
    for number in 1..=3 {
        assert_eq!(world.worker(number).status, WorkerStatus::Suspect);
    }
    let before = world.shared.store.writes_begun();
    world.clock.advance(seconds(1));
    let done = block_on(world.gateway().orchestrator.watch_leases()).expect("a look");
    assert_eq!(done.value, 0);
    assert_eq!(world.shared.store.writes_begun(), before);
}

#[test]
fn registering_again_gives_a_whole_lease_and_whoever_watches_counts_anew() {
    let world = World::new(41).with_workers(1..=1, 1);
    let owner = world.fleet.owner(&worker(1)).expect("a worker");
    let known = world.worker(1);
    let endpoint = known.endpoint.expect("an endpoint");
    let (id, run) = (owner.worker.as_str(), owner.incarnation.as_str());
    let body = Register::new(id, run, &endpoint, known.max_sessions);
    let again = Registration::of(body, &[AllowedHost::Any]).expect("it says nothing wrong");
    let renewals = || {
        block_on(async {
            let mut tx = world
                .shared
                .store
                .begin()
                .await
                .expect("the store is there");
            let lease = tx.lease(&owner).await.expect("the store answers");
            lease.expect("a lease").renewals
        })
    };
    let before = renewals();
    let (orchestrator, origin) = (&world.gateway().orchestrator, Origin::default());
    let joined = orchestrator.register(&origin, Join::Bootstrap, &again);
    let _ = block_on(joined).expect("let in again");
    assert_eq!(renewals(), before + 1);
}
