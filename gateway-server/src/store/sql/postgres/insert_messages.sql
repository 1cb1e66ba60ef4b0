-- New rows out of the lists of a group, one per column, and their events; messages that exist already are left
-- out, and so are their events. Whatever time stands in a new row is the moment of the statement, but for
-- when it was written, which is when what was typed on the phone was sent. One row is
-- returned: the moment, and if something was left out, the keys of what was not. It runs without nested loops:
-- nobody knows how many rows a group has when it is planned.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
made AS (
    INSERT INTO messages (
        tenant_id, id, session_id, direction, kind, chat_id, sender, source, wa_message_id, status,
        error_code, error_message, content, body_hash, epoch, refused_status, occurred_at,
        created_at, sending_at, sent_at, delivered_at, read_at, played_at, failed_at
    )
    SELECT
        n.tenant_id, n.id, n.session_id, n.direction, n.kind, n.chat_id, n.sender, n.source,
        n.wa_message_id, n.status, n.error_code, n.error_message, n.content, n.body_hash, n.epoch,
        n.refused_status,
        CASE WHEN n.occurred_at > clock.now THEN clock.now ELSE n.occurred_at END, clock.now,
        CASE WHEN n.sending THEN clock.now END,
        CASE WHEN n.sent THEN least(n.occurred_at, clock.now) END,
        CASE WHEN n.delivered THEN clock.now END, CASE WHEN n.read THEN clock.now END,
        CASE WHEN n.played THEN clock.now END, CASE WHEN n.failed THEN clock.now END
    FROM unnest(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23
    ) AS n (
        tenant_id, id, session_id, direction, kind, chat_id, sender, source, wa_message_id, status,
        error_code, error_message, content, body_hash, epoch, refused_status, occurred_at,
        sending, sent, delivered, read, played, failed
    )
    CROSS JOIN clock
    ON CONFLICT (tenant_id, id) DO NOTHING
    RETURNING tenant_id, id
),
told AS (
    INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, version, data, counts)
    SELECT clock.now, e.tenant_id, e.session_id, e.epoch, e.name, e.version, e.data, e.counts
    FROM unnest($24, $25, $26, $27, $28, $29, $30, $31) WITH ORDINALITY
        AS e (tenant_id, message_id, session_id, epoch, name, version, data, counts, place)
    JOIN made ON made.tenant_id = e.tenant_id AND made.id = e.message_id
    CROSS JOIN clock
    ORDER BY e.place
)
SELECT
    clock.now,
    CASE WHEN step.made < cardinality($2) THEN ARRAY(SELECT tenant_id FROM made) END,
    CASE WHEN step.made < cardinality($2) THEN ARRAY(SELECT id FROM made) END
FROM clock
CROSS JOIN (SELECT count(*) AS made FROM made) AS step
