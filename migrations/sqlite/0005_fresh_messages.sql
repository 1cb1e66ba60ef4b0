-- Why: a commit writes every page that it has touched, and an index that begins with the tenant or the
-- session touches another page for each message. So a new message, which is inserted as fresh, goes only
-- to trees that grow at their end: the table, its key, which begins with the id, and `messages_fresh`.
-- The sequencer takes the mark from thousands of rows at once, and with that they enter the indexes of
-- the history, where many of them share a page. Who reads history looks into both.

ALTER TABLE messages ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0;

DROP INDEX messages_time;
DROP INDEX messages_session;
CREATE INDEX messages_time ON messages (tenant_id, created_at, id) WHERE fresh = 0;
CREATE INDEX messages_session ON messages (session_id, created_at, id) WHERE fresh = 0;
-- With what a reader of a tenant's or a session's history asks first, so that the rows of others need not
-- be looked at.
CREATE INDEX messages_fresh ON messages (created_at, id, tenant_id, session_id) WHERE fresh = 1;
