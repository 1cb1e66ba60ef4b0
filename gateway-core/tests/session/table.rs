//! Every pair of phase and input, against the table in `table.txt`.
//!
//! The file is meant to be read: per phase, what each input comes to, as
//! `inputs -> PHASE next · STATUS reason · effects · events`. Inputs with the same outcome share a line.

use std::fmt::Write as _;

use gateway_core::session::{Next, StartMode};

use super::cases::{Given, Row, inputs, rows};
use super::*;

#[test]
fn every_pair_of_phase_and_input_is_decided_as_the_table_says() {
    let mut actual = String::new();
    for row in rows() {
        section(&mut actual, &row);
    }
    let expected = include_str!("table.txt");
    for (line, (is, should)) in actual.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, should, "line {} of\n{actual}", line + 1);
    }
    assert_eq!(actual.lines().count(), expected.lines().count(), "{actual}");
}

/// Of these, each is refused somewhere and taken somewhere: a refusal says what to do instead.
#[test]
fn a_refusal_says_what_to_do_instead() {
    for Row { row, .. } in rows() {
        for Given { input, after, .. } in inputs() {
            let Err(refused) = decide(&SessionPolicy::default(), &row, &input, at(after)) else {
                continue;
            };
            assert!(!refused.advice.is_empty());
            assert_eq!(refused.phase, row.phase.name());
            assert_eq!(refused.input, input.name());
            assert_eq!(refused.status, row.status().status);
            assert!(refused.to_string().contains(refused.advice));
        }
    }
}

#[test]
fn a_tenant_can_always_disconnect_and_delete() {
    for Row { name, row } in rows() {
        for command in [Command::Disconnect, Command::Logout, Command::Delete] {
            let decided = decide(
                &SessionPolicy::default(),
                &row,
                &Input::Command(command),
                at(1),
            );
            let next = decided.unwrap_or_else(|refused| panic!("{name}: {refused}"));
            let wanted = next.row.map(|row| row.desired);
            assert_ne!(wanted, Some(Desired::Connected), "{name}");
        }
    }
}

fn section(text: &mut String, case: &Row) {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for given in inputs() {
        let outcome = outcome(&case.row, &given);
        match lines.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, names)) => names.push(given.name),
            None => lines.push((outcome, vec![given.name])),
        }
    }
    let status = case.row.status();
    let _ = writeln!(text, "# {} ({})", case.name, status.status.name());
    for (outcome, names) in lines {
        let _ = writeln!(text, "{} -> {outcome}", names.join(", "));
    }
    text.push('\n');
}

fn outcome(row: &Session, given: &Given) -> String {
    let decided = decide(
        &SessionPolicy::default(),
        row,
        &given.input,
        at(given.after),
    );
    let Ok(decision) = decided else {
        return "refused".to_owned();
    };
    let effects: Vec<String> = decision.effects.iter().map(effect).collect();
    let events: Vec<&str> = decision
        .events
        .iter()
        .map(gateway_core::event::Event::name)
        .collect();
    let place = match &decision.row {
        None => "deleted".to_owned(),
        Some(next) if next == row => "unchanged".to_owned(),
        Some(next) => place(row, next),
    };
    let mut text = place;
    for more in [effects.join(" "), events.join(" ")] {
        if !more.is_empty() {
            let _ = write!(text, " · {more}");
        }
    }
    text
}

fn place(before: &Session, row: &Session) -> String {
    let status = row.status();
    let mut text = row.phase.name().to_owned();
    if let Phase::Stopping { next, .. } = &row.phase {
        text.push_str(match next {
            Next::Rest => " rest",
            Next::Start => " start",
            Next::Park { .. } => " park",
            Next::Logout => " logout",
            Next::Delete => " delete",
        });
    }
    if before.epoch != row.epoch {
        text.push_str(" epoch+1");
    }
    if before.paired != row.paired {
        text.push_str(if row.paired { " linked" } else { " unlinked" });
    }
    let _ = write!(text, " · {}", status.status.name());
    if let Some(reason) = &status.reason {
        let _ = write!(text, " {reason}");
    }
    if let Some(action) = &status.action_required {
        let _ = write!(text, " !{action}");
    }
    text
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Place(_) => "place".to_owned(),
        Effect::Start(start) => {
            let how = match start.mode {
                StartMode::Restore => "restore",
                StartMode::Qr => "qr",
                StartMode::PairingCode { .. } => "code",
            };
            format!("start({how})")
        }
        Effect::Release(_) => "release".to_owned(),
        Effect::Logout(_) => "unlink".to_owned(),
        Effect::Forget(_) => "forget".to_owned(),
        Effect::Cordon(_) => "cordon".to_owned(),
        Effect::NotHeld(_) => "not held".to_owned(),
        Effect::Disown(_) => "disown".to_owned(),
        Effect::Erase(_) => "erase".to_owned(),
        Effect::Archive(..) => "archive".to_owned(),
        Effect::Nudge => "nudge".to_owned(),
    }
}
