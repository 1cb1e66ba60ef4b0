-- Why: what 0005 does for messages, for events. A step of the sequencer finds a few events of each session, and
-- an index that begins with the tenant changes a page for every session among them. So a new event goes to
-- the end of the log alone, and of `events_fresh`; the history's indexes take in many thousands at once.

ALTER TABLE events ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0;

DROP INDEX events_tenant;
DROP INDEX events_session;
CREATE INDEX events_tenant ON events (tenant_id, position) WHERE fresh = 0;
CREATE INDEX events_session ON events (tenant_id, session_id, position) WHERE fresh = 0;
-- With what a reader of a tenant's or a session's events asks first, so that the rows of others need not be
-- looked at.
CREATE INDEX events_fresh ON events (position, tenant_id, session_id) WHERE fresh = 1;
