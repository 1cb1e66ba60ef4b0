//! What the rows say a run of a worker holds, as far as a heartbeat needs it.
//!
//! Every worker asks every other second, and nearly always nothing has changed: so this is what can be
//! read from few columns and compared, and whole rows are read only where an order has to be made of one.

use super::WorkerStatus;
use crate::id::{Epoch, SessionId};
use crate::session::{Phase, Session, Status};

/// A session that a run of a worker holds, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    pub session: SessionId,
    pub epoch: Epoch,
    /// The status that the tenant sees.
    pub status: Status,
    pub phase: HeldPhase,
}

/// The phases in which a session has an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldPhase {
    /// The worker was told to start and has not reported yet.
    Starting,
    /// The worker has reported on it.
    Active,
    /// The worker was told to stop.
    Stopping,
}

impl HeldPhase {
    /// Returns the phase of a row that has an owner; none for other rows.
    #[must_use]
    pub const fn of(phase: &Phase) -> Option<Self> {
        match phase {
            Phase::Starting { .. } => Some(Self::Starting),
            Phase::Active { .. } => Some(Self::Active),
            Phase::Stopping { .. } => Some(Self::Stopping),
            Phase::Idle | Phase::Waiting | Phase::Parked { .. } => None,
        }
    }

    /// Returns the phase of that name, as [`Phase::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "STARTING" => Some(Self::Starting),
            "ACTIVE" => Some(Self::Active),
            "STOPPING" => Some(Self::Stopping),
            _ => None,
        }
    }
}

impl HeldRow {
    /// Returns what a row says, if it has an owner.
    #[must_use]
    pub fn of(row: &Session) -> Option<Self> {
        Some(Self {
            session: row.id,
            epoch: row.epoch,
            status: row.status().status,
            phase: HeldPhase::of(&row.phase)?,
        })
    }
}

/// What a worker should know when its lease was renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The status of the worker.
    pub status: WorkerStatus,
    /// How many more sessions the worker takes.
    pub room: u32,
    /// The sessions that this run of the worker holds, in id order.
    pub holds: Vec<HeldRow>,
}
