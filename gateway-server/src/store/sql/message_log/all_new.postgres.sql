-- After `rows`: takes for granted that every message is new, and fails as a whole if one is not. Looking for
-- each first, and taking it back if somebody else was faster, costs a third more.
),
told AS (
    INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, data, counts)
    SELECT clock.now, e.tenant_id, e.session_id, e.epoch, e.name, e.data, e.counts
    FROM unnest($21, $22, $23, $24, $25, $26, $27) WITH ORDINALITY
        AS e (tenant_id, message_id, session_id, epoch, name, data, counts, place)
    CROSS JOIN clock
    ORDER BY e.place
)
SELECT clock.now, NULL::UUID[], NULL::UUID[] FROM clock
