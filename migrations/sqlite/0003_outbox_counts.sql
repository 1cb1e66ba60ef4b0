-- Why: events are numbered inside the database, where nothing knows what an event means. So a row of the
-- outbox says what it adds to the usage of its session: 1 for a message that went out, 2 for one that
-- failed, 4 for one that came in, added up.

ALTER TABLE outbox ADD COLUMN counts INTEGER NOT NULL DEFAULT 0;

UPDATE outbox
SET counts = CASE
    WHEN name = 'message.received' THEN 4
    WHEN name = 'message.status' AND data->>'direction' = 'outbound' THEN
        CASE WHEN data->>'previous' IS NULL THEN 1 ELSE 0 END
        + CASE WHEN data->>'status' = 'failed' THEN 2 ELSE 0 END
    ELSE 0
END;
