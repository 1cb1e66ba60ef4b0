//! A session that fails by itself pauses before it is started again, longer each time; one whose worker is
//! lost does not.

use gateway_core::session::Closure;

use super::*;

fn closed(closure: Closure) -> Input {
    Input::Reported(report(Observation::Closed(closure)))
}

fn disconnected() -> Input {
    closed(Closure::Disconnected { reason: None })
}

/// What a worker can say in answer to a start that comes to nothing. The times lie in the past, as those of a
/// worker do whose clock is behind.
fn failures() -> [(&'static str, Input); 4] {
    let error = Closure::Error {
        reason: None,
        action_required: None,
    };
    let restricted = Closure::Restricted {
        reason: None,
        until: Some(START),
    };
    let retried = Report {
        retry_at: Some(START),
        ..report(Observation::Closed(error))
    };
    [
        ("restricted", closed(restricted)),
        ("error", Input::Reported(retried)),
        ("disconnected", disconnected()),
        ("refused", Input::Stopped),
    ]
}

fn linked_and_started() -> Life {
    let mut life = Life::started();
    life.row.paired = true;
    life
}

/// Lives until somebody looks for a worker again.
fn until_placed(life: &mut Life) {
    for _ in 0..20 {
        if life.effects == [Effect::Place(life.row.id)] {
            return;
        }
        life.tick_when_due();
    }
    panic!("never placed again: {:?}", life.row);
}

#[test]
fn every_start_that_comes_to_nothing_is_followed_by_a_longer_pause() {
    for (name, failure) in failures() {
        let mut life = linked_and_started();
        let mut pauses = Vec::new();
        for worker in 2..14 {
            let failed_at = life.now;
            life.take(&failure);
            assert_eq!(life.row.owner(), None, "{name}");
            until_placed(&mut life);
            pauses.push(life.now.since(failed_at));
            life.take(&placed_on(&owner(worker)));
        }
        assert!(pauses[0] >= seconds(30), "{name}: {pauses:?}");
        assert!(pauses.is_sorted(), "{name}: {pauses:?}");
        let longest = SessionPolicy::default().error_backoff_limit;
        assert_eq!(pauses.last(), Some(&longest), "{name}");
    }
}

#[test]
fn a_restriction_that_is_over_is_not_tried_again_at_once_for_ever() {
    let mut life = linked_and_started();
    life.at(1);
    let mut starts = 0;
    for _ in 0..1_000 {
        let restricted = Closure::Restricted {
            reason: None,
            until: Some(START),
        };
        life.take(&closed(restricted)).take(&Input::Due);
        if life.row.phase != Phase::Waiting {
            break;
        }
        life.take(&placed_on(&owner(1)));
        starts += 1;
    }
    assert_eq!(starts, 0, "within one moment");
    assert_eq!(life.due_in(), Some(seconds(30)));
}

#[test]
fn a_start_that_ran_out_of_time_has_paused_already() {
    let mut life = linked_and_started();
    life.at(30).tick().take(&Input::Stopped);
    assert_eq!(life.due_in(), Some(Duration::ZERO));
    life.take(&placed_on(&owner(2)));
    life.at(60).tick().take(&Input::Stopped);
    assert_eq!(life.due_in(), Some(seconds(30)), "a minute, less its half");
    assert_eq!(life.row.status().retry_at, Some(at(90)));
    assert_eq!(life.effects, [], "nobody is asked before");
}

#[test]
fn a_lost_worker_costs_neither_a_pause_nor_an_attempt() {
    let mut life = linked_and_started();
    for worker in 2..9 {
        life.take(&Input::OwnerGone);
        assert_eq!(life.effects, [Effect::Place(life.row.id)]);
        assert_eq!(life.row.attempt, 0);
        life.at(worker * 1_000);
        life.take(&placed_on(&owner(u32::try_from(worker).expect("small"))));
        assert_eq!(life.row.attempt, 1);
    }
}

#[test]
fn a_connection_that_is_closed_without_fault_is_made_again_at_once_but_not_for_ever() {
    let mut life = linked_and_started();
    let mut at_once = 0;
    loop {
        life.take(&says(Observed::Connected)).take(&disconnected());
        if life.row.phase != Phase::Waiting {
            break;
        }
        assert_eq!(life.effects, [Effect::Place(life.row.id)]);
        life.take(&placed_on(&owner(1)));
        at_once += 1;
    }
    assert_eq!(at_once, 2);
    assert_eq!(life.status(), Status::Error);
}

#[test]
fn a_pause_ends_at_a_restart_and_not_at_a_repeated_connect() {
    let mut life = linked_and_started();
    life.take(&disconnected());
    life.at(1).take(&Input::Command(connect()));
    assert_eq!(life.effects, [], "it is on its way already");
    assert_eq!(life.row.due_at, Some(at(30)));
    life.take(&Input::Command(Command::Restart));
    assert_eq!(life.effects, [Effect::Place(life.row.id)]);
    assert_eq!(life.due_in(), Some(Duration::ZERO));
    assert_eq!(life.row.status().retry_at, None);
}

#[test]
fn who_is_looked_at_during_a_pause_goes_on_pausing() {
    let mut life = linked_and_started();
    life.take(&disconnected());
    // Somebody has set the due time to now.
    life.row.due_at = Some(at(5));
    life.at(5).tick();
    assert_eq!(life.effects, []);
    assert_eq!(life.row.due_at, Some(at(30)));
    life.tick_when_due();
    assert_eq!(life.effects, [Effect::Place(life.row.id)]);
}

#[test]
fn a_pause_outlasts_no_linking() {
    let mut life = Life::started();
    life.at(170).take(&Input::Stopped);
    assert_eq!(life.row.due_at, Some(at(190)), "not before, and over then");
    life.tick_when_due();
    assert_eq!(life.reason().as_deref(), Some("qr_timeout"));
}

#[test]
fn a_worker_that_announces_a_reconnection_in_the_past_has_its_minute() {
    let mut life = Life::connected();
    let late = Report {
        retry_at: Some(START),
        ..report(Observation::Live(reconnecting("network")))
    };
    life.at(100).take(&Input::Reported(late));
    assert_eq!(life.deadline_in(), Some(seconds(60)));
}
