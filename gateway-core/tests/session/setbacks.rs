//! Workers on which a session did not come up are avoided, and a session under which workers die is set
//! aside.

use std::collections::BTreeSet;

use gateway_core::session::Closure;

use super::*;

fn closed(closure: Closure) -> Input {
    Input::Reported(report(Observation::Closed(closure)))
}

fn error() -> Input {
    closed(Closure::Error {
        reason: None,
        action_required: None,
    })
}

fn linked_and_started() -> Life {
    let mut life = Life::started();
    life.row.paired = true;
    life
}

fn avoided(life: &Life) -> BTreeSet<String> {
    let workers = life.row.setbacks.avoided(life.now, life.policy.avoid);
    workers.iter().map(ToString::to_string).collect()
}

#[test]
fn a_worker_on_which_it_did_not_come_up_is_avoided_for_five_minutes() {
    let disconnected = closed(Closure::Disconnected { reason: None });
    let unknown = Input::Reported(report(Observation::Unknown("DANCING".to_owned())));
    for input in [error(), disconnected, unknown, Input::Stopped] {
        let mut life = linked_and_started();
        life.take(&input);
        assert_eq!(avoided(&life), ["worker-1".to_owned()].into(), "{input:?}");
        life.at(299);
        assert_eq!(avoided(&life).len(), 1, "{input:?}");
        life.at(300);
        assert_eq!(avoided(&life).len(), 0, "{input:?}");
    }
    for stuck in [None, Some(Stage::Starting), Some(Stage::Syncing)] {
        let mut life = linked_and_started();
        if let Some(stuck) = stuck {
            life.take(&says(stage(stuck)));
        }
        life.now = life.row.deadline.expect("a start has an end");
        life.tick().take(&Input::Stopped);
        assert_eq!(avoided(&life), ["worker-1".to_owned()].into(), "{stuck:?}");
    }
}

#[test]
fn the_last_three_workers_are_remembered_each_once() {
    let mut life = linked_and_started();
    for number in [2, 3, 2, 4, 5] {
        life.take(&error()).take(&Input::Command(Command::Restart));
        life.take(&placed_on(&owner(number)));
    }
    let expected = ["worker-2", "worker-3", "worker-4"].map(str::to_owned);
    assert_eq!(avoided(&life), expected.into());
}

#[test]
fn what_is_not_the_workers_fault_blames_no_worker() {
    let restricted = Closure::Restricted {
        reason: None,
        until: None,
    };
    let live = says(Observed::Connected);
    for inputs in [
        vec![closed(restricted)],
        vec![closed(Closure::LoggedOut { reason: None })],
        vec![live.clone(), error()],
        vec![live, closed(Closure::Disconnected { reason: None })],
        vec![Input::OwnerGone],
        vec![Input::OwnerLeft],
        vec![Input::Command(Command::Restart), Input::Stopped],
    ] {
        let mut life = linked_and_started();
        for input in &inputs {
            life.take(input);
        }
        assert_eq!(avoided(&life).len(), 0, "{inputs:?}");
    }
}

/// The worker that has held the session for so many seconds dies; the session is placed on the next one.
fn lose_worker(life: &mut Life, held_for: u64, number: u32) {
    life.now = life.now.plus(seconds(held_for));
    life.take(&Input::OwnerGone);
    if life.row.phase == Phase::Waiting {
        life.take(&placed_on(&owner(number)));
    }
}

fn is_set_aside(life: &Life) -> bool {
    let view = life.row.status();
    let quarantined = (view.status, view.reason) == (Status::Error, Some(Reason::Quarantined));
    if quarantined {
        assert_eq!(life.row.due_at, None, "a person acts");
        assert_eq!(view.action_required.as_deref(), Some("connect"));
        assert!(life.row.paired, "its credentials are kept");
    }
    quarantined
}

#[test]
fn the_third_worker_that_dies_under_a_session_sets_it_aside() {
    for connects in [false, true] {
        let mut life = linked_and_started();
        for number in 2..4 {
            if connects {
                life.take(&says(Observed::Connected));
            }
            lose_worker(&mut life, 20, number);
            assert_eq!(life.row.phase.name(), "STARTING", "{connects}");
        }
        if connects {
            life.take(&says(Observed::Connected));
        }
        lose_worker(&mut life, 20, 4);
        assert!(is_set_aside(&life), "{connects}");
        assert_eq!(life.events, ["session.status"]);
    }
}

#[test]
fn workers_that_die_long_apart_or_held_it_for_long_or_took_their_leave_do_not_count() {
    let mut life = linked_and_started();
    for number in 2..20 {
        lose_worker(&mut life, 901, number);
        assert!(!is_set_aside(&life), "a quarter of an hour apart");
    }
    let mut life = linked_and_started();
    for number in 2..20 {
        life.take(&says(Observed::Connected));
        lose_worker(&mut life, 60, number);
        assert!(!is_set_aside(&life), "held for a minute");
    }
    let mut life = linked_and_started();
    for number in 2..20 {
        life.take(&Input::OwnerLeft)
            .take(&placed_on(&owner(number)));
        assert!(!is_set_aside(&life), "said goodbye");
    }
    let mut life = Life::started();
    for number in 2..20 {
        lose_worker(&mut life, 1, number);
        assert!(!is_set_aside(&life), "never linked: it ends as qr_timeout");
    }
}

#[test]
fn a_connect_or_a_restart_ends_the_quarantine_with_a_clean_record() {
    for command in [connect(), Command::Restart] {
        let mut life = linked_and_started();
        for number in 2..5 {
            lose_worker(&mut life, 1, number);
        }
        assert!(is_set_aside(&life));
        life.take(&Input::Command(command));
        assert_eq!(life.effects, [Effect::Place(life.row.id)]);
        life.take(&placed_on(&owner(1)));
        for number in 2..4 {
            lose_worker(&mut life, 1, number);
            assert!(!is_set_aside(&life), "it begins to count anew");
        }
        lose_worker(&mut life, 1, 4);
        assert!(is_set_aside(&life));
    }
}
