//! A step of the sequencer in one statement, and the sessions whose activity it leaves to be noted.

use std::collections::BTreeMap;

use gateway_core::id::SessionId;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::super::columns::Columns;
use super::super::sequencer::activity_micros;
use super::super::tx::Tx;
use super::super::types::{Count, Id, Time};

const PUBLISH: &str = include_str!("publish.sql");

/// Nobody knows how long the outbox is when the step is planned, and what is best for a few rows takes
/// seconds for thousands: this transaction joins by hashing and looks rows up in indexes, which costs the
/// same per row whatever their number.
const PLANS: &str = "SELECT set_config('enable_nestloop', 'off', true), \
     set_config('enable_seqscan', 'off', true), \
     set_config('plan_cache_mode', 'force_generic_plan', true)";

/// Rows are locked in order first, by [`publish`].
const NOTE_ACTIVITY: &str = "UPDATE sessions AS s SET last_activity_at = n.at \
     FROM unnest($1, $2) AS n (id, at) \
     WHERE s.id = n.id AND (s.last_activity_at IS NULL OR s.last_activity_at < n.at)";

/// Publishes the oldest events of the outbox, `limit` at most, and returns how many.
pub(in super::super) async fn publish(
    tx: &mut Tx,
    shard: u16,
    limit: u32,
) -> Result<usize, StoreError> {
    tx.query(PLANS).execute().await?;
    let rows: Vec<(i64, Option<Id>, Option<Time>)> = tx
        .query(PUBLISH)
        .bind(Count(shard.into()))
        .bind(Count::from(limit))
        .bind(activity_micros())
        .all()
        .await?;
    let count = rows.first().map_or(0, |(count, _, _)| *count);
    let behind = rows.into_iter().filter_map(|(_, id, at)| Some((id?, at?)));
    let activity: BTreeMap<SessionId, Timestamp> = behind
        .map(|(id, at)| (SessionId::from_u128(id.0), at.0))
        .collect();
    if !activity.is_empty() {
        tx.lock_sessions(activity.keys().copied()).await?;
        let columns = Columns::new()
            .ids(activity.keys().map(|id| id.as_u128()))
            .times(activity.values().copied());
        tx.query(NOTE_ACTIVITY).columns(columns).execute().await?;
    }
    Ok(usize::try_from(count).unwrap_or_default())
}
