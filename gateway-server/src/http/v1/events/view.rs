//! How events look on the wire.

use std::collections::BTreeMap;

use gateway_core::event::{Event, LoggedEvent};
use gateway_core::id::{Epoch, EventId, SessionId, SessionName, TenantId};
use gateway_core::session::{ChallengeKind, SessionRef};
use gateway_core::store::{PlatformTx, StoreError};
use gateway_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::parts::ServerParts;
use crate::http::v1::sessions::challenge;

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub(in crate::http::v1) struct EventView {
    id: EventId,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of the payload.
    version: u32,
    created_at: Timestamp,
    tenant_id: Option<TenantId>,
    session: Option<SubjectView>,
    /// Dense within its session, from 1: a gap is a missed event.
    seq: Option<u64>,
    /// The session's epoch when it happened: an event of a lower one than seen comes from a former owner.
    epoch: Option<Epoch>,
    data: Value,
}

/// The session an event is about, as it is now.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EventSession)]
struct SubjectView {
    id: SessionId,
    /// `null` once it is deleted.
    name: Option<SessionName>,
    metadata: BTreeMap<String, Value>,
}

/// Makes views: the rows of the sessions are read once, the codes where they are still valid.
pub(super) struct Views<'a> {
    parts: &'a ServerParts,
    tenant: TenantId,
    sessions: BTreeMap<SessionId, SubjectView>,
}

impl<'a> Views<'a> {
    pub(super) fn new(parts: &'a ServerParts, tenant: TenantId) -> Self {
        Self {
            parts,
            tenant,
            sessions: BTreeMap::new(),
        }
    }

    /// Reads the sessions that these events are about.
    pub(super) async fn know(
        &mut self,
        tx: &mut dyn PlatformTx,
        events: &[LoggedEvent],
    ) -> Result<(), StoreError> {
        for id in events.iter().filter_map(|event| event.session) {
            if self.sessions.contains_key(&id) {
                continue;
            }
            let card = tx.card(self.tenant, &SessionRef::Id(id)).await?;
            let (name, metadata) = card.map(|card| (card.name, card.metadata)).unzip();
            let metadata = metadata.unwrap_or_default();
            self.sessions.insert(id, SubjectView { id, name, metadata });
        }
        Ok(())
    }

    pub(super) async fn of(&self, events: Vec<LoggedEvent>) -> Vec<EventView> {
        let mut views = Vec::with_capacity(events.len());
        for event in events {
            views.push(self.view(event).await);
        }
        views
    }

    async fn view(&self, event: LoggedEvent) -> EventView {
        let mut data = event.event.data();
        self.join_code(&event, &mut data).await;
        EventView {
            id: event.id,
            kind: event.event.name(),
            version: event.event.version(),
            created_at: event.created_at,
            tenant_id: event.tenant,
            session: event.session.and_then(|id| self.sessions.get(&id).cloned()),
            seq: event.seq,
            epoch: event.epoch,
            data,
        }
    }

    /// The text of a code is in no log: it is joined while it is valid.
    async fn join_code(&self, event: &LoggedEvent, data: &mut Value) {
        let (Event::SessionQr(shown), Some(session)) = (&event.event, event.session) else {
            return;
        };
        let Ok(Some(secret)) = self.parts.coord.secret(session, shown.kind).await else {
            return;
        };
        if Some(secret.epoch) != event.epoch || secret.index != shown.index {
            return;
        }
        let (field, text) = match shown.kind {
            ChallengeKind::Qr => ("qrCode", Value::String(secret.text)),
            ChallengeKind::PairingCode => ("pairingCode", Value::String(secret.text)),
            ChallengeKind::Passkey => ("passkeyChallenge", challenge(secret.text)),
        };
        if let Value::Object(fields) = data {
            fields.insert(field.to_owned(), text);
        }
    }
}
