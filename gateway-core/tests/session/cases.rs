//! One row for every phase there is, and one input for every kind there is.
//!
//! The matches below have no wildcard: a new variant does not compile until it is named here, and
//! then the table test fails until there is a case for it.

use std::collections::BTreeSet;

use gateway_core::session::{Closure, Next, ParkKind, Parked, Silence};

use super::*;

/// A named row. It entered its phase at [`START`] and its deadline is less than an hour away.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) row: Session,
}

/// A named input, and how many seconds after [`START`] it comes.
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) input: Input,
    pub(crate) after: u64,
}

pub(crate) fn parked(kind: ParkKind, reason: &str, until: Option<Timestamp>) -> Parked {
    Parked {
        kind,
        reason: reason.into(),
        until,
        action_required: None,
    }
}

fn failure() -> Parked {
    parked(ParkKind::Error, "start_timeout", Some(at(60)))
}

/// Every phase with everything in it that can make a difference.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = resting();
    rows.extend(held());
    rows.extend(stopping());
    rows
}

fn wanted(paired: bool) -> Session {
    let mut row = card();
    row.desired = Desired::Connected;
    row.paired = paired;
    row.epoch = Epoch(4);
    row.attempt = 1;
    row.version = 9;
    if !paired {
        row.linking_since = Some(START);
        row.linking_until = Some(at(190));
    }
    row
}

fn resting() -> Vec<Row> {
    let aside = |name, kind, reason, until| {
        let mut row = wanted(kind != ParkKind::LoggedOut && kind != ParkKind::QrTimeout);
        row.phase = Phase::Parked {
            parked: parked(kind, reason, until),
        };
        (row.linking_since, row.linking_until) = (None, None);
        (row.retry_at, row.due_at) = (until, until);
        Row { name, row }
    };
    let waiting = |name, paired| {
        let mut row = wanted(paired);
        row.phase = Phase::Waiting;
        row.reason = Some(Reason::WorkerLost);
        row.due_at = Some(START);
        row.deadline = row.linking_until;
        Row { name, row }
    };
    vec![
        Row {
            name: "IDLE",
            row: card(),
        },
        Row {
            name: "IDLE, linked",
            row: Session {
                paired: true,
                epoch: Epoch(4),
                ..card()
            },
        },
        waiting("WAITING, linked", true),
        waiting("WAITING", false),
        aside("PARKED qr_timeout", ParkKind::QrTimeout, "qr_timeout", None),
        aside("PARKED logged_out", ParkKind::LoggedOut, "logged_out", None),
        aside(
            "PARKED restricted until",
            ParkKind::Restricted,
            "capped",
            Some(at(60)),
        ),
        aside("PARKED restricted", ParkKind::Restricted, "banned", None),
        aside("PARKED error", ParkKind::Error, "crashed", Some(at(60))),
    ]
}

fn held() -> Vec<Row> {
    let starting = |name, paired, attempt| {
        let mut row = wanted(paired);
        row.phase = Phase::Starting { owner: owner(1) };
        row.attempt = attempt;
        (row.deadline, row.due_at) = (Some(at(30)), Some(at(5)));
        Row { name, row }
    };
    let active = |name, paired, observed, deadline| {
        let mut row = wanted(paired);
        row.phase = Phase::Active {
            owner: owner(1),
            observed,
        };
        (row.deadline, row.due_at) = (deadline, deadline);
        Row { name, row }
    };
    let mut connected = active("ACTIVE connected", true, Observed::Connected, None);
    connected.row.due_at = Some(at(30));
    let mut silent = active("ACTIVE connected, silent", true, Observed::Connected, None);
    silent.row.silence = Some(Silence {
        since: START,
        until: at(22),
    });
    vec![
        starting("STARTING, linked", true, 1),
        starting("STARTING", false, 1),
        starting("STARTING, third try", true, 3),
        active(
            "ACTIVE starting",
            true,
            stage(Stage::Starting),
            Some(at(210)),
        ),
        active(
            "ACTIVE pairing",
            false,
            stage(Stage::Pairing),
            Some(at(210)),
        ),
        active("ACTIVE syncing", true, stage(Stage::Syncing), Some(at(210))),
        active(
            "ACTIVE qr",
            false,
            code(ChallengeKind::Qr, 0, at(60)),
            Some(at(70)),
        ),
        active(
            "ACTIVE pairing code",
            false,
            code(ChallengeKind::PairingCode, 0, at(180)),
            Some(at(190)),
        ),
        active(
            "ACTIVE passkey",
            false,
            code(ChallengeKind::Passkey, 0, at(600)),
            Some(at(610)),
        ),
        connected,
        silent,
        active(
            "ACTIVE reconnecting",
            true,
            reconnecting("network"),
            Some(at(60)),
        ),
    ]
}

