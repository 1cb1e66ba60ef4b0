//! What the rows say a run of a worker holds, as far as a heartbeat needs it.
//!
//! Every worker asks every other second, and nearly always nothing has changed: so this is what can be
//! read from few columns and compared, and whole rows are read only where an order has to be made of one.

use super::WorkerStatus;
use crate::id::{Epoch, SessionId};
use crate::session::{Phase, Session, Status};

/// A session that a run of a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// Which.
    pub session: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// The status that its tenant sees.
    pub status: Status,
    /// What the gateway is doing with it.
    pub phase: HeldPhase,
}

/// The phases in which a session has an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldPhase {
    /// Told to start, not yet reported on.
    Starting,
    /// Reported on.
    Active,
    /// Told to stop.
    Stopping,
}

impl HeldPhase {
    /// The phase of a row that has an owner.
    #[must_use]
    pub const fn of(phase: &Phase) -> Option<Self> {
        match phase {
            Phase::Starting { .. } => Some(Self::Starting),
            Phase::Active { .. } => Some(Self::Active),
            Phase::Stopping { .. } => Some(Self::Stopping),
            Phase::Idle | Phase::Waiting | Phase::Parked { .. } => None,
        }
    }

    /// Reads the name of a phase, as [`Phase::name`] gives it.
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
    /// What a row says, if it has an owner.
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

/// A lease that was renewed, and what its worker should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Where the worker stands.
    pub status: WorkerStatus,
    /// How many more sessions it takes.
    pub room: u32,
    /// What this run of it holds, in id order.
    pub holds: Vec<HeldRow>,
}
