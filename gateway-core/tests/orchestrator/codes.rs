//! Codes and passkeys: what a person is shown, and what there is when there is none.

use std::time::Duration;

use gateway_core::coord::{Coordinator, PairingSecret};
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::orchestrator::QrError;
use gateway_core::session::{ChallengeKind, Status};
use gateway_core::worker::LinkError;
use gateway_testkit::worker::{CommandKind, Script};
use serde_json::json;

use super::block_on;
use super::world::{TENANT, World, seconds, worker};

fn ask(world: &World, session: SessionId, kind: ChallengeKind) -> Result<PairingSecret, QrError> {
    let gateway = world.gateway();
    block_on(gateway.orchestrator.pairing_secret(TENANT, session, kind))
}

/// A session that waits for a scan.
fn waiting(world: &World) -> SessionId {
    let session = world.card("sales");
    world.connect(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::QrRequired
    });
    session
}

fn retry_after(answer: Result<PairingSecret, QrError>) -> Option<Duration> {
    match answer {
        Err(QrError::NotAvailable { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_has_no_code_learns_whether_one_is_on_its_way() {
    let world = World::new(1);
    let session = world.card("sales");
    let idle = ask(&world, session, ChallengeKind::Qr);
    assert_eq!(retry_after(idle), None, "nobody asked to connect it");

    world.connect(session);
    let soon = ask(&world, session, ChallengeKind::Qr);
    assert!(retry_after(soon).is_some(), "it waits for a worker");

    let world = World::new(1).with_workers(1..=1, 10);
    let linked = world.connected("linked");
    let never = ask(&world, linked, ChallengeKind::Qr);
    assert_eq!(retry_after(never), None, "it is linked already");

    let orchestrator = &world.gateway().orchestrator;
    let foreign = TenantId::from_u128(9);
    let none = block_on(orchestrator.pairing_secret(foreign, linked, ChallengeKind::Qr));
    assert!(matches!(none, Err(QrError::UnknownSession)), "{none:?}");
}

#[test]
fn a_code_is_shown_even_while_the_coordinator_is_away() {
    let world = World::new(2).with_workers(1..=1, 10);
    let session = waiting(&world);
    let before = ask(&world, session, ChallengeKind::Qr).expect("a code");
    world.shared.coord.set_available(false);
    let during = ask(&world, session, ChallengeKind::Qr).expect("the worker still knows it");
    assert_eq!(during, before);
}

#[test]
fn a_code_that_was_asked_for_at_the_worker_is_put_back() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = waiting(&world);
    let before = ask(&world, session, ChallengeKind::Qr).expect("a code");
    world.shared.coord.lose_everything();
    ask(&world, session, ChallengeKind::Qr).expect("asked for again");
    let kept = block_on(world.shared.coord.secret(session, ChallengeKind::Qr));
    assert_eq!(kept.expect("answered"), Some(before));
}

#[test]
fn a_code_of_a_former_epoch_is_never_shown() {
    let world = World::new(4).with_workers(1..=1, 10);
    let session = waiting(&world);
    let present = ask(&world, session, ChallengeKind::Qr).expect("a code");
    world.shared.coord.lose_everything();
    let former = PairingSecret {
        epoch: Epoch(present.epoch.0 - 1),
        text: "of a former owner".to_owned(),
        ..present.clone()
    };
    let put = world.shared.coord.put_secret(session, &former, seconds(20));
    block_on(put).expect("kept");
    let shown = ask(&world, session, ChallengeKind::Qr).expect("a code");
    assert_eq!(shown, present);
}

#[test]
fn a_code_that_was_replaced_during_an_outage_is_not_shown() {
    let world = World::new(7).with_workers(1..=1, 10);
    let session = waiting(&world);
    let first = ask(&world, session, ChallengeKind::Qr).expect("a code");
    world.run_until(seconds(120), |world| {
        ask(world, session, ChallengeKind::Qr).is_ok_and(|code| code.index > first.index)
    });
    let present = ask(&world, session, ChallengeKind::Qr).expect("a code");
    world.shared.coord.lose_everything();
    let put = world.shared.coord.put_secret(session, &first, seconds(20));
    block_on(put).expect("kept");
    let shown = ask(&world, session, ChallengeKind::Qr).expect("a code");
    assert_eq!(shown, present);
}

#[test]
fn a_worker_that_cannot_be_asked_makes_the_code_come_later() {
    let world = World::new(5).with_workers(1..=1, 10);
    let session = waiting(&world);
    world.shared.coord.lose_everything();
    world.fleet.partition(&worker(1));
    let later = ask(&world, session, ChallengeKind::Qr);
    assert!(retry_after(later).is_some());
    world.fleet.heal(&worker(1));
    ask(&world, session, ChallengeKind::Qr).expect("it can be asked again");
}

#[test]
fn a_passkey_is_asserted_and_confirmed_through_the_gateway() {
    let world = World::new(6);
    world.add_worker(1, 10, Script::default().passkey());
    world.settle();
    let session = waiting(&world);
    let orchestrator = &world.gateway().orchestrator;
    let assertion = || Some(json!({"signature": "s"}));
    let early = block_on(orchestrator.passkey(TENANT, session, assertion()));
    assert!(
        matches!(early, Err(QrError::NotAvailable { .. })),
        "a QR code is asked for: {early:?}"
    );

    world.fleet.scan(session);
    world.run_until(seconds(5), |world| {
        world.row(session).status().action_required.as_deref() == Some("passkey")
    });
    let challenge = ask(&world, session, ChallengeKind::Passkey).expect("a challenge");
    assert!(!challenge.text.is_empty());

    let foreign = orchestrator.passkey(TenantId::from_u128(9), session, assertion());
    assert!(matches!(block_on(foreign), Err(QrError::UnknownSession)));
    let unasserted = block_on(orchestrator.passkey(TENANT, session, None));
    assert!(
        matches!(unasserted, Err(QrError::Worker(LinkError::Refused { .. }))),
        "the worker's own words: {unasserted:?}"
    );
    block_on(orchestrator.passkey(TENANT, session, assertion())).expect("taken");
    block_on(orchestrator.passkey(TENANT, session, None)).expect("confirmed");
    world.run_until(seconds(10), |world| {
        world.status(session) == Status::Connected
    });
    let orders = world.fleet.recorder().commands();
    let passkeys = orders
        .iter()
        .filter(|order| order.kind == CommandKind::Passkey);
    assert_eq!(passkeys.count(), 3);
}
