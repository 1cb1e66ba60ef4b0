//! The table of deadlines, row by row. Nothing is stuck for ever.

use gateway_core::session::{Closure, ParkKind};

use super::*;

fn error(retry_at: Option<Timestamp>) -> Input {
    let closure = Closure::Error {
        reason: Some("crashed".into()),
        action_required: None,
    };
    Input::Reported(Report {
        retry_at,
        ..report(Observation::Closed(closure))
    })
}

/// Lets a start run into its deadline, and places the session elsewhere if it is to be tried again.
fn fail_to_start(life: &mut Life) {
    life.now = life.row.deadline.expect("a start has a deadline");
    life.tick().take(&Input::Stopped);
}

#[test]
fn a_start_without_a_report_is_repeated_every_five_seconds() {
    let mut life = Life::started();
    for round in 1..6 {
        assert_eq!(life.due_in(), Some(seconds(5)), "round {round}");
        let version = life.row.version;
        life.tick_when_due();
        assert!(matches!(life.effects[..], [Effect::Start(_)]));
        assert_eq!(
            life.row.version, version,
            "only the claim has moved the row"
        );
    }
}

#[test]
fn a_worker_that_refuses_every_start_is_not_asked_for_ever() {
    let mut life = Life::started();
    for epoch in 2..=3 {
        life.take(&Input::Stopped).take(&placed_on(&owner(1)));
        assert_eq!(life.row.epoch, Epoch(epoch));
    }
    life.take(&Input::Stopped);
    assert_eq!(life.status(), Status::Error);
    assert_eq!(life.reason().as_deref(), Some("start_refused"));
    assert!(life.row.retry_at >= Some(life.now.plus(seconds(60))));
}

#[test]
fn a_start_without_a_report_ends_after_thirty_seconds_and_goes_elsewhere() {
    let mut life = Life::started();
    assert_eq!(life.deadline_in(), Some(seconds(30)));
    life.at(30).tick();
    assert!(matches!(life.effects[..], [Effect::Release(_)]));
    assert_eq!(life.row.phase.name(), "STOPPING");
    life.take(&Input::Stopped);
    assert_eq!(life.row.phase, Phase::Waiting);
    life.take(&placed_on(&owner(2)));
    assert_eq!(life.row.owner(), Some(&owner(2)));
    assert_eq!(life.row.epoch, Epoch(2));
}

#[test]
fn the_third_failed_start_is_an_error() {
    let mut life = Life::started();
    for worker in [2, 3] {
        fail_to_start(&mut life);
        life.take(&placed_on(&owner(worker)));
    }
    fail_to_start(&mut life);
    assert_eq!(life.status(), Status::Error);
    assert_eq!(life.reason().as_deref(), Some("start_timeout"));
    assert_eq!(life.row.epoch, Epoch(3), "three tries, three epochs");
}

#[test]
fn an_error_is_tried_again_after_a_growing_time_kept_across_owners() {
    let mut life = Life::connected();
    let mut waits = Vec::new();
    for worker in 2..12 {
        life.take(&error(None));
        assert_eq!(life.status(), Status::Error);
        assert_eq!(life.row.owner(), None, "no slot is held");
        waits.push(life.due_in().expect("an error is tried again").as_secs());
        assert_eq!(life.row.retry_at, life.row.due_at);
        life.tick_when_due();
        assert_eq!(life.row.phase, Phase::Waiting);
        life.take(&placed_on(&owner(worker)));
    }
    assert_eq!(waits[..4], [60, 120, 240, 480]);
    assert!(waits.is_sorted(), "{waits:?}");
    assert_eq!(waits.last(), Some(&3_600), "never more than an hour");
}

#[test]
fn the_workers_own_retry_time_counts_between_a_minute_and_an_hour() {
    for (said, counts) in [(5, 60), (600, 600), (1_000_000, 3_600)] {
        let mut life = Life::connected();
        life.take(&error(Some(at(said))));
        assert_eq!(life.due_in(), Some(seconds(counts)), "{said}");
    }
}

