//! A session as a row, and back.
//!
//! The phase and what it carries are one value in the domain and five columns here: its name, its owner
//! (two columns with an index), and the rest as JSON. JSON times keep milliseconds, rows keep
//! microseconds; the one time that a phase can carry therefore has a column of its own, so that a row
//! comes back exactly as it was written.

use std::collections::BTreeMap;

use gateway_core::id::{Epoch, SessionId, SessionName, TenantId};
use gateway_core::session::{
    Desired, Next, Observed, Owner, Pairing, Phase, Reason, Session, Setbacks, Silence,
};
use gateway_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::types::Json;

use super::super::json::JsonText;
use super::super::stored::{Stored, owner};
use super::super::table::table;
use super::super::types::Time;

table! {
    /// Sessions.
    SESSIONS = "sessions";
    SessionRow of Session, named |row| row.id();
    columns {
        id: SessionId = id,
        tenant_id: TenantId = tenant,
        name: SessionName = name,
        display_name: Option<String> = display_name,
        description: Option<String> = description,
        metadata: BTreeMap<String, Value> = metadata,
        created_at: Timestamp = created_at,
        updated_at: Timestamp = updated_at,
        desired: Desired = desired,
        pairing: Pairing = pairing,
        priority: u8 = priority,
        phase: String => |row| row.phase.name(),
        worker_id: Option<String> => |row| row.owner().map(|owner| owner.worker.as_str()),
        incarnation: Option<String> => |row| row.owner().map(|owner| owner.incarnation.as_str()),
        detail: Option<Json<Value>> => |row| detail(&row.phase),
        detail_at: Option<Time> => |row| moment(&mut row.phase.clone()).copied().map(Time),
        phase_since: Timestamp = phase_since,
        status_since: Timestamp = status_since,
        epoch: Epoch = epoch,
        version: u64 = version,
        attempt: u32 = attempt,
        setbacks: Setbacks = setbacks,
        reason: Option<Reason> = reason,
        deadline: Option<Timestamp> = deadline,
        due_at: Option<Timestamp> = due_at,
        retry_at: Option<Timestamp> = retry_at,
        not_before: Option<Timestamp> = not_before,
        report_seq: u64 = report_seq,
        silence_since: Option<Time> => |row| row.silence.map(|silence| Time(silence.since)),
        silence_until: Option<Time> => |row| row.silence.map(|silence| Time(silence.until)),
        paired: bool = paired,
        phone_number: Option<String> = phone_number,
        state_format: Option<String> = state_format,
        linking_since: Option<Timestamp> = linking_since,
        linking_until: Option<Timestamp> = linking_until,
        last_activity_at: Option<Timestamp> = last_activity_at,
    }
    read { phase = SessionRow::phase, silence = SessionRow::silence }
    derived {
        status: String => |row| row.status().status.name(),
        is_leaving: bool => |row| row.is_leaving(),
    }
}

impl SessionRow {
    pub(super) const fn id(&self) -> SessionId {
        SessionId::from_u128(self.id.0)
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

    fn silence(&self) -> Result<Option<Silence>, String> {
        match (self.silence_since, self.silence_until) {
            (None, None) => Ok(None),
            (Some(Time(since)), Some(Time(until))) => Ok(Some(Silence { since, until })),
            (Some(_), None) | (None, Some(_)) => Err("half a silence".to_owned()),
        }
    }

    fn owner(&self) -> Result<Owner, String> {
        let worker = self.worker_id.as_deref().ok_or("no worker")?;
        let incarnation = self.incarnation.as_deref().ok_or("no incarnation")?;
        owner(worker, incarnation)
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
fn detail(phase: &Phase) -> Option<JsonText> {
    match phase {
        Phase::Active { observed, .. } => Some(JsonText::of(observed)),
        Phase::Stopping { next, .. } => Some(JsonText::of(next)),
        Phase::Parked { parked } => Some(JsonText::of(parked)),
        Phase::Idle | Phase::Waiting | Phase::Starting { .. } => None,
    }
}

impl Stored for Desired {
    type Read = String;
    type Write<'a> = &'static str;

    fn read(text: String) -> Result<Self, String> {
        read(Value::from(text))
    }

    fn write(&self) -> &'static str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Disconnected => "DISCONNECTED",
        }
    }
}
