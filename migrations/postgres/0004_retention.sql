-- Why: what has grown old is forgotten, and is found by its age.

CREATE INDEX refresh_tokens_end ON refresh_tokens (expires_at);
CREATE INDEX quota_hours_hour ON quota_hours (hour);
-- A renewal changes no column of this index.
CREATE INDEX worker_leases_fenced ON worker_leases (fenced_at) WHERE fenced_at IS NOT NULL;
CREATE INDEX placements_ended ON placements (ended_at) WHERE ended_at IS NOT NULL;
-- A generation whose bytes are forgotten stays, without a sequence: its epoch still bars former owners.
CREATE INDEX state_versions_archived ON state_versions (archived_at)
    WHERE archived_at IS NOT NULL AND seq > 0;

-- Deleted sessions whose credentials are still to be erased (R-22).
CREATE TABLE erasures (
    session_id UUID        NOT NULL PRIMARY KEY,
    deleted_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX erasures_time ON erasures (deleted_at);
