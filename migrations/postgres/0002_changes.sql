-- Why: caches ask what has changed since a moment (R-7), and replicas count themselves (R-10).
-- `changed_at` is the server's clock at the write, set by every write that a cache cares about and by no
-- other: not by a claim, not by a count of places, not by a use of a key. Rows that are there already
-- have not changed since anybody began to look.

ALTER TABLE tiers ADD COLUMN changed_at TIMESTAMPTZ NOT NULL DEFAULT to_timestamp(0);
CREATE INDEX tiers_changed ON tiers (changed_at);

ALTER TABLE tenants ADD COLUMN changed_at TIMESTAMPTZ NOT NULL DEFAULT to_timestamp(0);
CREATE INDEX tenants_changed ON tenants (changed_at);

ALTER TABLE users ADD COLUMN changed_at TIMESTAMPTZ NOT NULL DEFAULT to_timestamp(0);
CREATE INDEX users_changed ON users (changed_at);

ALTER TABLE api_keys ADD COLUMN changed_at TIMESTAMPTZ NOT NULL DEFAULT to_timestamp(0);
CREATE INDEX api_keys_changed ON api_keys (changed_at);

ALTER TABLE workers ADD COLUMN changed_at TIMESTAMPTZ NOT NULL DEFAULT to_timestamp(0);
CREATE INDEX workers_changed ON workers (changed_at);

-- The versions are in the index, so that a busy minute is read without its rows.
ALTER TABLE sessions ADD COLUMN changed_at TIMESTAMPTZ NOT NULL DEFAULT to_timestamp(0);
CREATE INDEX sessions_changed ON sessions (changed_at, id, version);

CREATE INDEX refresh_tokens_revoked ON refresh_tokens (revoked_at) WHERE revoked_at IS NOT NULL;

-- What is gone, for an hour.
CREATE TABLE deletions (
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    deleted_at TIMESTAMPTZ      NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX deletions_time ON deletions (deleted_at);

-- Who serves: those that renewed lately.
CREATE TABLE replicas (
    id         UUID        NOT NULL PRIMARY KEY,
    renewed_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX replicas_renewed ON replicas (renewed_at);
