-- Why: a session is shown as its tenant wrote its name, and one that is being deleted gives up its name at once (R-26).

ALTER TABLE sessions ADD COLUMN display_name TEXT;
ALTER TABLE sessions ADD COLUMN is_leaving INTEGER NOT NULL DEFAULT FALSE;
DROP INDEX sessions_name;
CREATE UNIQUE INDEX sessions_name ON sessions (tenant_id, name) WHERE NOT is_leaving;
