//! The sequencer: gives committed events their numbers.
//!
//! One step is one transaction under the shard's row lock: read outbox rows, number them, write them to
//! the log with every counter they move, delete them from the outbox. Because numbers are given here
//! and nowhere else, they are dense, and no send ever waits for a shared counter row. [`number`] is the
//! rule; a store that can apply it where its rows are does so, and the conformance suite compares.

use std::collections::BTreeMap;

use super::{LoggedEvent, OutboxRow, Publication, ShardHead, UsageDelta, event_id};
use crate::id::SessionId;
use crate::store::{PlatformStore, StoreError};
use crate::time::Timestamp;

/// The shard with the events of all tenants.
pub const TENANT_SHARD: u16 = 0;

/// The result of one step of the sequencer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequenced {
    /// Another replica holds the shard.
    Busy,
    Published {
        /// How many events were published.
        count: usize,
        /// Whether the outbox may hold more, so that the caller should go on at once.
        more: bool,
    },
}

/// Numbers outbox rows, in their order, from where the shard and the sessions stand.
#[must_use]
pub fn number(
    shard: u16,
    head: ShardHead,
    mut session_heads: BTreeMap<SessionId, u64>,
    rows: Vec<OutboxRow>,
) -> Publication {
    let mut publication = Publication {
        head,
        ..Publication::default()
    };
    for row in rows {
        publication.head.position += 1;
        publication.consumed.push(row.row);
        let seq = row.event.session.map(|session| {
            let seq = session_heads.entry(session).or_insert(0);
            *seq += 1;
            publication.session_heads.insert(session, *seq);
            *seq
        });
        count(&mut publication, &row);
        publication.events.push(LoggedEvent {
            id: event_id(shard, publication.head.position, row.created_at),
            position: publication.head.position,
            seq,
            tenant: row.event.tenant,
            session: row.event.session,
            epoch: row.event.epoch,
            created_at: row.created_at,
            name: row.event.name.into_owned(),
            version: row.event.version,
            data: row.event.data,
        });
    }
    publication
}

fn count(publication: &mut Publication, row: &OutboxRow) {
    let (Some(tenant), Some(session)) = (row.event.tenant, row.event.session) else {
        return;
    };
    let delta = row.event.usage;
    if delta == UsageDelta::default() {
        return;
    }
    let at: Timestamp = row.created_at;
    let key = (tenant, session, at.start_of_hour());
    let usage = publication.usage.entry(key).or_default();
    usage.sent += delta.sent;
    usage.failed += delta.failed;
    usage.received += delta.received;
    let activity = publication.activity.entry(session).or_insert(at);
    *activity = (*activity).max(at);
}

/// Makes one step on `shard`, at most `limit` events.
///
/// Safe to call from any number of replicas, and to drop at any await.
///
/// # Errors
/// The store fails.
pub async fn sequence(
    store: &dyn PlatformStore,
    shard: u16,
    limit: u32,
) -> Result<Sequenced, StoreError> {
    let mut tx = store.begin_platform().await?;
    if tx.lock_shard(shard).await?.is_none() {
        return Ok(Sequenced::Busy);
    }
    let count = tx.publish(shard, limit).await?;
    // Also when nothing was written: a lock that is only dropped may outlive this call by a moment.
    tx.commit().await?;
    Ok(Sequenced::Published {
        count,
        more: count == limit as usize,
    })
}
