-- New rows out of the lists of a group, one per column; what follows says what becomes of those that exist
-- already, and of the events. Whatever time stands in a new row is the moment of the statement.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
made AS (
    INSERT INTO messages (
        tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status,
        error_code, error_message, content, body_hash, epoch, created_at,
        sending_at, sent_at, delivered_at, read_at, played_at, failed_at
    )
    SELECT
        n.tenant_id, n.id, n.session_id, n.direction, n.kind, n.chat_id, n.sender, n.wa_message_id,
        n.status, n.error_code, n.error_message, n.content, n.body_hash, n.epoch, clock.now,
        CASE WHEN n.sending THEN clock.now END, CASE WHEN n.sent THEN clock.now END,
        CASE WHEN n.delivered THEN clock.now END, CASE WHEN n.read THEN clock.now END,
        CASE WHEN n.played THEN clock.now END, CASE WHEN n.failed THEN clock.now END
    FROM unnest(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
    ) AS n (
        tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status,
        error_code, error_message, content, body_hash, epoch,
        sending, sent, delivered, read, played, failed
    )
    CROSS JOIN clock
