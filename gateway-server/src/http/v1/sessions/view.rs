//! How sessions look on the wire, and what their texts may be.

use std::collections::BTreeMap;

use gateway_core::id::{Epoch, SessionId, SessionName, WorkerId};
use gateway_core::session::{Desired, Reason, Session, Status, StatusView};
use gateway_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::identity::Caller;

/// The most pairs in the metadata of a session.
const PAIRS: usize = 50;
/// The longest name of a pair, in characters.
const PAIR_NAME_CHARS: usize = 64;
/// The most bytes of metadata, as JSON.
const METADATA_BYTES: usize = 16 * 1024;

/// A session, as its tenant sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub(in crate::http::v1) struct SessionView {
    id: SessionId,
    name: SessionName,
    /// How people write its name.
    display_name: String,
    description: Option<String>,
    #[serde(flatten)]
    standing: StandingView,
    desired: Desired,
    phone_number: Option<String>,
    metadata: BTreeMap<String, Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(flatten)]
    place: PlaceView,
}

/// The status of a session, and why it has it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SessionStanding)]
pub(super) struct StandingView {
    status: Status,
    reason: Option<Reason>,
    /// Since when status and reason are what they are.
    since: Timestamp,
    /// When the status ends by force.
    deadline: Option<Timestamp>,
    /// When the connection is tried again.
    retry_at: Option<Timestamp>,
    /// What a person has to do.
    action_required: Option<String>,
}

/// Where a session lives; only administrators see it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SessionPlace)]
struct PlaceView {
    /// The worker that holds it; `null` if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WorkerId>)]
    worker_id: Option<Option<WorkerId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
}

impl SessionView {
    pub(in crate::http::v1) fn of(session: Session, caller: &Caller) -> Self {
        let place = match caller.is_admin() {
            true => PlaceView {
                worker_id: Some(session.owner().map(|owner| owner.worker.clone())),
                epoch: Some(session.epoch),
            },
            false => PlaceView::default(),
        };
        Self {
            standing: StandingView::from(session.status()),
            id: session.id,
            display_name: session
                .display_name
                .unwrap_or_else(|| session.name.to_string()),
            name: session.name,
            description: session.description,
            desired: session.desired,
            phone_number: session.phone_number,
            metadata: session.metadata,
            created_at: session.created_at,
            updated_at: session.updated_at,
            place,
        }
    }
}

impl From<StatusView> for StandingView {
    fn from(view: StatusView) -> Self {
        Self {
            status: view.status,
            reason: view.reason,
            since: view.since,
            deadline: view.deadline,
            retry_at: view.retry_at,
            action_required: view.action_required,
        }
    }
}

/// Returns what a person typed as a name, with single spaces between its words.
pub(super) fn typed(name: Option<String>) -> Option<String> {
    let name = name.unwrap_or_default();
    let words: Vec<&str> = name.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Checks metadata: few pairs, small in all.
pub(super) fn few_pairs(pairs: &BTreeMap<String, Value>, (): &()) -> Result<(), garde::Error> {
    if pairs.len() > PAIRS {
        return Err(garde::Error::new(format!(
            "must have at most {PAIRS} pairs"
        )));
    }
    let fits = |name: &String| (1..=PAIR_NAME_CHARS).contains(&name.chars().count());
    if !pairs.keys().all(fits) {
        let text = format!("the names of pairs must have 1 to {PAIR_NAME_CHARS} characters");
        return Err(garde::Error::new(text));
    }
    let bytes = serde_json::to_vec(pairs).map_or(usize::MAX, |json| json.len());
    if bytes > METADATA_BYTES {
        let text = format!("must be at most {METADATA_BYTES} bytes as JSON");
        return Err(garde::Error::new(text));
    }
    Ok(())
}

/// Checks metadata that may be absent.
pub(super) fn some_few_pairs(
    pairs: &Option<BTreeMap<String, Value>>,
    context: &(),
) -> Result<(), garde::Error> {
    pairs
        .as_ref()
        .map_or(Ok(()), |pairs| few_pairs(pairs, context))
}
