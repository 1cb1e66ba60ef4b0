-- Why: messages as people know them. When a message was written (R-60c), whether that was on the phone (R-60a), and
-- what a worker answered that refused it, so that a repetition gets the same answer (R-63).

-- Nothing here stands for "when it was recorded", which is so for all that is sent through the gateway.
ALTER TABLE messages ADD COLUMN occurred_at TIMESTAMPTZ;
-- Nothing here stands for "through the gateway".
ALTER TABLE messages ADD COLUMN source TEXT COLLATE "C";
ALTER TABLE messages ADD COLUMN refused_status BIGINT;

-- Lists go by when a message was written. As many indexes as before: each costs every send.
DROP INDEX messages_time;
DROP INDEX messages_session;
CREATE INDEX messages_time ON messages (tenant_id, coalesce(occurred_at, created_at), id);
CREATE INDEX messages_session ON messages (session_id, coalesce(occurred_at, created_at), id);