#[test]
fn without_room_a_session_waits_at_most_thirty_seconds_for_the_next_look() {
    let mut life = Life::new(card());
    life.take(&Input::Command(connect()));
    assert_eq!(life.due_in(), Some(Duration::ZERO), "placed at once");
    for _ in 0..3 {
        life.take(&Input::NoCapacity);
        assert_eq!(life.status(), Status::Connecting);
        assert_eq!(life.reason().as_deref(), Some("no_capacity"));
        assert_eq!(life.row.retry_at, life.row.due_at);
        assert_eq!(life.due_in(), Some(seconds(30)));
        life.tick_when_due();
        assert!(matches!(life.effects[..], [Effect::Place(_)]));
    }
}

#[test]
fn a_linked_session_that_stays_at_pairing_or_syncing_is_restored() {
    for stuck in [Stage::Pairing, Stage::Syncing] {
        let mut life = Life::started();
        life.take(&linked(stage(stuck)));
        assert_eq!(life.deadline_in(), Some(seconds(210)));
        life.tick_when_due();
        assert!(matches!(life.effects[..], [Effect::Release(_)]));
        life.take(&Input::Stopped).take(&placed_on(&owner(2)));
        let [Effect::Start(start)] = &life.effects[..] else {
            panic!("{:?}", life.effects);
        };
        assert_eq!(start.mode, gateway_core::session::StartMode::Restore);
        assert_eq!(start.order.epoch, Epoch(2));
    }
}

#[test]
fn the_stages_of_one_connection_share_one_deadline() {
    let mut life = Life::started();
    life.take(&linked(stage(Stage::Pairing)));
    life.at(200).take(&linked(stage(Stage::Syncing)));
    assert_eq!(life.row.deadline, Some(at(210)));
}

#[test]
fn an_unlinked_session_that_stays_at_pairing_needs_a_new_code() {
    let mut life = Life::started();
    life.take(&says(stage(Stage::Pairing)));
    life.tick_when_due().take(&Input::Stopped);
    assert_eq!(life.status(), Status::Disconnected);
    assert_eq!(life.reason().as_deref(), Some("qr_timeout"));
}

#[test]
fn a_code_nobody_scans_ends_ten_seconds_after_the_last_expiry() {
    let mut life = Life::started();
    life.take(&says(code(ChallengeKind::Qr, 0, at(60))));
    assert_eq!(life.row.deadline, Some(at(70)));
    life.at(60).take(&says(code(ChallengeKind::Qr, 1, at(80))));
    assert_eq!(life.row.deadline, Some(at(90)), "a new code extends it");
    life.tick_when_due();
    assert_eq!(life.now, at(90));
    assert!(matches!(life.effects[..], [Effect::Release(_)]));
    life.take(&Input::Stopped);
    assert_eq!(life.status(), Status::Disconnected);
    assert_eq!(life.reason().as_deref(), Some("qr_timeout"));
    assert_eq!(life.row.due_at, None, "a new code is a new connect");
    assert_eq!(life.row.desired, Desired::Connected);
    life.take(&Input::Command(connect()));
    assert_eq!(life.row.phase, Phase::Waiting);
}

#[test]
fn a_worker_has_a_minute_on_top_of_its_own_retry_time_to_reconnect() {
    let mut life = Life::connected();
    life.take(&says(reconnecting("network")));
    assert_eq!(life.deadline_in(), Some(seconds(60)));
    let Input::Reported(mut later) = says(reconnecting("network")) else {
        unreachable!()
    };
    later.retry_at = Some(at(120));
    life.take(&Input::Reported(later));
    assert_eq!(life.deadline_in(), Some(seconds(180)));
    assert_eq!(life.row.status().retry_at, Some(at(120)));
    life.tick_when_due().take(&Input::Stopped);
    assert_eq!(
        life.row.phase,
        Phase::Waiting,
        "started again at the next epoch"
    );
}

#[test]
fn reconnecting_ends_after_twenty_minutes_whatever_the_worker_says() {
    let mut life = Life::connected();
    life.at(10).take(&says(reconnecting("reason-0")));
    let mut minute = 0;
    while life.row.phase.name() == "ACTIVE" {
        minute += 1;
        assert!(minute < 60, "the worker may not go on for ever");
        life.at(10 + 60 * minute - 1);
        let reason = format!("reason-{minute}");
        life.take(&says(reconnecting(&reason)));
        assert_eq!(life.reason().as_deref(), Some(reason.as_str()));
        life.at(10 + 60 * minute).tick();
    }
    assert_eq!(minute, 20);
}

