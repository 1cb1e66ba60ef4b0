//! A session of whose worker nothing is heard is not shown as connected.

use gateway_core::session::Silence;

use super::*;

fn silent() -> Input {
    Input::OwnerSilent(Silence {
        since: at(100),
        until: at(122),
    })
}

fn seen(life: &Life) -> (Status, Option<String>) {
    (life.status(), life.reason())
}

const SILENT: Status = Status::Reconnecting;

#[test]
fn while_its_worker_is_silent_a_connected_session_is_reconnecting_until_a_deadline() {
    let mut life = Life::connected();
    life.at(106).take(&silent());
    assert_eq!(seen(&life), (SILENT, Some("worker_silent".to_owned())));
    let view = life.row.status();
    assert_eq!((view.since, view.deadline), (at(106), Some(at(122))));
    assert_eq!(life.events, ["session.status"]);

    life.at(110).take(&Input::OwnerHeard);
    assert_eq!(seen(&life), (Status::Connected, None));
    assert_eq!(life.row.status().deadline, None);
    assert_eq!(life.events, ["session.status"]);
}

#[test]
fn who_is_silent_or_heard_twice_says_nothing_new() {
    let mut life = Life::connected();
    life.take(&Input::OwnerHeard);
    assert!(life.events.is_empty());
    life.take(&silent());
    let before = life.row.clone();
    let later = Silence {
        since: at(101),
        until: at(123),
    };
    life.at(107).take(&Input::OwnerSilent(later));
    assert_eq!(life.row, before);
    assert!(life.events.is_empty());
}

#[test]
fn a_late_report_does_not_hide_that_its_worker_is_silent() {
    let mut life = Life::connected();
    life.take(&silent()).at(107);
    life.take(&linked(Observed::Connected));
    assert_eq!(seen(&life), (SILENT, Some("worker_silent".to_owned())));
    life.take(&says(reconnecting("network")));
    assert_eq!(seen(&life), (SILENT, Some("network".to_owned())));
    life.take(&linked(Observed::Connected));
    assert_eq!(seen(&life), (SILENT, Some("worker_silent".to_owned())));
}

#[test]
fn what_is_not_connected_is_shown_as_before() {
    for observed in [
        stage(Stage::Syncing),
        code(ChallengeKind::Qr, 0, at(60)),
        reconnecting("network"),
    ] {
        let mut life = Life::started();
        life.take(&says(observed.clone()));
        let before = life.row.status();
        life.take(&silent());
        assert_eq!(life.row.status(), before, "{observed:?}");
        assert!(life.events.is_empty());
    }
}

#[test]
fn the_silence_ends_with_the_worker() {
    let mut life = Life::connected();
    life.take(&silent()).at(122).take(&Input::OwnerGone);
    assert_eq!(
        seen(&life),
        (Status::Connecting, Some("worker_lost".to_owned()))
    );
    life.take(&placed_on(&owner(2)));
    life.take(&linked(Observed::Connected));
    assert_eq!(seen(&life), (Status::Connected, None));
}

/// A worker that has held a session for 59 s before it fell silent is declared dead more than a minute after
/// it began.
#[test]
fn how_long_a_worker_held_a_session_is_counted_to_its_last_sign_of_life() {
    let mut life = Life::connected();
    for (lived, counted) in [(59, 1), (60, 1), (30, 2)] {
        let began = life.now;
        let since = began.plus(seconds(lived));
        life.now = since.plus(seconds(22));
        let silence = Silence {
            since,
            until: life.now,
        };
        life.take(&Input::OwnerSilent(silence))
            .take(&Input::OwnerGone);
        assert_eq!(life.row.setbacks.deaths.len(), counted, "{lived}");
        life.take(&placed_on(&owner(2)));
        life.take(&linked(Observed::Connected));
    }
}
