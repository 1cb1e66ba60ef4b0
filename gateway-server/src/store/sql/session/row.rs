//! A session as a row, and back.
//!
//! The phase and what it carries are one value in the domain and five columns here: its name, its owner
//! (two columns with an index), and the rest as JSON. JSON times keep milliseconds, rows keep
//! microseconds; the one time that a phase can carry therefore has a column of its own, so that a row
//! comes back exactly as it was written.

use std::collections::BTreeMap;

use gateway_core::id::{Epoch, Incarnation, SessionId, SessionName, TenantId, WorkerId};
use gateway_core::session::{Desired, Next, Observed, Owner, Pairing, Phase, Reason, Session};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sqlx::FromRow;
use sqlx::types::Json;

use super::super::columns::Columns;
use super::super::error::{corrupt, refused};
use super::super::types::{Count, Id, Time};

/// A row of `sessions`, columns in the order of [`columns!`](super::columns).
#[derive(FromRow)]
pub(in super::super) struct SessionRow {
    id: Id,
    tenant_id: Id,
    name: String,
    description: Option<String>,
    metadata: Json<BTreeMap<String, Value>>,
    created_at: Time,
    updated_at: Time,
    desired: String,
    pairing: Json<Pairing>,
    priority: Count,
    phase: String,
    worker_id: Option<String>,
    incarnation: Option<String>,
    detail: Option<Json<Value>>,
    detail_at: Option<Time>,
    phase_since: Time,
    status_since: Time,
    epoch: Count,
    version: Count,
    attempt: Count,
    reason: Option<String>,
    deadline: Option<Time>,
    due_at: Option<Time>,
    retry_at: Option<Time>,
    report_seq: Count,
    paired: bool,
    phone_number: Option<String>,
    state_format: Option<String>,
    linking_since: Option<Time>,
    linking_until: Option<Time>,
    last_activity_at: Option<Time>,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let id = SessionId::from_u128(row.id.0);
        row.parse().map_err(|why| corrupt("sessions", &id, &why))
    }
}

impl SessionRow {
    pub(super) const fn id(&self) -> SessionId {
        SessionId::from_u128(self.id.0)
    }

    fn parse(self) -> Result<Session, String> {
        let phase = self.phase()?;
        Ok(Session {
            id: SessionId::from_u128(self.id.0),
            tenant: TenantId::from_u128(self.tenant_id.0),
            name: SessionName::parse(&self.name).map_err(|why| why.to_string())?,
            description: self.description,
            metadata: self.metadata.0,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            desired: read(Value::from(self.desired))?,
            pairing: self.pairing.0,
            priority: self.priority.narrow()?,
            phase,
            phase_since: self.phase_since.0,
            status_since: self.status_since.0,
            epoch: Epoch(self.epoch.0),
            version: self.version.0,
            attempt: self.attempt.narrow()?,
            reason: self.reason.as_deref().map(Reason::parse),
            deadline: self.deadline.map(|at| at.0),
            due_at: self.due_at.map(|at| at.0),
            retry_at: self.retry_at.map(|at| at.0),
            report_seq: self.report_seq.0,
            paired: self.paired,
            phone_number: self.phone_number,
            state_format: self.state_format,
            linking_since: self.linking_since.map(|at| at.0),
            linking_until: self.linking_until.map(|at| at.0),
            last_activity_at: self.last_activity_at.map(|at| at.0),
        })
    }

    fn phase(&self) -> Result<Phase, String> {
        let mut phase = match self.phase.as_str() {
            "IDLE" => Phase::Idle,
            "WAITING" => Phase::Waiting,
            "STARTING" => Phase::Starting {
                owner: self.owner()?,
            },
            "ACTIVE" => Phase::Active {
                owner: self.owner()?,
                observed: self.detail()?,
            },
            "STOPPING" => Phase::Stopping {
                owner: self.owner()?,
                next: self.detail()?,
            },
            "PARKED" => Phase::Parked {
                parked: self.detail()?,
            },
            other => return Err(format!("unknown phase {other}")),
        };
        if let (Some(inside), Some(Time(exact))) = (moment(&mut phase), self.detail_at) {
            *inside = exact;
        }
        Ok(phase)
    }

    fn owner(&self) -> Result<Owner, String> {
        let worker = self.worker_id.as_deref().ok_or("no worker")?;
        let incarnation = self.incarnation.as_deref().ok_or("no incarnation")?;
        Ok(Owner {
            worker: WorkerId::parse(worker).map_err(|why| why.to_string())?,
            incarnation: Incarnation::parse(incarnation).map_err(|why| why.to_string())?,
        })
    }

