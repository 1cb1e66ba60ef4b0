//! What workers say late, twice or not at all, and orders that were lost.

use gateway_core::id::Epoch;
use gateway_core::orchestrator::ReportError;
use gateway_core::protocol::{Beat, HeldSession, SessionReport};
use gateway_core::session::{Command, Effect, StartMode, StartOrder, Status};
use gateway_testkit::sink::RecordedEvents;
use gateway_testkit::worker::{Script, SimWorker};

use super::block_on;
use super::world::{World, seconds};

fn report(session: gateway_core::id::SessionId, epoch: Epoch, status: &str) -> SessionReport {
    serde_json::from_value(serde_json::json!({
        "sessionId": session, "epoch": epoch, "status": status, "reportSeq": 1_000,
    }))
    .expect("a report")
}

#[test]
fn a_report_of_a_former_epoch_changes_nothing_and_names_the_present_one() {
    let world = World::new(1).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let owner = world.owner(session).expect("held");
    world.ask(session, Command::Restart);
    world.settle();
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected
    });
    let before = world.row(session);
    for status in ["LOGGED_OUT", "CONNECTED", "ERROR"] {
        let late = report(session, Epoch(1), status);
        let answer = block_on(world.gateway().orchestrator.report(&owner, &late));
        assert!(
            matches!(answer, Err(ReportError::StaleEpoch { current }) if current == before.epoch),
            "{answer:?}"
        );
    }
    assert_eq!(world.row(session), before);
}

#[test]
fn a_report_of_another_run_changes_nothing() {
    let world = World::new(2).with_workers(1..=2, 10);
    let session = world.connected("sales");
    let other = world
        .fleet
        .owner(&super::world::worker(3 - world.holder(session)));
    let other = other.expect("a worker");
    let forged = report(session, world.row(session).epoch, "LOGGED_OUT");
    let answer = world.gateway().orchestrator.report(&other, &forged);
    assert!(matches!(
        block_on(answer),
        Err(ReportError::StaleEpoch { .. })
    ));
    assert_eq!(world.status(session), Status::Connected);
}

#[test]
fn a_repeated_report_changes_nothing_and_says_nothing() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let (owner, epoch) = (
        world.owner(session).expect("held"),
        world.row(session).epoch,
    );
    let events = RecordedEvents::of(&world.shared.store);
    let first = report(session, epoch, "RECONNECTING");
    let gateway = world.gateway();
    gateway.keep(block_on(gateway.orchestrator.report(&owner, &first)).expect("taken"));
    let (row, names) = (
        world.row(session),
        block_on(events.names(session)).expect("published"),
    );
    for _ in 0..3 {
        let again = block_on(world.gateway().orchestrator.report(&owner, &first));
        assert_eq!(again.expect("answered 200").effects, []);
    }
    assert_eq!(world.row(session), row);
    assert_eq!(block_on(events.names(session)).expect("published"), names);
}

#[test]
fn a_report_about_a_deleted_session_says_that_there_is_none() {
    let world = World::new(4).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let owner = world.owner(session).expect("held");
    world.ask(session, Command::Delete);
    world.settle();
    let late = report(session, Epoch(1), "CONNECTED");
    let answer = block_on(world.gateway().orchestrator.report(&owner, &late));
    assert!(matches!(answer, Err(ReportError::UnknownSession)));
}

/// Effects are only the first attempt: a gateway that performs none of them still gets there, later.
#[test]
fn every_lost_effect_is_repeated_because_its_row_falls_due_again() {
    let world = World::new(5).with_workers(1..=1, 10);
    let session = world.card("sales");
    world.loses_effects.set(true);
    world.connect(session);
    world.settle();
    assert_eq!(
        world.row(session).phase.name(),
        "WAITING",
        "the placement was lost"
    );
    world.loses_effects.set(false);
    world.run(seconds(6));
    assert_eq!(world.status(session), Status::QrRequired);
    world.fleet.scan(session);
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected
    });

    world.loses_effects.set(true);
    world.ask(session, Command::Disconnect);
    world.settle();
    assert_eq!(
        world.row(session).phase.name(),
        "STOPPING",
        "the order was lost"
    );
    world.loses_effects.set(false);
    world.run(seconds(6));
    assert_eq!(world.row(session).phase.name(), "IDLE");
    world.assert_safe();
}

