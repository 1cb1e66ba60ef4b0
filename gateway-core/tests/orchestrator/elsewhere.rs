//! A session that fails goes elsewhere, and one that kills its workers goes nowhere.

use gateway_core::session::{Command, Phase, Reason, Status};
use gateway_testkit::worker::Script;

use super::hand_made::{beat, join};
use super::links::Bent;
use super::world::{World, seconds, worker};

/// A worker on which nothing ever starts is the emptiest of all, and must not attract for that.
#[test]
fn a_start_that_times_out_is_tried_elsewhere() {
    let mut world = World::new(2);
    Bent::between(&mut world, |link| link.idles = Some(worker(1)));
    world.add_worker(2, 50, Script::default());
    world.settle();
    for number in 0..6 {
        let other = world.card(&format!("o{number}"));
        world.connect(other);
        world.settle();
    }
    let idle = join(&world, 1, 1, 50);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    assert_eq!(world.holder(session), 1, "the emptiest");
    let mut waited = 0;
    while world.owner(session).is_none_or(|owner| owner == idle) {
        beat(&world, &idle, None).expect("renewed");
        world.run(seconds(2));
        waited += 2;
        assert!(waited <= 32, "44 places are free on a worker that works");
    }
    assert_eq!(world.holder(session), 2);
}

#[test]
fn a_worker_on_which_it_failed_is_better_than_none() {
    let mut world = World::new(3);
    Bent::between(&mut world, |link| link.idles = Some(worker(1)));
    let idle = join(&world, 1, 1, 50);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    let first = world.row(session).epoch;
    for _ in 0..40 {
        beat(&world, &idle, None).expect("renewed");
        world.run(seconds(2));
    }
    assert!(
        world.row(session).epoch > first,
        "tried again where it failed"
    );
}

#[test]
fn a_session_that_kills_every_worker_is_set_aside_after_the_third() {
    let world = World::new(8).with_workers(1..=3, 10);
    let poison = world.connected("poison");
    let mut killed = 0;
    for _ in 0..12 {
        world.run_until(seconds(120), |world| {
            let row = world.row(poison);
            row.owner().is_some() || matches!(row.phase, Phase::Parked { .. })
        });
        let Some(owner) = world.owner(poison) else {
            break;
        };
        world.fleet.crash(&owner.worker);
        killed += 1;
        world.run(seconds(24));
        world.fleet.restart(&owner.worker);
        world.run(seconds(1));
    }
    assert_eq!(killed, 3);
    let view = world.row(poison).status();
    assert_eq!(
        (view.status, view.reason),
        (Status::Error, Some(Reason::Quarantined))
    );
    world.run(seconds(3_600));
    assert_eq!(world.owner(poison), None, "until a person acts");

    world.ask(poison, Command::Restart);
    world.run_until(seconds(30), |world| {
        world.status(poison) == Status::Connected
    });
    world.assert_safe();
}

#[test]
fn workers_that_are_restarted_one_after_the_other_set_nothing_aside() {
    let world = World::new(9).with_workers(1..=3, 10);
    let session = world.connected("sales");
    for _ in 0..6 {
        let holder = worker(world.holder(session));
        world.fleet.stop(&holder);
        world.run(seconds(5));
        world.fleet.restart(&holder);
        world.run(seconds(5));
        assert_eq!(world.status(session), Status::Connected);
    }
}
