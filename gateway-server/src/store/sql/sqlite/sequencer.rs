//! A step of the sequencer in a handful of statements over the same rows: there is one writer, so none appear
//! between two of them.

use gateway_core::store::StoreError;

use super::super::sequencer::activity_micros;
use super::super::tx::Tx;
use super::super::types::Count;

/// The last row of a step and how many it has.
const STEP: &str = "SELECT max(row_id), count(*) \
     FROM (SELECT row_id FROM outbox ORDER BY row_id LIMIT $1) AS w";

const LOG: &str = "INSERT INTO events (shard, position, seq, tenant_id, session_id, epoch, \
         created_at, name, version, data) \
     SELECT $1, s.position + row_number() OVER (ORDER BY o.row_id), \
         CASE WHEN o.session_id IS NOT NULL THEN coalesce(h.seq, 0) \
             + row_number() OVER (PARTITION BY o.session_id ORDER BY o.row_id) END, \
         o.tenant_id, o.session_id, o.epoch, o.created_at, o.name, o.version, o.data \
     FROM outbox AS o \
     JOIN sequencer_shards AS s ON s.shard = $1 \
     LEFT JOIN session_heads AS h ON h.session_id = o.session_id \
     WHERE o.row_id <= $2";

const MOVE_HEADS: &str = "INSERT INTO session_heads AS h (session_id, seq) \
     SELECT session_id, count(*) FROM outbox \
     WHERE row_id <= $1 AND session_id IS NOT NULL GROUP BY session_id \
     ON CONFLICT (session_id) DO UPDATE SET seq = h.seq + excluded.seq";

const COUNT_USE: &str = "INSERT INTO usage_hours AS u \
         (tenant_id, session_id, hour, sent, failed, received) \
     SELECT tenant_id, session_id, created_at - created_at % 3600000000, \
         sum(counts & 1), sum((counts >> 1) & 1), sum(counts >> 2) \
     FROM outbox WHERE row_id <= $1 AND counts > 0 GROUP BY 1, 2, 3 \
     ON CONFLICT (tenant_id, session_id, hour) DO UPDATE SET sent = u.sent + excluded.sent, \
         failed = u.failed + excluded.failed, received = u.received + excluded.received";

/// Beside `version`: what the sequencer knows is no reason to repeat a decision.
const ACTIVE: &str = "UPDATE sessions AS s SET last_activity_at = n.at \
     FROM (SELECT session_id AS id, max(created_at) AS at FROM outbox \
         WHERE row_id <= $1 AND counts > 0 GROUP BY session_id) AS n \
     WHERE s.id = n.id AND (s.last_activity_at IS NULL OR s.last_activity_at <= n.at - $2)";

const CONSUME: &str = "DELETE FROM outbox WHERE row_id <= $1";

const MOVE_SHARD: &str = "UPDATE sequencer_shards SET position = position + $2 WHERE shard = $1";

/// Publishes the oldest events of the outbox, `limit` at most, and returns how many.
pub(in super::super) async fn publish(
    tx: &mut Tx,
    shard: u16,
    limit: u32,
) -> Result<usize, StoreError> {
    let shard = Count(shard.into());
    let step = tx.query(STEP).bind(Count::from(limit));
    let (Some(last), count): (Option<i64>, Count) = step.one().await? else {
        return Ok(0);
    };
    let log = tx.query(LOG).bind(shard).bind(last);
    log.execute().await?;
    for statement in [MOVE_HEADS, COUNT_USE] {
        tx.query(statement).bind(last).execute().await?;
    }
    let active = tx.query(ACTIVE).bind(last).bind(activity_micros());
    active.execute().await?;
    tx.query(CONSUME).bind(last).execute().await?;
    let moving = tx.query(MOVE_SHARD).bind(shard).bind(count);
    moving.execute().await?;
    Ok(usize::try_from(count.0).unwrap_or_default())
}