#[test]
fn an_order_of_a_former_epoch_that_is_carried_out_late_changes_nothing() {
    let world = World::new(9).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let former = world.row(session);
    world.ask(session, Command::Restart);
    world.settle();
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected
    });
    let before = world.row(session);
    let order = former.order().expect("held");
    let start = StartOrder {
        order: order.clone(),
        mode: StartMode::Restore,
    };
    for late in [
        Effect::Release(order.clone()),
        Effect::Forget(order),
        Effect::Start(start),
        Effect::Place(session),
    ] {
        let name = format!("{late:?}");
        let followed = block_on(world.gateway().orchestrator.perform(late));
        assert_eq!(followed.expect("answered"), [], "{name}");
        assert_eq!(world.row(session), before, "{name}");
    }
    world.assert_safe();
}

#[test]
fn an_order_that_was_lost_travels_with_the_heartbeat() {
    let world = World::new(6).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let (owner, epoch) = (
        world.owner(session).expect("held"),
        world.row(session).epoch,
    );
    world.loses_effects.set(true);
    world.ask(session, Command::Disconnect);
    world.settle();
    let beat = || {
        let gateway = world.gateway();
        let beat = Beat::default();
        gateway.keep(block_on(gateway.orchestrator.heartbeat(&owner, &beat)).expect("renewed"))
    };
    let dropped: Vec<_> = beat()
        .dropped
        .iter()
        .map(|drop| (drop.session_id, drop.epoch))
        .collect();
    assert_eq!(dropped, [(session, epoch)]);

    let held = || world.fleet.look(&super::world::worker(1), SimWorker::holds);
    world.run(seconds(3));
    assert_eq!(
        held().map(|held| held.len()),
        Some(0),
        "closed without an order"
    );
    assert_eq!(
        world.row(session).phase.name(),
        "STOPPING",
        "but not yet confirmed"
    );
    world.loses_effects.set(false);
    world.run(seconds(6));
    assert_eq!(world.row(session).phase.name(), "IDLE");
    world.assert_safe();
}

#[test]
fn a_start_that_was_lost_travels_with_the_heartbeat() {
    let world = World::new(7).with_workers(1..=1, 10);
    let session = world.card("sales");
    world.connect(session);
    let gateway = world.gateway();
    for effect in gateway.local.take_effects() {
        // The placement is performed; the order to start that follows is lost.
        block_on(gateway.orchestrator.perform(effect)).expect("placed");
    }
    world.loses_effects.set(true);
    assert_eq!(world.row(session).phase.name(), "STARTING");
    world.run_until(seconds(3), |world| {
        world.status(session) == Status::QrRequired
    });
}

#[test]
fn what_a_worker_holds_without_right_it_is_told_to_drop() {
    let world = World::new(8).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let (owner, epoch) = (
        world.owner(session).expect("held"),
        world.row(session).epoch,
    );
    let ghost = world.card("ghost");
    let held = |session, epoch| HeldSession {
        session_id: session,
        epoch,
        status: "CONNECTED".to_owned(),
    };
    let beat = Beat {
        held: Some(vec![held(session, epoch), held(ghost, Epoch(3))]),
        ..Beat::default()
    };
    let gateway = world.gateway();
    let answer = block_on(gateway.orchestrator.heartbeat(&owner, &beat))
        .expect("renewed")
        .value;
    let dropped: Vec<_> = answer.dropped.iter().map(|drop| drop.session_id).collect();
    assert_eq!(dropped, [ghost]);
}

#[test]
fn reports_and_answers_that_are_lost_delay_but_change_nothing() {
    for seed in 0..6 {
        let world = World::new(seed).with_workers(1..=1, 10);
        let mut script = Script::default().auto_scan(1_000);
        script.faults.lost_report_every = Some(3);
        script.faults.lost_answer_every = Some(4);
        world
            .fleet
            .change_script(&super::world::worker(1), |old| *old = script);
        let session = world.card("sales");
        world.connect(session);
        world.run_until(seconds(120), |world| {
            world.status(session) == Status::Connected
        });
        world.assert_safe();
    }
}
