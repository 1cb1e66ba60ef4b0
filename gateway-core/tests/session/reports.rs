//! Numbered reports and reports nobody expects.

use gateway_core::session::Closure;

use super::*;

fn numbered(seq: u64, observation: Observation) -> Input {
    Input::Reported(Report {
        seq: Some(seq),
        ..report(observation)
    })
}

#[test]
fn a_report_with_a_lower_number_changes_nothing() {
    let mut life = Life::started();
    life.take(&numbered(5, Observation::Live(Observed::Connected)));
    let before = life.row.clone();
    for seq in [0, 4, 5] {
        let late = numbered(seq, Observation::Live(reconnecting("late")));
        life.at(3).take(&late);
        assert_eq!(life.row, before, "{seq}");
        assert!(life.effects.is_empty() && life.events.is_empty());
    }
    life.take(&numbered(6, Observation::Live(reconnecting("new"))));
    assert_eq!(life.status(), Status::Reconnecting);
}

#[test]
fn a_late_closure_with_a_lower_number_closes_nothing() {
    let mut life = Life::started();
    life.take(&numbered(5, Observation::Live(Observed::Connected)));
    let closed = Closure::LoggedOut { reason: None };
    life.take(&numbered(4, Observation::Closed(closed)));
    assert_eq!(life.status(), Status::Connected);
}

#[test]
fn numbers_begin_anew_with_each_owner() {
    let mut life = Life::started();
    life.take(&numbered(900, Observation::Live(Observed::Connected)));
    life.take(&Input::OwnerGone).take(&placed_on(&owner(2)));
    life.take(&numbered(1, Observation::Live(Observed::Connected)));
    assert_eq!(life.row.phase.name(), "ACTIVE");
    assert_eq!(life.row.report_seq, 1);
}

#[test]
fn a_number_counts_in_every_phase_that_has_an_owner() {
    let mut life = Life::started();
    life.take(&numbered(3, Observation::Live(stage(Stage::Starting))));
    assert_eq!(
        (life.row.report_seq, life.row.phase.name()),
        (3, "STARTING")
    );
    life.take(&Input::Command(Command::Restart));
    life.take(&numbered(4, Observation::Live(Observed::Connected)));
    assert_eq!(
        (life.row.report_seq, life.row.phase.name()),
        (4, "STOPPING")
    );
}

#[test]
fn an_unknown_state_is_stopped_and_shown_as_an_error_for_the_operator() {
    let mut life = Life::connected();
    life.take(&Input::Reported(report(Observation::Unknown(
        "DANCING".to_owned(),
    ))));
    assert!(
        matches!(life.effects[..], [Effect::Release(_)]),
        "the worker may still hold it"
    );
    assert_eq!(life.status(), Status::Error);
    let view = life.row.status();
    assert_eq!(view.reason, Some("unknown_status_dancing".into()));
    assert_eq!(view.action_required.as_deref(), Some("operator"));
    life.take(&Input::Stopped);
    assert!(life.row.due_at.is_some(), "and tried again");
}

#[test]
fn a_linked_session_that_its_worker_closed_without_fault_is_started_again() {
    let mut life = Life::connected();
    let closed = Observation::Closed(Closure::Disconnected { reason: None });
    life.take(&Input::Reported(report(closed)));
    assert_eq!(life.row.phase, Phase::Waiting);
    assert_eq!(life.effects, [Effect::Place(life.row.id)]);
}

#[test]
fn status_times_change_with_what_a_tenant_sees_and_not_otherwise() {
    let mut life = Life::connected();
    life.at(10)
        .take(&numbered(9, Observation::Live(Observed::Connected)));
    assert_eq!(life.row.status().since, START);
    assert!(life.events.is_empty());
    life.at(20).take(&says(reconnecting("network")));
    assert_eq!(life.row.status().since, at(20));
    assert_eq!(life.events, ["session.status"]);
}
