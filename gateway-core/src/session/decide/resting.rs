//! The phases in which nobody holds the session: `IDLE`, `WAITING`, `PARKED`.

use super::InvalidTransition;
use super::draft::Draft;
use crate::session::Reason;
use crate::session::input::{Command, Effect, Input};
use crate::session::phase::{ParkKind, Parked};

type Outcome = Result<(), InvalidTransition>;

const NOT_HELD: &str = "no worker holds it";

pub(super) fn idle(draft: &mut Draft<'_>, input: &Input) -> Outcome {
    match input {
        Input::Command(command) => match command {
            Command::Connect { pairing, priority } => draft.connect(pairing, *priority),
            Command::Disconnect => {}
            Command::Restart => return draft.refuse(input, "connect it first"),
            Command::Logout => {
                draft.unlink();
                draft.rest(Some(Reason::LoggedOut));
            }
            Command::Delete => draft.delete(),
        },
        Input::Due
        | Input::OwnerSilent(_)
        | Input::OwnerHeard
        | Input::OwnerGone
        | Input::OwnerLeft => {}
        Input::Placed { .. }
        | Input::NoCapacity
        | Input::Reported(_)
        | Input::Stopped
        | Input::NotHeld
        | Input::Disclaimed => {
            return draft.refuse(input, NOT_HELD);
        }
    }
    Ok(())
}

pub(super) fn waiting(draft: &mut Draft<'_>, input: &Input) -> Outcome {
    match input {
        Input::Command(command) => match command {
            Command::Connect { pairing, priority } => {
                draft.row.pairing = pairing.clone();
                draft.row.priority = *priority;
                if !draft.is_braked() {
                    draft.effect(Effect::Place(draft.row.id));
                }
            }
            Command::Disconnect => draft.rest(None),
            Command::Restart if draft.is_braked() => {
                draft.row.not_before = None;
                draft.seek();
            }
            Command::Restart => draft.effect(Effect::Place(draft.row.id)),
            Command::Logout => {
                draft.unlink();
                draft.rest(Some(Reason::LoggedOut));
            }
            Command::Delete => draft.delete(),
        },
        Input::Placed {
            owner,
            state_format,
        } => draft.start(owner, state_format.as_deref()),
        Input::NoCapacity => {
            draft.row.reason = Some(Reason::NoCapacity);
            let retry_at = draft.sooner(draft.policy.no_capacity_retry);
            draft.row.retry_at = retry_at;
            draft.row.due_at = retry_at;
        }
        Input::Due if draft.linking_is_over() => draft.park(Draft::qr_timeout()),
        Input::Due if draft.is_braked() => draft.seek(),
        Input::Due => draft.effect(Effect::Place(draft.row.id)),
        Input::OwnerSilent(_) | Input::OwnerHeard | Input::OwnerGone | Input::OwnerLeft => {}
        Input::Reported(_) | Input::Stopped | Input::NotHeld | Input::Disclaimed => {
            return draft.refuse(input, NOT_HELD);
        }
    }
    Ok(())
}

pub(super) fn parked(draft: &mut Draft<'_>, parked: &Parked, input: &Input) -> Outcome {
    match input {
        Input::Command(command) => match command {
            Command::Connect { pairing, priority } => draft.connect(pairing, *priority),
            Command::Disconnect => draft.rest(None),
            Command::Restart => match parked.kind {
                ParkKind::Restricted | ParkKind::Error => {
                    draft.forgive();
                    draft.wait(Reason::Restarting);
                }
                ParkKind::QrTimeout | ParkKind::LoggedOut => {
                    return draft.refuse(input, "connect it to get a new code");
                }
            },
            Command::Logout => {
                draft.unlink();
                draft.rest(Some(Reason::LoggedOut));
            }
            Command::Delete => draft.delete(),
        },
        Input::Due => {
            if parked.until.is_some_and(|until| draft.now >= until) {
                draft.wait(Reason::Retrying);
            }
        }
        Input::OwnerSilent(_) | Input::OwnerHeard | Input::OwnerGone | Input::OwnerLeft => {}
        Input::Placed { .. }
        | Input::NoCapacity
        | Input::Reported(_)
        | Input::Stopped
        | Input::NotHeld
        | Input::Disclaimed => {
            return draft.refuse(input, NOT_HELD);
        }
    }
    Ok(())
}
