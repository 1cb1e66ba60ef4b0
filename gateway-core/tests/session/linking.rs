//! Sessions that never paired: released when their worker is gone, and ended as `qr_timeout` at
//! the deadline of their connect, which no new worker extends.

use gateway_core::session::StartMode;

use super::*;

fn qr(index: u32, expires_after: u64) -> Input {
    says(code(ChallengeKind::Qr, index, at(expires_after)))
}

/// `qr_timeout`, waiting for a new connect.
fn has_timed_out(life: &Life) -> bool {
    life.status() == Status::Disconnected
        && life.reason().as_deref() == Some("qr_timeout")
        && life.row.due_at.is_none()
}

#[test]
fn a_session_is_linked_from_the_first_report_that_says_so() {
    for (input, is_linked) in [
        (linked(stage(Stage::Pairing)), true),
        (linked(stage(Stage::Syncing)), true),
        (linked(Observed::Connected), true),
        (says(Observed::Connected), true),
        (says(stage(Stage::Pairing)), false),
        (says(stage(Stage::Syncing)), false),
        (linked(reconnecting("network")), false),
        (linked(code(ChallengeKind::Qr, 0, at(60))), false),
    ] {
        let mut life = Life::started();
        life.take(&input);
        assert_eq!(life.row.paired, is_linked, "{input:?}");
    }
}

#[test]
fn the_number_that_a_code_was_asked_for_links_nobody() {
    let by_code = says(code(ChallengeKind::PairingCode, 0, at(180)));
    let mut life = Life::started();
    life.take(&by_code).take(&linked(stage(Stage::Starting)));
    assert_eq!((life.row.paired, &life.row.phone_number), (false, &None));
    life.take(&linked(stage(Stage::Pairing)));
    let number = life.row.phone_number.as_deref();
    assert_eq!((life.row.paired, number), (true, Some("491701234567")));
    // Of a linked account every report may name the number.
    let renamed = Report {
        phone_number: Some("491709999999".to_owned()),
        ..report(Observation::Live(stage(Stage::Starting)))
    };
    life.take(&Input::Reported(renamed));
    assert_eq!(life.row.phone_number.as_deref(), Some("491709999999"));
}

#[test]
fn when_its_worker_is_gone_it_is_placed_like_a_fresh_connect() {
    let mut life = Life::started();
    life.take(&qr(0, 60)).at(20).take(&Input::OwnerGone);
    assert_eq!(life.row.phase, Phase::Waiting);
    life.take(&placed_on(&owner(2)));
    let [Effect::Start(start)] = &life.effects[..] else {
        panic!("{:?}", life.effects)
    };
    assert_eq!((&start.mode, start.order.epoch), (&StartMode::Qr, Epoch(2)));
}

#[test]
fn its_deadline_is_not_extended_by_a_new_worker() {
    let mut life = Life::started();
    life.take(&qr(0, 60)).at(20).take(&Input::OwnerGone);
    assert_eq!(life.row.deadline, Some(at(70)));
    life.at(25).take(&placed_on(&owner(2)));
    assert_eq!(life.row.linking_until, Some(at(70)));
    life.at(30).take(&qr(0, 500));
    assert_eq!(life.row.deadline, Some(at(190)), "at most 190 s in all");
    life.at(189).tick();
    assert_eq!(life.status(), Status::QrRequired);
    life.at(190).tick().take(&Input::Stopped);
    assert!(has_timed_out(&life));
}

#[test]
fn a_passkey_gives_it_ten_minutes() {
    let mut life = Life::started();
    life.take(&qr(0, 60));
    life.at(30)
        .take(&says(code(ChallengeKind::Passkey, 0, at(630))));
    assert_eq!(life.row.deadline, Some(at(610)));
    let action = life.row.status().action_required;
    assert_eq!(action.as_deref(), Some("passkey"));
}

#[test]
fn once_a_passkey_was_asked_for_a_later_code_does_not_shorten_the_limit() {
    let mut life = Life::started();
    life.take(&says(code(ChallengeKind::Passkey, 0, at(600))));
    life.at(300).take(&qr(0, 360));
    assert_eq!(life.row.deadline, Some(at(370)));
    life.at(360).take(&qr(1, 900));
    assert_eq!(life.row.deadline, Some(at(610)));
}

