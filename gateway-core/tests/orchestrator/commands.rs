//! Disconnect, restart, logout and delete, end to end.

use gateway_core::session::{Command, Desired, Reason, Status};
use gateway_testkit::worker::CommandKind;

use super::world::{World, seconds};

#[test]
fn disconnecting_frees_the_worker_and_keeps_the_credentials() {
    let world = World::new(1).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.ask(session, Command::Disconnect);
    world.settle();
    assert_eq!(world.status(session), Status::Disconnected);
    assert_eq!(world.worker(1).assigned, 0);
    assert!(world.row(session).paired);

    world.connect(session);
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected
    });
    assert_eq!(
        world.row(session).epoch.0,
        2,
        "without a scan, at the next epoch"
    );
    world.assert_safe();
}

#[test]
fn restarting_is_a_stop_and_a_start_without_a_scan() {
    let world = World::new(2).with_workers(1..=2, 10);
    let session = world.connected("sales");
    world.ask(session, Command::Restart);
    world.settle();
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected
    });
    assert_eq!(world.row(session).epoch.0, 2);
    world.assert_counted(1..=2, &[session]);
    world.assert_safe();
}

#[test]
fn logging_out_unlinks_and_archives() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.ask(session, Command::Logout);
    world.settle();
    let row = world.row(session);
    assert_eq!(row.desired, Desired::Disconnected);
    assert_eq!(row.status().reason, Some(Reason::LoggedOut));
    assert!(!row.paired && row.phone_number.is_none());
    assert_eq!(world.shared.state.archived(session), 1, "R-24");

    world.connect(session);
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::QrRequired
    });
}

#[test]
fn deleting_leaves_nothing_behind() {
    let world = World::new(4).with_workers(1..=1, 10);
    let session = world.connected("sales");
    world.ask(session, Command::Delete);
    world.settle();
    assert_eq!(world.find(session), None);
    assert_eq!(world.worker(1).assigned, 0);
    assert_eq!(world.shared.state.archived(session), 0);
    let commands = world.fleet.recorder().commands();
    assert!(
        commands
            .iter()
            .any(|command| command.kind == CommandKind::Forget)
    );
    world.run(seconds(60));
    world.assert_safe();
}

#[test]
fn a_worker_that_cannot_be_reached_is_asked_again_until_it_answers() {
    let world = World::new(5).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let id = super::world::worker(1);
    world.fleet.partition(&id);
    world.ask(session, Command::Disconnect);
    world.run(seconds(6));
    assert_eq!(world.row(session).phase.name(), "STOPPING");
    assert_eq!(world.wants(session), Desired::Disconnected);
    world.fleet.heal(&id);
    world.run(seconds(6));
    assert_eq!(world.row(session).phase.name(), "IDLE");
    world.assert_safe();
}
