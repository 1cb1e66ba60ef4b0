//! Room: none, some again, and never more than there is.

use gateway_core::session::{Reason, Status};
use gateway_testkit::worker::Script;

use super::world::{World, seconds};

#[test]
fn without_a_worker_a_session_waits_and_is_placed_at_once_when_one_registers() {
    let world = World::new(1);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    let view = world.row(session).status();
    assert_eq!(
        (view.status, view.reason),
        (Status::Connecting, Some(Reason::NoCapacity))
    );
    assert!(view.retry_at.is_some());

    world.run(seconds(7));
    let before = world.clock_now();
    world.add_worker(1, 10, Script::default());
    world.settle();
    world.tick_now();
    world.settle();
    assert_eq!(world.clock_now(), before, "no time has passed");
    assert_eq!(world.holder(session), 1);
}

#[test]
fn room_that_becomes_free_goes_to_whoever_waits() {
    let world = World::new(2).with_workers(1..=1, 1);
    let first = world.connected("first");
    let second = world.card("second");
    world.connect(second);
    world.settle();
    assert_eq!(world.owner(second), None);
    world.ask(first, gateway_core::session::Command::Disconnect);
    world.settle();
    world.tick_now();
    world.settle();
    assert_eq!(world.holder(second), 1);
    world.assert_counted(1..=1, &[first, second]);
}

#[test]
fn room_is_seen_at_once_although_no_worker_has_changed_for_minutes() {
    let world = World::new(2).with_workers(1..=1, 1);
    let first = world.connected("first");
    world.run(seconds(180));
    let second = world.card("second");
    world.connect(second);
    world.settle();
    assert_eq!(world.owner(second), None);
    world.ask(first, gateway_core::session::Command::Disconnect);
    world.settle();
    // What is due is claimed before anybody looks at the fleet again.
    world.claim_now();
    world.settle();
    assert_eq!(world.holder(second), 1);
}

#[test]
fn no_worker_ever_gets_more_than_it_takes() {
    let world = World::new(3).with_workers(1..=3, 4);
    let sessions: Vec<_> = (0..15)
        .map(|number| world.card(&format!("s{number}")))
        .collect();
    for session in &sessions {
        world.connect(*session);
    }
    world.settle();
    world.assert_counted(1..=3, &sessions);
    let placed = sessions
        .iter()
        .filter(|session| world.owner(**session).is_some());
    assert_eq!(placed.count(), 12, "every place is used");
    world.add_worker(4, 4, Script::default());
    world.run(seconds(3));
    let placed = sessions
        .iter()
        .filter(|session| world.owner(**session).is_some());
    assert_eq!(placed.count(), 15);
    world.assert_counted(1..=4, &sessions);
}