#[test]
fn a_retry_time_beyond_the_limit_does_not_move_it() {
    let mut life = Life::connected();
    let Input::Reported(mut far) = says(reconnecting("network")) else {
        unreachable!()
    };
    far.retry_at = Some(Timestamp::MAX);
    life.take(&Input::Reported(far));
    assert_eq!(life.deadline_in(), Some(seconds(1_200)));
}

#[test]
fn a_restriction_is_tried_once_when_it_ends() {
    let restricted = Input::Reported(report(Observation::Closed(Closure::Restricted {
        reason: Some("capped".into()),
        until: Some(at(3_600)),
    })));
    let mut life = Life::connected();
    life.take(&restricted);
    assert_eq!(life.status(), Status::Restricted);
    assert_eq!(life.row.due_at, Some(at(3_600)));
    life.at(3_599).tick();
    assert_eq!(life.status(), Status::Restricted, "not before");
    life.tick_when_due();
    assert_eq!(life.row.phase, Phase::Waiting);
    assert!(life.row.paired, "with its credentials");
}

#[test]
fn a_restriction_without_an_end_waits_for_the_operator() {
    let mut life = Life::connected();
    life.take(&Input::Reported(report(Observation::Closed(
        Closure::Restricted {
            reason: None,
            until: None,
        },
    ))));
    assert_eq!(life.row.due_at, None);
    let action = life.row.status().action_required;
    assert_eq!(action.as_deref(), Some("operator"));
    life.take(&Input::Command(Command::Restart));
    assert_eq!(life.row.phase, Phase::Waiting);
}

#[test]
fn unlinked_on_the_phone_needs_a_new_connect() {
    let mut life = Life::connected();
    life.take(&Input::Reported(report(Observation::Closed(
        Closure::LoggedOut { reason: None },
    ))));
    assert_eq!(life.status(), Status::LoggedOut);
    assert!(matches!(life.effects[..], [Effect::Archive(..)]), "R-24");
    assert_eq!(life.row.due_at, None);
    assert!(!life.row.paired);
    life.take(&Input::Command(connect()))
        .take(&placed_on(&owner(2)));
    let [Effect::Start(start)] = &life.effects[..] else {
        panic!("{:?}", life.effects);
    };
    assert_eq!(start.mode, gateway_core::session::StartMode::Qr);
}

#[test]
fn a_logout_on_the_phone_is_not_hidden_by_a_stop_for_another_reason() {
    let mut life = Life::connected();
    life.take(&Input::Reported(report(Observation::Unknown(
        "X".to_owned(),
    ))));
    assert_eq!(life.row.phase.name(), "STOPPING");
    life.take(&Input::Reported(report(Observation::Closed(
        Closure::LoggedOut { reason: None },
    ))));
    let Phase::Parked { parked } = &life.row.phase else {
        panic!("{:?}", life.row.phase)
    };
    assert_eq!(parked.kind, ParkKind::LoggedOut);
}

#[test]
fn attempts_are_forgotten_after_thirty_seconds_of_connection() {
    let mut life = Life::connected();
    assert_eq!(life.row.attempt, 1);
    assert_eq!(life.due_in(), Some(seconds(30)));
    life.at(29).take(&linked(Observed::Connected));
    assert_eq!(life.row.attempt, 1, "not yet stable");
    life.at(30).tick();
    assert_eq!(life.row.attempt, 0, "at the first tick");
    assert_eq!(life.row.due_at, None);

    let mut life = Life::connected();
    life.at(31).take(&linked(Observed::Connected));
    assert_eq!(life.row.attempt, 0, "or at the first report");
    assert_eq!(life.row.due_at, None);
}

#[test]
fn a_connection_that_does_not_last_forgets_nothing() {
    let mut life = Life::connected();
    life.at(29).take(&says(reconnecting("network")));
    life.at(31).take(&linked(Observed::Connected));
    assert_eq!(life.row.attempt, 1);
    life.at(60).tick();
    assert_eq!(life.row.attempt, 1, "counted from the last time");
    life.at(61).tick();
    assert_eq!(life.row.attempt, 0);
}