    fn detail<T: DeserializeOwned>(&self) -> Result<T, String> {
        let detail = self.detail.as_ref().ok_or("no detail")?;
        read(detail.0.clone())
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|why| why.to_string())
}

/// The one point in time that a phase may carry.
const fn moment(phase: &mut Phase) -> Option<&mut Timestamp> {
    match phase {
        Phase::Active { observed, .. } => match observed {
            Observed::QrRequired { challenge } => Some(&mut challenge.expires_at),
            Observed::Reconnecting { since, .. } => Some(since),
            Observed::Connecting { .. } | Observed::Connected => None,
        },
        Phase::Stopping {
            next: Next::Park { parked },
            ..
        }
        | Phase::Parked { parked } => parked.until.as_mut(),
        Phase::Stopping {
            next: Next::Rest | Next::Start | Next::Logout | Next::Delete,
            ..
        }
        | Phase::Idle
        | Phase::Waiting
        | Phase::Starting { .. } => None,
    }
}

/// What a phase carries beside its owner.
fn detail(phase: &Phase) -> Result<Option<Box<RawValue>>, StoreError> {
    let written = match phase {
        Phase::Active { observed, .. } => json(observed)?,
        Phase::Stopping { next, .. } => json(next)?,
        Phase::Parked { parked } => json(parked)?,
        Phase::Idle | Phase::Waiting | Phase::Starting { .. } => return Ok(None),
    };
    Ok(Some(written))
}

fn json<T: Serialize>(value: &T) -> Result<Box<RawValue>, StoreError> {
    to_raw_value(value).map_err(refused)
}

const fn desired(session: &Session) -> &'static str {
    match session.desired {
        Desired::Connected => "CONNECTED",
        Desired::Disconnected => "DISCONNECTED",
    }
}

/// Whole rows, one list per column in the order of the write statements.
pub(super) fn lists(rows: &[Session]) -> Result<Columns<'_>, StoreError> {
    let details: Vec<_> = rows
        .iter()
        .map(|row| detail(&row.phase))
        .collect::<Result<_, _>>()?;
    let metadata: Vec<_> = rows
        .iter()
        .map(|row| json(&row.metadata))
        .collect::<Result<_, _>>()?;
    let pairing: Vec<_> = rows
        .iter()
        .map(|row| json(&row.pairing))
        .collect::<Result<_, _>>()?;
    let exact = |row: &Session| moment(&mut row.phase.clone()).copied();
    let all = || rows.iter();
    Ok(Columns::new()
        .ids(all().map(|row| row.id.as_u128()))
        .ids(all().map(|row| row.tenant.as_u128()))
        .texts(all().map(|row| row.name.as_str()))
        .texts(all().map(|row| row.description.as_deref()))
        .jsons(metadata.into_iter())
        .times(all().map(|row| row.created_at))
        .times(all().map(|row| row.updated_at))
        .texts(all().map(|row| -> &str { desired(row) }))
        .jsons(pairing.into_iter())
        .counts(all().map(|row| u64::from(row.priority)))
        .texts(all().map(|row| row.phase.name()))
        .texts(all().map(|row| row.owner().map(|owner| owner.worker.as_str())))
        .texts(all().map(|row| row.owner().map(|owner| owner.incarnation.as_str())))
        .jsons(details.into_iter())
        .times(all().map(exact))
        .times(all().map(|row| row.phase_since))
        .times(all().map(|row| row.status_since))
        .counts(all().map(|row| row.epoch.0))
        .counts(all().map(|row| row.version))
        .counts(all().map(|row| u64::from(row.attempt)))
        .texts(all().map(|row| row.reason.as_ref().map(Reason::as_str)))
        .times(all().map(|row| row.deadline))
        .times(all().map(|row| row.due_at))
        .times(all().map(|row| row.retry_at))
        .counts(all().map(|row| row.report_seq))
        .flags(all().map(|row| row.paired))
        .texts(all().map(|row| row.phone_number.as_deref()))
        .texts(all().map(|row| row.state_format.as_deref()))
        .times(all().map(|row| row.linking_since))
        .times(all().map(|row| row.linking_until))
        .times(all().map(|row| row.last_activity_at))
        .texts(all().map(|row| row.status().status.name())))
}