#[test]
fn while_nobody_has_room_it_ends_at_the_same_deadline() {
    let mut life = Life::started();
    life.take(&qr(0, 60)).at(65).take(&Input::OwnerGone);
    life.take(&Input::NoCapacity);
    assert_eq!(life.row.due_at, Some(at(70)), "no later than the deadline");
    life.tick_when_due();
    assert!(
        has_timed_out(&life),
        "without a worker there is nothing to stop"
    );
}

#[test]
fn a_worker_that_is_gone_after_the_deadline_leaves_nothing_to_place() {
    let mut life = Life::started();
    life.take(&qr(0, 60)).at(100).take(&Input::OwnerGone);
    assert!(has_timed_out(&life));
    assert_eq!(life.effects, []);
}

#[test]
fn starts_that_fail_do_not_extend_it_either() {
    let mut life = Life::started();
    life.take(&qr(0, 30)).at(35).take(&Input::OwnerGone);
    life.take(&placed_on(&owner(2)));
    life.at(65).tick();
    assert_eq!(life.row.phase.name(), "STOPPING", "30 s without a report");
    life.take(&Input::Stopped);
    assert!(has_timed_out(&life));
}

#[test]
fn a_new_connect_has_a_deadline_of_its_own() {
    let mut life = Life::started();
    life.take(&qr(0, 60)).at(70).tick().take(&Input::Stopped);
    life.at(1_000).take(&Input::Command(connect()));
    life.take(&placed_on(&owner(2)));
    assert_eq!(life.row.linking_until, Some(at(1_190)));
}

#[test]
fn so_has_one_that_comes_while_the_former_is_being_stopped() {
    let mut life = Life::started();
    life.take(&qr(0, 60));
    life.at(150).take(&Input::Command(Command::Disconnect));
    life.take(&Input::Command(connect())).at(200);
    life.take(&Input::Stopped).take(&placed_on(&owner(2)));
    assert_eq!(life.row.linking_until, Some(at(390)));
}

#[test]
fn another_way_of_linking_is_another_start() {
    let mut life = Life::started();
    life.take(&qr(0, 60)).at(50);
    let by_code = Pairing::PairingCode {
        phone_number: "491701234567".to_owned(),
    };
    life.take(&Input::Command(Command::Connect {
        pairing: by_code.clone(),
        priority: 2,
    }));
    assert!(matches!(life.effects[..], [Effect::Release(_)]));
    life.take(&Input::Stopped).take(&placed_on(&owner(1)));
    let [Effect::Start(start)] = &life.effects[..] else {
        panic!("{:?}", life.effects)
    };
    assert!(matches!(start.mode, StartMode::PairingCode { .. }));
    assert_eq!(
        life.row.linking_until,
        Some(at(240)),
        "a connect of its own"
    );
}

#[test]
fn the_same_connect_again_changes_nothing() {
    let mut life = Life::started();
    life.take(&qr(0, 60));
    let before = life.row.clone();
    life.at(10).take(&Input::Command(connect()));
    assert_eq!(life.row, before);
    assert_eq!(life.effects, []);
}

#[test]
fn a_worker_cannot_ask_a_linked_session_for_codes_for_ever() {
    let mut life = Life::connected();
    for round in 0..60 {
        life.at(10 * round);
        if life.row.phase.name() != "ACTIVE" {
            return;
        }
        life.take(&qr(u32::try_from(round).expect("small"), 10 * round + 60));
        life.at(10 * round + 9).tick();
    }
    panic!("ten minutes of codes");
}

#[test]
fn each_new_code_is_an_event_and_a_repeated_one_is_not() {
    let mut life = Life::started();
    life.take(&qr(0, 60));
    assert_eq!(life.events, ["session.status", "session.qr"]);
    life.take(&qr(0, 60));
    assert!(life.events.is_empty());
    life.at(60).take(&qr(1, 80));
    assert_eq!(life.events, ["session.qr"]);
}