fn stopping() -> Vec<Row> {
    let stopping = |name, desired, next| {
        let mut row = wanted(true);
        row.desired = desired;
        row.phase = Phase::Stopping {
            owner: owner(1),
            next,
        };
        (row.deadline, row.due_at) = (Some(at(60)), Some(at(5)));
        Row { name, row }
    };
    let (yes, no) = (Desired::Connected, Desired::Disconnected);
    let park = || Next::Park { parked: failure() };
    vec![
        stopping("STOPPING rest", no, Next::Rest),
        stopping("STOPPING start", yes, Next::Start),
        stopping("STOPPING start, unwanted", no, Next::Start),
        stopping("STOPPING park", yes, park()),
        stopping("STOPPING park, unwanted", no, park()),
        stopping("STOPPING logout", no, Next::Logout),
        stopping("STOPPING delete", no, Next::Delete),
    ]
}

/// Every input.
pub(crate) fn inputs() -> Vec<Given> {
    let soon = |name, input| Given {
        name,
        input,
        after: 1,
    };
    let command = |name, command| soon(name, Input::Command(command));
    let closed = |name, closure| soon(name, Input::Reported(report(Observation::Closed(closure))));
    let by_code = Pairing::PairingCode {
        phone_number: "491701234567".to_owned(),
    };
    let reason = Some(Reason::from("why"));
    vec![
        command("connect", connect()),
        command(
            "connect by code",
            Command::Connect {
                pairing: by_code,
                priority: 3,
            },
        ),
        command("disconnect", Command::Disconnect),
        command("restart", Command::Restart),
        command("logout", Command::Logout),
        command("delete", Command::Delete),
        soon("placed", placed_on(&owner(2))),
        soon("no capacity", Input::NoCapacity),
        soon("starting", says(stage(Stage::Starting))),
        soon("pairing", linked(stage(Stage::Pairing))),
        soon("syncing", linked(stage(Stage::Syncing))),
        soon("qr", says(code(ChallengeKind::Qr, 1, at(61)))),
        soon(
            "pairing code",
            says(code(ChallengeKind::PairingCode, 0, at(181))),
        ),
        soon("passkey", says(code(ChallengeKind::Passkey, 0, at(601)))),
        soon("connected", linked(Observed::Connected)),
        soon("reconnecting", says(reconnecting("stream"))),
        closed(
            "disconnected",
            Closure::Disconnected {
                reason: reason.clone(),
            },
        ),
        closed(
            "logged out",
            Closure::LoggedOut {
                reason: reason.clone(),
            },
        ),
        closed(
            "restricted",
            Closure::Restricted {
                reason: reason.clone(),
                until: None,
            },
        ),
        closed(
            "error",
            Closure::Error {
                reason,
                action_required: None,
            },
        ),
        soon(
            "unknown",
            Input::Reported(report(Observation::Unknown("DANCING".to_owned()))),
        ),
        soon("stopped", Input::Stopped),
        soon("not held", Input::NotHeld),
        soon("disclaimed", Input::Disclaimed),
        soon(
            "owner silent",
            Input::OwnerSilent(Silence {
                since: START,
                until: at(22),
            }),
        ),
        soon("owner heard", Input::OwnerHeard),
        soon("owner gone", Input::OwnerGone),
        soon("owner left", Input::OwnerLeft),
        soon("due", Input::Due),
        Given {
            name: "disclaimed, late",
            input: Input::Disclaimed,
            after: 3_600,
        },
        Given {
            name: "due, late",
            input: Input::Due,
            after: 3_600,
        },
    ]
}

