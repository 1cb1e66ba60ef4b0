//! The hard filters: who may not take a session, and why not.
//!
//! They come in two lists because of the index. The *standing* ones ask only about the worker and
//! are applied when it changes; a worker that fails one is not in the index at all. The others
//! compare a worker with the request. A worker is counted under the first reason that applies, so
//! the counts of a refusal add up to the workers considered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::snapshot::WorkerSnapshot;
use crate::id::WorkerId;

/// What a session needs of its worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Workers that were tried and lost, or that the session must leave.
    pub exclude: BTreeSet<WorkerId>,
    /// Labels the worker must have with exactly these values.
    pub labels: BTreeMap<String, String>,
    /// The format of the session's stored state, when it has one.
    pub state_format: Option<String>,
    /// The lowest worker protocol that will do.
    pub min_protocol_version: u32,
    /// How many sessions of the same tenant each worker holds. A preference: it never leaves a
    /// session unplaced. Strategies that do not order by score ignore it.
    pub spread: Option<BTreeMap<WorkerId, u32>>,
}

/// Why a worker cannot take a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WorkerExclusion))]
#[serde(rename_all = "snake_case")]
pub enum FilterReason {
    /// Not `ACTIVE`, or its lease is not valid.
    Inactive,
    /// It says that it cannot store session state at the moment.
    StateNotStored,
    /// Cordoned by an operator.
    Cordoned,
    /// The circuit breaker for its commands is open.
    BreakerOpen,
    /// Assigned and reserved sessions fill it.
    Full,
    /// A label is missing or has another value.
    Labels,
    /// It speaks an older worker protocol than needed.
    ProtocolVersion,
    /// It cannot read the session's stored state.
    StateFormat,
    /// On the request's exclusion list.
    Excluded,
}

impl FilterReason {
    /// The reasons for which a worker takes no session at all.
    pub const STANDING: [Self; 5] = [
        Self::Inactive,
        Self::StateNotStored,
        Self::Cordoned,
        Self::BreakerOpen,
        Self::Full,
    ];

    /// Returns the name of the reason on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::StateNotStored => "state_not_stored",
            Self::Cordoned => "cordoned",
            Self::BreakerOpen => "breaker_open",
            Self::Full => "full",
            Self::Labels => "labels",
            Self::ProtocolVersion => "protocol_version",
            Self::StateFormat => "state_format",
            Self::Excluded => "excluded",
        }
    }
}

impl fmt::Display for FilterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "not active",
            Self::StateNotStored => "unable to store session state",
            Self::Cordoned => "cordoned",
            Self::BreakerOpen => "circuit breaker open",
            Self::Full => "full",
            Self::Labels => "other labels",
            Self::ProtocolVersion => "protocol too old",
            Self::StateFormat => "other state format",
            Self::Excluded => "excluded",
        })
    }
}

/// A filter that depends on the worker alone.
type Standing = (FilterReason, fn(&WorkerSnapshot) -> bool);
/// A filter that compares a worker with a request.
type Fitting = (FilterReason, fn(&Request, &WorkerSnapshot) -> bool);

const STANDING: [Standing; 5] = [
    (FilterReason::Inactive, |worker| worker.active),
    (FilterReason::StateNotStored, |worker| worker.stores_state),
    (FilterReason::Cordoned, |worker| !worker.cordoned),
    (FilterReason::BreakerOpen, |worker| worker.breaker_closed),
    (FilterReason::Full, WorkerSnapshot::has_room),
];

const FITTING: [Fitting; 3] = [
    (FilterReason::Labels, |request, worker| {
        request
            .labels
            .iter()
            .all(|(name, value)| worker.labels.get(name) == Some(value))
    }),
    (FilterReason::ProtocolVersion, |request, worker| {
        worker.protocol_version >= request.min_protocol_version
    }),
    (FilterReason::StateFormat, |request, worker| {
        request.state_format.is_none() || request.state_format == worker.state_format
    }),
];

/// Returns why `worker` takes no session at all at the moment; `None` if it takes some.
pub(super) fn closed(worker: &WorkerSnapshot) -> Option<FilterReason> {
    STANDING
        .iter()
        .find(|(_, passes)| !passes(worker))
        .map(|(reason, _)| *reason)
}

/// Returns why workers of this kind (what [`Shape`](super::shape::Shapes) covers) do not suit `request`.
pub(super) fn unfit(request: &Request, worker: &WorkerSnapshot) -> Option<FilterReason> {
    FITTING
        .iter()
        .find(|(_, passes)| !passes(request, worker))
        .map(|(reason, _)| *reason)
}

/// Returns whether `request` excludes this very worker.
pub(super) fn excluded(request: &Request, worker: &WorkerSnapshot) -> bool {
    !request.exclude.is_empty() && request.exclude.contains(&worker.worker)
}
