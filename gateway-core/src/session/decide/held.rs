//! The phases in which a worker holds the session: `STARTING`, `ACTIVE`, `STOPPING`.

use super::InvalidTransition;
use super::draft::Draft;
use crate::session::input::{Closure, Command, Effect, Input, Observation, Report, StartOrder};
use crate::session::phase::{Next, Observed, Phase, Silence, Stage};
use crate::session::{Desired, Pairing, Reason};

type Outcome = Result<(), InvalidTransition>;

const HELD: &str = "a worker holds it";

pub(super) fn starting(draft: &mut Draft<'_>, input: &Input) -> Outcome {
    match input {
        Input::Command(command) => command_while_held(draft, command),
        Input::Reported(report) => {
            if !fresh(draft, report) {
                return Ok(());
            }
            match &report.observation {
                Observation::Live(Observed::Connecting {
                    stage: Stage::Starting,
                }) => {}
                Observation::Live(observed) => live(draft, observed, report),
                Observation::Closed(closure) => draft.closed(closure, report.retry_at),
                Observation::Unknown(status) => unknown(draft, status),
            }
        }
        Input::Stopped => closed_unseen(draft, Reason::StartRefused),
        // The order to start is repeated.
        Input::NotHeld | Input::Disclaimed => {}
        Input::OwnerSilent(silence) => note_silence(draft, silence),
        Input::OwnerHeard => draft.row.silence = None,
        Input::OwnerGone => draft.survive(),
        Input::OwnerLeft => draft.lose_owner(),
        Input::Due => {
            if !reached(draft) {
                if let Some(order) = StartOrder::of(&draft.row) {
                    draft.effect(Effect::Start(order));
                }
            } else if draft.row.attempt >= draft.policy.start_tries {
                let parked = draft.failure(Reason::StartTimeout, None, None);
                draft.note_failed_start();
                draft.stop(Next::Park { parked });
            } else {
                draft.stop_and_try_again();
            }
        }
        Input::Placed { .. } | Input::NoCapacity => return draft.refuse(input, HELD),
    }
    Ok(())
}

pub(super) fn active(draft: &mut Draft<'_>, observed: &Observed, input: &Input) -> Outcome {
    match input {
        Input::Command(command) => command_while_held(draft, command),
        Input::Reported(report) => {
            if !fresh(draft, report) {
                return Ok(());
            }
            match &report.observation {
                Observation::Live(said) => live(draft, said, report),
                Observation::Closed(closure) => draft.closed(closure, report.retry_at),
                Observation::Unknown(status) => unknown(draft, status),
            }
        }
        Input::Stopped => closed_unseen(draft, Reason::Disconnected),
        Input::NotHeld => draft.stop_what_is_lost(),
        Input::Disclaimed => {}
        Input::OwnerSilent(silence) => note_silence(draft, silence),
        Input::OwnerHeard => draft.row.silence = None,
        Input::OwnerGone => draft.survive(),
        Input::OwnerLeft => draft.lose_owner(),
        Input::Due if *observed == Observed::Connected => draft.forget_attempts(true),
        Input::Due if !reached(draft) => draft.row.due_at = draft.row.deadline,
        Input::Due => match observed {
            Observed::QrRequired { .. } => out_of_time(draft),
            Observed::Connecting { .. } if !draft.row.paired => out_of_time(draft),
            Observed::Connecting { .. } | Observed::Reconnecting { .. } | Observed::Connected => {
                draft.stop_and_try_again();
            }
        },
        Input::Placed { .. } | Input::NoCapacity => return draft.refuse(input, HELD),
    }
    Ok(())
}

pub(super) fn stopping(draft: &mut Draft<'_>, next: &Next, input: &Input) -> Outcome {
    match input {
        Input::Command(command) => return command_while_stopping(draft, next, command, input),
        Input::Reported(report) => {
            if !fresh(draft, report) {
                return Ok(());
            }
            match &report.observation {
                Observation::Live(_) | Observation::Unknown(_) => {}
                Observation::Closed(closure) => closed_while_stopping(draft, next, closure, report),
            }
        }
        Input::Stopped | Input::NotHeld | Input::OwnerGone | Input::OwnerLeft => {
            draft.finish(next);
        }
        // By then no order to start is on its way any more, so the worker's word is as good as a tombstone.
        Input::Disclaimed if draft.has_stopped_for(draft.policy.stop_limit / 2) => {
            draft.finish(next);
        }
        Input::Disclaimed | Input::OwnerSilent(_) | Input::OwnerHeard => {}
        Input::Due => {
            draft.repeat_stop();
            let since = draft.row.phase_since;
            let stuck = draft.has_stopped_for(draft.policy.stop_limit);
            if let Some(order) = draft.row.order().filter(|_| stuck) {
                // With every repetition: an effect may be lost.
                draft.effect(Effect::Cordon(order));
            }
            if let Some(order) = draft.row.order().filter(|_| reached(draft)) {
                let fence_at = since.plus(draft.policy.stop_fence);
                if draft.now >= fence_at {
                    draft.effect(Effect::Disown(order.owner));
                }
                let repeat = draft.now.plus(draft.policy.repeat_order);
                let fence_is_ahead = draft.now < fence_at;
                draft.row.deadline = Some(fence_at);
                draft.row.due_at = Some(if fence_is_ahead {
                    repeat.min(fence_at)
                } else {
                    repeat
                });
            }
        }
        Input::Placed { .. } | Input::NoCapacity => return draft.refuse(input, HELD),
    }
    Ok(())
}

