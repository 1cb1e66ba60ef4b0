//! The life of a session as one pure function (R-22).
//!
//! [`decide()`] takes the row, one thing that happened and the store's time, and returns the next row,
//! the events to record with it and the effects to try afterwards. It is total over (phase, input)
//! without wildcards, so a new phase or input does not compile until every pair is decided. Nothing
//! here waits, reads a clock or talks to anybody: connecting, failing over, draining and recovering
//! after a crash are the same steps, driven by whoever holds the row.
//!
//! Two rules carry the safety of the whole gateway:
//!
//! 1. The epoch grows exactly when an owner is named ([`Input::Placed`]), and an owner is named only in
//!    `WAITING`, which has none. So no session ever has two owners.
//! 2. `STARTING` and `ACTIVE` are left only through `STOPPING`, through the owner's own word that it
//!    has closed the session, or through proof that the owner is gone. So no owner is forgotten while
//!    it may still hold the session.

mod draft;
mod failure;
mod held;
mod resting;

use draft::Draft;

use super::input::{Effect, Input};
use super::phase::Phase;
use super::policy::SessionPolicy;
use super::{Session, Status};
use crate::event::Event;
use crate::time::Timestamp;

/// What follows from an input: the next row, events and effects.
#[must_use = "a decision that is not stored changes nothing"]
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The row to store under the version that was read; `None` deletes it.
    pub row: Option<Session>,
    /// What to append to the outbox in the same transaction.
    pub events: Vec<Event>,
    /// What to try once that transaction is committed.
    pub effects: Vec<Effect>,
}

/// The error of an input that makes no sense in the session's phase; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {} cannot take {input}; {advice}", status.name())]
pub struct InvalidTransition {
    /// The phase it was in.
    pub phase: &'static str,
    /// The status a tenant saw.
    pub status: Status,
    pub input: &'static str,
    /// What the tenant can do instead.
    pub advice: &'static str,
}

/// Decides what follows from `input`.
///
/// `now` is the store's time, read with the row. A decision whose row equals the one given needs no
/// write.
///
/// ```
/// use gateway_core::id::{SessionId, SessionName, TenantId};
/// use gateway_core::session::{Command, Effect, Input, Pairing, Session, SessionPolicy, decide};
/// use gateway_core::time::Timestamp;
///
/// let now = Timestamp::from_micros(1);
/// let id = SessionId::from_u128(7);
/// let card = Session::new(id, TenantId::from_u128(1), SessionName::parse("sales")?, now);
/// let connect = Input::Command(Command::Connect { pairing: Pairing::Qr, priority: 1 });
///
/// let decision = decide(&SessionPolicy::default(), &card, &connect, now)?;
/// assert_eq!(decision.effects, [Effect::Place(id)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The pair of phase and input is refused.
pub fn decide(
    policy: &SessionPolicy,
    row: &Session,
    input: &Input,
    now: Timestamp,
) -> Result<Decision, InvalidTransition> {
    let mut draft = Draft::new(policy, row, now);
    match &row.phase {
        Phase::Idle => resting::idle(&mut draft, input)?,
        Phase::Waiting => resting::waiting(&mut draft, input)?,
        Phase::Starting { .. } => held::starting(&mut draft, input)?,
        Phase::Active { observed, .. } => held::active(&mut draft, observed, input)?,
        Phase::Stopping { next, .. } => held::stopping(&mut draft, next, input)?,
        Phase::Parked { parked } => resting::parked(&mut draft, parked, input)?,
    }
    Ok(draft.settle(row))
}
