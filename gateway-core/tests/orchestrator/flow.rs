//! The main job: from a card to a delivered message, without a server.

use gateway_core::message::MessageStatus;
use gateway_core::session::{ChallengeKind, Command, Pairing, Reason, Status};
use gateway_testkit::sink::RecordedEvents;

use super::block_on;
use super::world::{TENANT, World, seconds};

#[test]
fn from_connect_to_a_code_to_a_scan_to_a_delivered_message() {
    let world = World::new(1).with_workers(1..=2, 10);
    let session = world.card("sales");
    assert_eq!(world.status(session), Status::Disconnected);

    world.connect(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::QrRequired
    });
    let code = world
        .gateway()
        .orchestrator
        .pairing_secret(TENANT, session, ChallengeKind::Qr);
    let code = block_on(code).expect("whoever sees QR_REQUIRED finds the code");
    assert_eq!(code.epoch, world.row(session).epoch);
    assert!(!code.text.is_empty());

    world.fleet.scan(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::Connected
    });
    let row = world.row(session);
    assert!(row.paired && row.phone_number.is_some());

    let sent = block_on(world.gateway().send(&world.text(session, None))).expect("sent");
    assert_eq!(sent.message.status, MessageStatus::Sending);
    let id = sent.message.id;
    world.run_until(seconds(5), |world| {
        let found = block_on(world.shared.log.find(TENANT, id)).expect("the log answers");
        found.is_some_and(|message| message.status == MessageStatus::Delivered)
    });
    assert_eq!(world.fleet.network().times_shown(id), 1);

    let events = RecordedEvents::of(&world.shared.store);
    let statuses = block_on(events.statuses(session)).expect("published");
    assert_eq!(
        statuses.first().zip(statuses.last()),
        Some((&Status::Connecting, &Status::Connected))
    );
    let names = block_on(events.names(session)).expect("published");
    let sends = names
        .iter()
        .filter(|name| **name == "message.status")
        .count();
    assert_eq!(sends, 3, "sending, sent, delivered: {names:?}");
    block_on(events.assert_dense()).expect("published");
    world.assert_safe();
}

#[test]
fn a_message_that_comes_in_is_received_once() {
    let world = World::new(2).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let chat = "491709999999@s.whatsapp.net";
    world.fleet.network().write(session, chat, "hi there");
    world.run(seconds(5));
    let events = RecordedEvents::of(&world.shared.store);
    let names = block_on(events.names(session)).expect("published");
    let received = names.iter().filter(|name| **name == "message.received");
    assert_eq!(received.count(), 1);
}

#[test]
fn a_pairing_code_is_shown_to_whoever_asks_for_one() {
    let world = World::new(3).with_workers(1..=1, 10);
    let session = world.card("sales");
    let pairing = Pairing::PairingCode {
        phone_number: "491701234567".to_owned(),
    };
    world.ask(
        session,
        Command::Connect {
            pairing,
            priority: 1,
        },
    );
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::QrRequired
    });
    let action = world.row(session).status().action_required;
    assert_eq!(action.as_deref(), Some("enter_pairing_code"));
    let gateway = world.gateway();
    let code = gateway
        .orchestrator
        .pairing_secret(TENANT, session, ChallengeKind::PairingCode);
    assert!(!block_on(code).expect("a code").text.is_empty());
    world.fleet.scan(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::Connected
    });
}

#[test]
fn a_code_that_the_coordinator_has_lost_is_asked_for_at_the_worker() {
    let world = World::new(4).with_workers(1..=1, 10);
    let session = world.card("sales");
    world.connect(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::QrRequired
    });
    let ask = || {
        let gateway = world.gateway();
        block_on(
            gateway
                .orchestrator
                .pairing_secret(TENANT, session, ChallengeKind::Qr),
        )
    };
    let before = ask().expect("a code");
    world.shared.coord.lose_everything();
    assert_eq!(ask().expect("asked for again").text, before.text);
}

#[test]
fn a_code_nobody_scans_ends_as_qr_timeout_and_frees_the_worker() {
    let world = World::new(5).with_workers(1..=1, 1);
    let session = world.card("sales");
    world.connect(session);
    world.run(seconds(240));
    let view = world.row(session).status();
    assert_eq!(
        (view.status, view.reason),
        (Status::Disconnected, Some(Reason::QrTimeout))
    );
    world.assert_counted(1..=1, &[session]);
    assert_eq!(world.worker(1).assigned, 0);

    world.connect(session);
    world.run_until(seconds(5), |world| {
        world.status(session) == Status::QrRequired
    });
    world.assert_safe();
}
