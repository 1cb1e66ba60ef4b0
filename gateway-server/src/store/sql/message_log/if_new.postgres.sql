-- After `rows`: leaves out messages that exist already, and their events. One row is returned: the moment, and
-- if something was left out, the keys of what was not. It runs without nested loops: nobody knows how many
-- rows a group has when it is planned.
    ON CONFLICT (tenant_id, id) DO NOTHING
    RETURNING tenant_id, id
),
told AS (
    INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, data, counts)
    SELECT clock.now, e.tenant_id, e.session_id, e.epoch, e.name, e.data, e.counts
    FROM unnest($21, $22, $23, $24, $25, $26, $27) WITH ORDINALITY
        AS e (tenant_id, message_id, session_id, epoch, name, data, counts, place)
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
