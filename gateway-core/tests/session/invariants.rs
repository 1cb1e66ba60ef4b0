//! What holds for every single decision, whatever came before.

use gateway_core::session::InvalidTransition;

use super::*;

/// Checks one decision; `before` may have been claimed since it was decided.
pub(crate) fn check(
    before: &Session,
    input: &Input,
    decided: &Result<Decision, InvalidTransition>,
    now: Timestamp,
) {
    let Ok(decision) = decided else { return };
    let Some(after) = &decision.row else {
        let leaves = matches!(input, Input::Command(Command::Delete))
            || matches!(before.phase, Phase::Stopping { .. });
        assert!(leaves, "{input:?} deletes {before:?}");
        return;
    };
    owners(before, input, after);
    times(after, now);
    let grown = u64::from(after != before);
    assert_eq!(
        after.version,
        before.version + grown,
        "by one, iff it changed"
    );
    if after == before {
        assert!(decision.events.is_empty(), "an event without a change");
    }
    let view = after.status();
    let seen = |view: &gateway_core::session::StatusView| {
        (
            view.status,
            view.reason.clone(),
            view.action_required.clone(),
        )
    };
    let told = decision
        .events
        .iter()
        .any(|event| event.name() == "session.status");
    assert_eq!(told, seen(&view) != seen(&before.status()));
    assert_eq!((after.id, after.tenant), (before.id, before.tenant));
    effects(after, decision);
}

/// The two rules that carry the safety of everything.
fn owners(before: &Session, input: &Input, after: &Session) {
    let placed = matches!(input, Input::Placed { .. });
    if placed {
        assert_eq!(
            before.phase,
            Phase::Waiting,
            "named only where there is none"
        );
        assert_eq!(after.epoch, before.epoch.next());
        assert!(after.owner().is_some());
        return;
    }
    assert_eq!(after.epoch, before.epoch, "only a placement gives an epoch");
    if before.owner() == after.owner() {
        return;
    }
    assert_eq!(after.owner(), None, "an owner changed without a placement");
    let let_go = match input {
        Input::Stopped
        | Input::NotHeld
        | Input::Disclaimed
        | Input::OwnerGone
        | Input::OwnerLeft => true,
        Input::Reported(report) => matches!(report.observation, Observation::Closed(_)),
        Input::Command(_)
        | Input::Placed { .. }
        | Input::NoCapacity
        | Input::OwnerSilent(_)
        | Input::OwnerHeard
        | Input::Due => false,
    };
    assert!(let_go, "{input:?} forgets the owner of {before:?}");
}

fn times(row: &Session, now: Timestamp) {
    let must_fall_due = match row.phase {
        Phase::Waiting | Phase::Starting { .. } | Phase::Stopping { .. } => true,
        Phase::Idle | Phase::Active { .. } | Phase::Parked { .. } => {
            row.deadline.is_some() || row.retry_at.is_some()
        }
    };
    assert!(
        !must_fall_due || row.due_at.is_some(),
        "stuck for ever: {row:?}"
    );
    if let (Some(due), Some(deadline)) = (row.due_at, row.deadline) {
        assert!(
            due <= deadline || deadline <= now,
            "due after its end: {row:?}"
        );
    }
    if row.phase == Phase::Idle {
        assert_eq!(row.due_at, None);
        assert_eq!(row.desired, Desired::Disconnected);
    }
}

fn effects(after: &Session, decision: &Decision) {
    for effect in &decision.effects {
        match effect {
            Effect::Place(id) => {
                assert_eq!(*id, after.id);
                assert_eq!(after.phase, Phase::Waiting);
            }
            Effect::Start(start) => assert_eq!(Some(&start.order), after.order().as_ref()),
            Effect::Release(order) | Effect::Logout(order) | Effect::Forget(order) => {
                assert_eq!(Some(order), after.order().as_ref());
            }
            Effect::Cordon(order) | Effect::NotHeld(order) => {
                assert_eq!(Some(order), after.order().as_ref());
            }
            Effect::Disown(owner) => assert_eq!(Some(owner), after.owner()),
            Effect::Erase(_) => panic!("erased a session that is kept"),
            Effect::Archive(..) => assert!(!after.paired, "archived while linked"),
            Effect::Nudge => {}
        }
    }
}
