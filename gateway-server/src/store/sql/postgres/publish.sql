-- One step of the sequencer in one statement, so that all of its parts see the same rows: what commits
-- meanwhile waits for the next step. The shard's row is locked by this transaction. The result says how
-- many events there were, beside every session whose last activity has to be written.
-- It runs without nested loops and scans of whole tables, so look-ups by key are no joins here.
WITH head AS MATERIALIZED (SELECT position FROM sequencer_shards WHERE shard = $1),
taken AS MATERIALIZED (
    DELETE FROM outbox
    -- What commits meanwhile below the last one is not seen by this statement, and stays.
    WHERE row_id <= (
        SELECT max(row_id) FROM (SELECT row_id FROM outbox ORDER BY row_id LIMIT $2) AS step
    )
    RETURNING row_id, created_at, tenant_id, session_id, epoch, name, version, data, counts
),
grown AS MATERIALIZED (
    SELECT session_id, count(*) AS events, max(created_at) FILTER (WHERE counts > 0) AS active_at
    FROM taken
    WHERE session_id IS NOT NULL
    GROUP BY session_id
),
heads AS (
    INSERT INTO session_heads AS h (session_id, seq)
    SELECT session_id, events FROM grown
    ON CONFLICT (session_id) DO UPDATE SET seq = h.seq + excluded.seq
    RETURNING session_id, seq
),
logged AS (
    INSERT INTO events (
        shard, position, seq, tenant_id, session_id, epoch, created_at, name, version, data
    )
    SELECT
        $1, head.position + row_number() OVER (ORDER BY t.row_id),
        heads.seq - grown.events + row_number() OVER (PARTITION BY t.session_id ORDER BY t.row_id),
        t.tenant_id, t.session_id, t.epoch, t.created_at, t.name, t.version, t.data
    FROM taken AS t
    CROSS JOIN head
    LEFT JOIN grown ON grown.session_id = t.session_id
    LEFT JOIN heads ON heads.session_id = t.session_id
),
used AS (
    INSERT INTO usage_hours AS u (tenant_id, session_id, hour, sent, failed, received)
    SELECT
        tenant_id, session_id, date_trunc('hour', created_at, 'UTC'),
        sum(counts & 1), sum((counts >> 1) & 1), sum(counts >> 2)
    FROM taken
    WHERE counts > 0
    GROUP BY 1, 2, 3
    ON CONFLICT (tenant_id, session_id, hour) DO UPDATE
    SET sent = u.sent + excluded.sent,
        failed = u.failed + excluded.failed,
        received = u.received + excluded.received
),
moved AS (
    UPDATE sequencer_shards SET position = position + (SELECT count(*) FROM taken)
    WHERE shard = $1
),
behind AS (
    SELECT grown.session_id, grown.active_at
    FROM grown
    WHERE grown.active_at - $3 * INTERVAL '1 microsecond' >= (
        SELECT coalesce(s.last_activity_at, '-infinity') FROM sessions AS s WHERE s.id = grown.session_id
    )
)
SELECT step.events, behind.session_id, behind.active_at
FROM (SELECT count(*) AS events FROM taken) AS step
LEFT JOIN behind ON TRUE
