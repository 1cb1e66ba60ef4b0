//! Pages of envelopes from a store and a coordinator: everything of [`EventReader`](super::EventReader) but
//! the waiting, which needs a timer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::{
    ChallengeText, Event, EventEnvelope, EventFilter, EventPage, EventSession, LoggedEvent,
    SessionQr, TENANT_SHARD,
};
use crate::coord::{Coordinator, PairingSecret};
use crate::id::{SessionId, TenantId};
use crate::session::ChallengeKind;
use crate::store::{PlatformStore, PlatformTx, StoreError};

/// The present codes of sessions, as far as events of a page need them.
type Codes = BTreeMap<(SessionId, ChallengeKind), Option<PairingSecret>>;

/// How far two reports of when one code ends may be apart.
const SAME_END: Duration = Duration::from_secs(10);

/// Reads pages of events. Clones read from the same store.
#[derive(Clone, Debug)]
pub struct EventPages {
    store: Arc<dyn PlatformStore>,
    coord: Arc<dyn Coordinator>,
}

impl EventPages {
    /// Joins a store with the coordinator that keeps the texts of codes.
    #[must_use]
    pub fn new(store: Arc<dyn PlatformStore>, coord: Arc<dyn Coordinator>) -> Self {
        Self { store, coord }
    }

    /// Returns the tenant's events after `after` that pass the filter, in order of position, at most `limit`.
    ///
    /// The sessions that they are about are read at once, and the text of a code once for each session.
    /// Without the coordinator events come without it.
    ///
    /// # Errors
    /// The store fails.
    pub async fn page(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let mut tx = self.store.read_platform().await?;
        // First: whatever is numbered up to here is committed before the events are read.
        let newest = tx.newest_position(TENANT_SHARD).await?;
        let events = tx.events(tenant, filter, after, limit).await?;
        let sessions = sessions(&mut *tx, tenant, &events).await?;
        drop(tx);
        let last = events.last().map_or(after, |event| event.position);
        let is_full = events.len() >= limit as usize;
        let reached = if is_full { last } else { last.max(newest) };
        let mut codes = Codes::new();
        let mut envelopes = Vec::with_capacity(events.len());
        for event in events {
            let code = self.code(&mut codes, &event).await;
            let session = event.session.and_then(|id| sessions.get(&id).cloned());
            envelopes.push(envelope(event, session, code));
        }
        Ok(EventPage {
            events: envelopes,
            reached,
            mark: 0,
        })
    }

    /// Returns the position of the newest event of all tenants.
    ///
    /// # Errors
    /// The store fails.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        let mut tx = self.store.read_platform().await?;
        tx.newest_position(TENANT_SHARD).await
    }

    /// Returns the code that a `session.qr` is about, if it is still the present one.
    async fn code(&self, codes: &mut Codes, event: &LoggedEvent) -> Option<PairingSecret> {
        let session = event.session.filter(|_| event.name == SessionQr::EVENT)?;
        let Ok(Event::SessionQr(shown)) = event.event() else {
            return None;
        };
        let present = match codes.entry((session, shown.kind)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(asked) => {
                let code = self.coord.secret(session, shown.kind).await;
                asked.insert(code.ok().flatten())
            }
        };
        let about_it = |code: &PairingSecret| is_about(event, &shown, code);
        present.clone().filter(about_it)
    }
}

/// Reads the sessions that events are about, all at once.
async fn sessions(
    tx: &mut dyn PlatformTx,
    tenant: TenantId,
    events: &[LoggedEvent],
) -> Result<BTreeMap<SessionId, EventSession>, StoreError> {
    let about = events.iter().filter_map(|event| event.session);
    let mut sessions: BTreeMap<SessionId, EventSession> =
        about.map(|id| (id, deleted(id))).collect();
    if sessions.is_empty() {
        return Ok(sessions);
    }
    let ids: Vec<SessionId> = sessions.keys().copied().collect();
    for label in tx.card_labels(tenant, &ids).await? {
        let session = EventSession {
            id: label.id,
            name: Some(label.name),
            metadata: label.metadata,
        };
        sessions.insert(label.id, session);
    }
    Ok(sessions)
}

fn envelope(
    event: LoggedEvent,
    session: Option<EventSession>,
    code: Option<PairingSecret>,
) -> EventEnvelope {
    let mut envelope = EventEnvelope::new(event, session);
    if let Some(code) = code
        && let Err(error) = envelope.join(&ChallengeText::from(code))
    {
        tracing::warn!(event.id = %envelope.id, %error, "a code cannot be joined to its event");
    }
    envelope
}

/// Returns whether an event tells of this code. Pairing codes and passkey challenges of one epoch have the same
/// index, so the end of their lives tells them apart; a code that was asked for again may say it a little
/// differently.
fn is_about(event: &LoggedEvent, shown: &SessionQr, code: &PairingSecret) -> bool {
    let (a, b) = (code.expires_at, shown.expires_at);
    let same_end = a.since(b).max(b.since(a)) <= SAME_END;
    Some(code.epoch) == event.epoch && code.index == shown.index && same_end
}

/// Returns what is left of a session once it is deleted.
const fn deleted(id: SessionId) -> EventSession {
    EventSession {
        id,
        name: None,
        metadata: BTreeMap::new(),
    }
}