fn kind_of_phase(phase: &Phase) -> Vec<&'static str> {
    let of_parked = |parked: &Parked| match parked.kind {
        ParkKind::QrTimeout => "qr_timeout",
        ParkKind::LoggedOut => "logged_out",
        ParkKind::Restricted => "restricted",
        ParkKind::Error => "error",
    };
    match phase {
        Phase::Idle => vec!["idle"],
        Phase::Waiting => vec!["waiting"],
        Phase::Starting { .. } => vec!["starting"],
        Phase::Active { observed, .. } => vec!["active", kind_of_observed(observed)],
        Phase::Stopping { next, .. } => match next {
            Next::Rest => vec!["stopping", "rest"],
            Next::Start => vec!["stopping", "start"],
            Next::Park { .. } => vec!["stopping", "park"],
            Next::Logout => vec!["stopping", "logout"],
            Next::Delete => vec!["stopping", "delete"],
        },
        Phase::Parked { parked } => vec!["parked", of_parked(parked)],
    }
}

fn kind_of_observed(observed: &Observed) -> &'static str {
    match observed {
        Observed::Connecting { stage } => match stage {
            Stage::Starting => "observed starting",
            Stage::Pairing => "observed pairing",
            Stage::Syncing => "observed syncing",
        },
        Observed::QrRequired { challenge } => match challenge.kind {
            ChallengeKind::Qr => "observed qr",
            ChallengeKind::PairingCode => "observed pairing code",
            ChallengeKind::Passkey => "observed passkey",
        },
        Observed::Connected => "observed connected",
        Observed::Reconnecting { .. } => "observed reconnecting",
    }
}

fn kind_of_input(input: &Input) -> &'static str {
    match input {
        Input::Command(command) => match command {
            Command::Connect { .. } => "connect",
            Command::Disconnect => "disconnect",
            Command::Restart => "restart",
            Command::Logout => "logout",
            Command::Delete => "delete",
        },
        Input::Placed { .. } => "placed",
        Input::NoCapacity => "no capacity",
        Input::Reported(report) => match &report.observation {
            Observation::Live(observed) => kind_of_observed(observed),
            Observation::Closed(closure) => match closure {
                Closure::Disconnected { .. } => "disconnected",
                Closure::LoggedOut { .. } => "logged out",
                Closure::Restricted { .. } => "restricted",
                Closure::Error { .. } => "error",
            },
            Observation::Unknown(_) => "unknown",
        },
        Input::Stopped => "stopped",
        Input::NotHeld => "not held",
        Input::Disclaimed => "disclaimed",
        Input::OwnerSilent(_) => "owner silent",
        Input::OwnerHeard => "owner heard",
        Input::OwnerGone => "owner gone",
        Input::OwnerLeft => "owner left",
        Input::Due => "due",
    }
}

/// As many names as [`kind_of_phase`] and [`kind_of_input`] can give: raise them with a new arm.
const PHASE_KINDS: usize = 23;
const INPUT_KINDS: usize = 28;

#[test]
fn every_phase_has_a_row() {
    let kinds: BTreeSet<_> = rows()
        .iter()
        .flat_map(|case| kind_of_phase(&case.row.phase))
        .collect();
    assert_eq!(kinds.len(), PHASE_KINDS, "{kinds:?}");
}

#[test]
fn every_input_is_given() {
    let kinds: BTreeSet<_> = inputs()
        .iter()
        .map(|given| kind_of_input(&given.input))
        .collect();
    assert_eq!(kinds.len(), INPUT_KINDS, "{kinds:?}");
}
