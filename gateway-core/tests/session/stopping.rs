//! A worker that ignores an order to stop, and what follows a stop.

use gateway_core::session::{Closure, Next};

use super::*;

fn stopping() -> Life {
    let mut life = Life::connected();
    life.take(&Input::Command(Command::Disconnect));
    life
}

#[test]
fn an_order_to_stop_is_repeated_every_five_seconds() {
    let mut life = stopping();
    for round in 1..12 {
        assert_eq!(life.due_in(), Some(seconds(5)), "round {round}");
        life.tick_when_due();
        assert!(matches!(life.effects[..], [Effect::Release(_)]));
    }
}

#[test]
fn after_a_minute_the_worker_is_cordoned_and_after_five_disowned() {
    let mut life = stopping();
    let (mut cordoned, mut disowned) = (None, None);
    while life.now < at(400) {
        life.tick_when_due();
        let has = |wanted: fn(&Effect) -> bool| life.effects.iter().any(wanted);
        assert!(
            has(|effect| matches!(effect, Effect::Release(_))),
            "still repeated"
        );
        if has(|effect| matches!(effect, Effect::Cordon(_))) {
            cordoned.get_or_insert(life.now);
        }
        if has(|effect| matches!(effect, Effect::Disown(_))) {
            disowned.get_or_insert(life.now);
        }
        assert_eq!(life.row.phase.name(), "STOPPING", "placed nowhere else");
    }
    assert_eq!(cordoned, Some(at(60)));
    assert_eq!(disowned, Some(at(300)));
}

#[test]
fn only_the_workers_word_or_its_death_ends_a_stop() {
    for word in [
        Input::Stopped,
        Input::NotHeld,
        Input::OwnerGone,
        Input::OwnerLeft,
        Input::Reported(report(Observation::Closed(Closure::Disconnected {
            reason: None,
        }))),
    ] {
        let mut life = stopping();
        life.take(&says(Observed::Connected)).at(1_000).tick();
        assert_eq!(life.row.phase.name(), "STOPPING");
        life.take(&word);
        assert_eq!(life.row.phase, Phase::Idle, "{word:?}");
        assert!(life.row.paired, "credentials are kept (R-24)");
    }
}

/// An order to start that is on its way might still come in after the worker has said so.
#[test]
fn a_worker_that_does_not_know_the_session_has_answered_once_no_start_can_be_on_its_way() {
    let mut life = stopping();
    life.at(29).take(&Input::Disclaimed);
    assert_eq!(life.row.phase.name(), "STOPPING");
    life.at(30).take(&Input::Disclaimed);
    assert_eq!(life.row.phase, Phase::Idle);
}

#[test]
fn a_session_that_its_worker_does_not_hold_is_stopped_and_started_again() {
    let mut life = Life::connected();
    life.at(3_600).tick().take(&Input::NotHeld);
    assert!(matches!(life.effects[..], [Effect::Release(_)]));
    assert_eq!(life.status(), Status::Connecting);
    life.take(&Input::NotHeld);
    assert_eq!(life.effects, [Effect::Place(life.row.id)]);
    life.take(&placed_on(&owner(2)));
    assert_eq!(life.row.epoch, Epoch(2));
    // What is lost again and again is started less and less often.
    life.take(&says(Observed::Connected)).take(&Input::NotHeld);
    life.take(&Input::NotHeld);
    assert_eq!(life.due_in(), Some(seconds(30)));
}

#[test]
fn only_a_later_wish_replaces_what_follows() {
    let order = [
        (Command::Restart, "start"),
        (Command::Disconnect, "start"),
        (Command::Logout, "logout"),
        (Command::Delete, "delete"),
        (Command::Logout, "delete"),
        (Command::Disconnect, "delete"),
    ];
    let mut life = Life::connected();
    for (command, expected) in order {
        life.take(&Input::Command(command));
        let Phase::Stopping { next, .. } = &life.row.phase else {
            panic!("{:?}", life.row.phase)
        };
        let next = match next {
            Next::Rest => "rest",
            Next::Start => "start",
            Next::Park { .. } => "park",
            Next::Logout => "logout",
            Next::Delete => "delete",
        };
        assert_eq!(next, expected);
    }
    let gone = life.decide(&Input::Stopped);
    assert_eq!(gone.row, None);
    assert_eq!(gone.effects, [Effect::Erase(life.row.id)]);
}

/// Whatever is answered 202 must come to something.
#[test]
fn a_restart_during_a_stop_is_carried_out_or_refused() {
    let mut life = Life::started();
    life.row.attempt = 3;
    life.at(30).tick();
    let parks = |row: &Session| matches!(&row.phase, Phase::Stopping { next, .. } if matches!(next, Next::Park { .. }));
    assert!(parks(&life.row));
    let restart = Input::Command(Command::Restart);
    let refused = decide(&life.policy, &life.row, &restart, at(31)).expect_err("it parks");
    assert_eq!(refused.advice, "wait until it has stopped, then restart it");
    life.take(&Input::Stopped).take(&restart);
    assert_eq!(life.row.phase, Phase::Waiting);

    let mut life = Life::connected();
    life.take(&restart).take(&restart).take(&Input::Stopped);
    assert_eq!(life.row.phase, Phase::Waiting);
}

#[test]
fn a_restart_that_is_taken_back_rests() {
    let mut life = Life::connected();
    life.take(&Input::Command(Command::Restart));
    life.take(&Input::Command(Command::Disconnect));
    life.take(&Input::Stopped);
    assert_eq!(life.row.phase, Phase::Idle);
}

#[test]
fn a_disconnect_that_is_taken_back_starts_again_elsewhere() {
    let mut life = stopping();
    life.take(&Input::Command(connect()));
    assert_eq!(life.status(), Status::Connecting);
    life.take(&Input::Stopped).take(&placed_on(&owner(2)));
    assert_eq!(life.row.epoch, Epoch(2));
}

#[test]
fn a_logout_archives_once() {
    let mut life = Life::connected();
    life.take(&Input::Command(Command::Logout));
    assert!(matches!(life.effects[..], [Effect::Logout(_)]));
    let closed = Observation::Closed(Closure::LoggedOut { reason: None });
    life.take(&Input::Reported(report(closed)));
    assert_eq!(life.effects, [Effect::Archive(life.row.id, life.row.epoch)]);
    assert_eq!(life.row.phase, Phase::Idle);
    assert_eq!(life.row.phone_number, None);
    assert_eq!(life.reason().as_deref(), Some("logged_out"));
}

#[test]
fn a_stop_whose_limits_passed_unseen_is_still_due_no_later_than_its_deadline() {
    let mut life = stopping();
    life.at(298).tick();
    assert_eq!(life.row.deadline, Some(at(300)));
    assert!(life.row.due_at <= life.row.deadline);
}