/// Returns whether the deadline has passed.
fn reached(draft: &Draft<'_>) -> bool {
    draft
        .row
        .deadline
        .is_some_and(|deadline| draft.now >= deadline)
}

/// Returns whether a report is news, and notes its number. Reports are numbered and sent one at a time, so
/// an older one says nothing new.
fn fresh(draft: &mut Draft<'_>, report: &Report) -> bool {
    let Some(seq) = report.seq else { return true };
    if seq <= draft.row.report_seq {
        return false;
    }
    draft.row.report_seq = seq;
    true
}

/// Notes that nothing is heard of the owner. The first time counts.
fn note_silence(draft: &mut Draft<'_>, silence: &Silence) {
    draft.row.silence.get_or_insert(*silence);
}

/// Stops a session that nobody has linked in its time.
fn out_of_time(draft: &mut Draft<'_>) {
    draft.stop(Next::Park {
        parked: Draft::qr_timeout(),
    });
}

fn live(draft: &mut Draft<'_>, observed: &Observed, report: &Report) {
    if let Some(owner) = draft.row.owner().cloned() {
        draft.observe(&owner, observed, report);
    }
}

/// Stops a session whose reported status is not known here. The worker may still hold it, so it is told to
/// stop first.
fn unknown(draft: &mut Draft<'_>, status: &str) {
    let parked = draft.failure(Reason::unknown_status(status), Some("operator"), None);
    draft.note_failed_start();
    draft.stop(Next::Park { parked });
}

/// Starts again after the worker has refused the epoch as one that it has closed. A worker that does so with
/// every start must not be asked for ever.
fn closed_unseen(draft: &mut Draft<'_>, reason: Reason) {
    if draft.linking_is_over() {
        return draft.park(Draft::qr_timeout());
    }
    draft.try_again(reason);
}

fn command_while_held(draft: &mut Draft<'_>, command: &Command) {
    match command {
        Command::Connect { pairing, priority } => {
            draft.row.priority = *priority;
            relink(draft, pairing);
        }
        Command::Disconnect => {
            draft.row.desired = Desired::Disconnected;
            draft.stop(Next::Rest);
        }
        Command::Restart => draft.stop(Next::Start),
        Command::Logout | Command::Delete => draft.leave(command),
    }
}

/// Stops a session so that it is linked in another way than the one under way.
fn relink(draft: &mut Draft<'_>, pairing: &Pairing) {
    if draft.row.paired || draft.row.pairing == *pairing {
        return;
    }
    draft.row.pairing = pairing.clone();
    draft.end_linking();
    draft.stop(Next::Start);
}

fn command_while_stopping(
    draft: &mut Draft<'_>,
    next: &Next,
    command: &Command,
    input: &Input,
) -> Outcome {
    let wished = match command {
        Command::Connect { pairing, priority } => match next {
            Next::Rest | Next::Start => {
                if draft.row.desired == Desired::Disconnected || draft.row.pairing != *pairing {
                    draft.want(pairing, *priority);
                }
                draft.row.priority = *priority;
                Next::Start
            }
            Next::Park { .. } | Next::Logout | Next::Delete => {
                return draft.refuse(input, "wait until it has stopped, then connect it again");
            }
        },
        Command::Disconnect => {
            draft.row.desired = Desired::Disconnected;
            Next::Rest
        }
        Command::Restart if draft.row.desired == Desired::Disconnected => {
            return draft.refuse(input, "connect it first");
        }
        Command::Restart if matches!(next, Next::Park { .. }) => {
            return draft.refuse(input, "wait until it has stopped, then restart it");
        }
        Command::Restart => {
            draft.row.not_before = None;
            Next::Start
        }
        Command::Logout => Next::Logout,
        Command::Delete => Next::Delete,
    };
    if matches!(wished, Next::Logout | Next::Delete) {
        draft.row.desired = Desired::Disconnected;
    }
    if !next.yields_to(&wished) {
        return Ok(());
    }
    if let Phase::Stopping { next, .. } = &mut draft.row.phase {
        *next = wished;
    }
    if matches!(command, Command::Logout | Command::Delete) {
        draft.repeat_stop();
    }
    Ok(())
}

/// Does what follows when the owner has closed the session for a reason of its own while it was told to
/// stop.
fn closed_while_stopping(draft: &mut Draft<'_>, next: &Next, closure: &Closure, report: &Report) {
    let wanted = draft.row.desired == Desired::Connected;
    match (next, closure) {
        (Next::Rest | Next::Start, Closure::LoggedOut { .. } | Closure::Restricted { .. })
        | (Next::Park { .. }, Closure::LoggedOut { .. })
            if wanted =>
        {
            draft.closed(closure, report.retry_at);
        }
        (_, Closure::LoggedOut { .. }) => {
            draft.unlink();
            draft.finish(next);
        }
        (_, Closure::Disconnected { .. } | Closure::Restricted { .. } | Closure::Error { .. }) => {
            draft.finish(next);
        }
    }
}
