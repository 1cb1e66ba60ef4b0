-- Why: the first schema. One statement of every table and of the index behind every query.
-- Text compares by its bytes (COLLATE "C"), as it does in SQLite; the file of the same name in ../sqlite
-- means the same.
--
-- What a message says and what an event tells is JSON, not JSONB: it is written once, moved once and given out
-- whole, and nobody asks the database for a part of it.
--
-- `changed_at` is the server's clock at the write, set by every write that a cache cares about (R-7) and by no
-- other: not by a claim, not by a count of places, not by a use of a key.

-- Customers and their plans -----------------------------------------------------------------------

CREATE TABLE tiers (
    name              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sessions          BIGINT           NOT NULL,
    requests_per_hour BIGINT           NOT NULL,
    webhook_endpoints BIGINT           NOT NULL,
    history_days      BIGINT           NOT NULL,
    priority          BIGINT           NOT NULL,
    changed_at        TIMESTAMPTZ      NOT NULL
);
CREATE INDEX tiers_changed ON tiers (changed_at);

CREATE TABLE tenants (
    id         UUID             NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    tier       TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    version    BIGINT           NOT NULL,
    created_at TIMESTAMPTZ      NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL,
    changed_at TIMESTAMPTZ      NOT NULL
);
CREATE INDEX tenants_changed ON tenants (changed_at);

CREATE TABLE users (
    id               UUID             NOT NULL PRIMARY KEY,
    tenant_id        UUID             NOT NULL,
    email            TEXT COLLATE "C" NOT NULL,
    name             TEXT COLLATE "C",
    password_hash    TEXT COLLATE "C" NOT NULL,
    role             TEXT COLLATE "C" NOT NULL,
    token_generation BIGINT           NOT NULL,
    version          BIGINT           NOT NULL,
    created_at       TIMESTAMPTZ      NOT NULL,
    updated_at       TIMESTAMPTZ      NOT NULL,
    last_login_at    TIMESTAMPTZ,
    changed_at       TIMESTAMPTZ      NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_changed ON users (changed_at);

CREATE TABLE api_keys (
    id           UUID             NOT NULL PRIMARY KEY,
    tenant_id    UUID             NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    hash         BYTEA            NOT NULL,
    prefix       TEXT COLLATE "C" NOT NULL,
    scopes       JSONB            NOT NULL,
    session_id   UUID,
    expires_at   TIMESTAMPTZ,
    revoked_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    version      BIGINT           NOT NULL,
    created_at   TIMESTAMPTZ      NOT NULL,
    changed_at   TIMESTAMPTZ      NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, id);
CREATE INDEX api_keys_changed ON api_keys (changed_at);

-- A login is the parent of its refresh tokens: whoever grants the next one and whoever ends the login write
-- this row, so that one waits for the other.
CREATE TABLE logins (
    id         UUID        NOT NULL PRIMARY KEY,
    tenant_id  UUID        NOT NULL,
    user_id    UUID        NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at   TIMESTAMPTZ
);
CREATE INDEX logins_user ON logins (tenant_id, user_id);
CREATE INDEX logins_end ON logins (expires_at);
CREATE INDEX logins_ended ON logins (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    family_id  UUID             NOT NULL,
    tenant_id  UUID             NOT NULL,
    user_id    UUID             NOT NULL,
    expires_at TIMESTAMPTZ      NOT NULL,
    used_at    TIMESTAMPTZ,
    created_at TIMESTAMPTZ      NOT NULL
);

CREATE TABLE quota_hours (
    tenant_id UUID             NOT NULL,
    hour      TIMESTAMPTZ      NOT NULL,
    granted   BIGINT           NOT NULL,
    PRIMARY KEY (tenant_id, hour)
);

-- Workers -----------------------------------------------------------------------------------------

CREATE TABLE workers (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    status           TEXT COLLATE "C" NOT NULL,
    cordoned         BOOLEAN          NOT NULL,
    endpoint         TEXT COLLATE "C",
    incarnation      TEXT COLLATE "C",
    max_sessions     BIGINT           NOT NULL,
    assigned         BIGINT           NOT NULL,
    version          TEXT COLLATE "C",
    environment      TEXT COLLATE "C",
    labels           JSONB            NOT NULL,
    protocol_version BIGINT           NOT NULL,
    engine           JSONB            NOT NULL,
    join_token_hash  BYTEA,
    row_version      BIGINT           NOT NULL,
    created_at       TIMESTAMPTZ      NOT NULL,
    registered_at    TIMESTAMPTZ,
    updated_at       TIMESTAMPTZ      NOT NULL,
    changed_at       TIMESTAMPTZ      NOT NULL,
    CONSTRAINT workers_assigned CHECK (assigned >= 0)
);
CREATE UNIQUE INDEX workers_endpoint ON workers (endpoint)
    WHERE status IN ('ACTIVE', 'SUSPECT', 'DRAINING');
CREATE INDEX workers_changed ON workers (changed_at);

CREATE TABLE worker_leases (
    worker_id   TEXT COLLATE "C" NOT NULL,
    incarnation TEXT COLLATE "C" NOT NULL,
    renewals    BIGINT           NOT NULL,
    renewed_at  TIMESTAMPTZ      NOT NULL,
    granted_at  TIMESTAMPTZ      NOT NULL,
    disowned    BOOLEAN          NOT NULL,
    fenced_at   TIMESTAMPTZ,
    report      JSONB            NOT NULL,
    PRIMARY KEY (worker_id, incarnation)
);
CREATE INDEX worker_leases_open ON worker_leases (worker_id, incarnation)
    WHERE fenced_at IS NULL;

-- Sessions ----------------------------------------------------------------------------------------

-- `phase`, `worker_id`, `incarnation` and `detail` are one value: the phase with what it carries.
-- `detail_at` is the moment inside `detail`, because JSON keeps milliseconds only. `status` is the
-- projection of the row, written with it and read by filters alone.
CREATE TABLE sessions (
    id               UUID             NOT NULL PRIMARY KEY,
    tenant_id        UUID             NOT NULL,
    name             TEXT COLLATE "C" NOT NULL,
    description      TEXT COLLATE "C",
    metadata         JSONB            NOT NULL,
    created_at       TIMESTAMPTZ      NOT NULL,
    updated_at       TIMESTAMPTZ      NOT NULL,
    desired          TEXT COLLATE "C" NOT NULL,
    pairing          JSONB            NOT NULL,
    priority         BIGINT           NOT NULL,
    phase            TEXT COLLATE "C" NOT NULL,
    worker_id        TEXT COLLATE "C",
    incarnation      TEXT COLLATE "C",
    detail           JSONB,
    detail_at        TIMESTAMPTZ,
    phase_since      TIMESTAMPTZ      NOT NULL,
    status           TEXT COLLATE "C" NOT NULL,
    status_since     TIMESTAMPTZ      NOT NULL,
    epoch            BIGINT           NOT NULL,
    version          BIGINT           NOT NULL,
    attempt          BIGINT           NOT NULL,
    reason           TEXT COLLATE "C",
    deadline         TIMESTAMPTZ,
    due_at           TIMESTAMPTZ,
    retry_at         TIMESTAMPTZ,
    report_seq       BIGINT           NOT NULL,
    paired           BOOLEAN          NOT NULL,
    phone_number     TEXT COLLATE "C",
    state_format     TEXT COLLATE "C",
    linking_since    TIMESTAMPTZ,
    linking_until    TIMESTAMPTZ,
    last_activity_at TIMESTAMPTZ,
    changed_at       TIMESTAMPTZ      NOT NULL,
    CONSTRAINT sessions_owner CHECK (
        (phase IN ('STARTING', 'ACTIVE', 'STOPPING')) = (worker_id IS NOT NULL)
        AND (worker_id IS NULL) = (incarnation IS NULL)
    ),
    CONSTRAINT sessions_due CHECK (
        due_at IS NOT NULL
        OR (phase NOT IN ('WAITING', 'STARTING', 'STOPPING')
            AND deadline IS NULL AND retry_at IS NULL)
    )
);
CREATE UNIQUE INDEX sessions_name ON sessions (tenant_id, name);
CREATE INDEX sessions_tenant ON sessions (tenant_id, id);
CREATE INDEX sessions_status ON sessions (tenant_id, status, id);
CREATE INDEX sessions_due_order ON sessions (due_at, paired DESC, priority DESC, created_at, id)
    WHERE due_at IS NOT NULL;
CREATE INDEX sessions_waiting ON sessions (paired DESC, priority DESC, created_at, id)
    WHERE phase = 'WAITING';
-- Every heartbeat asks what its worker holds; everything that is asked is in the index, so that the rows
-- of a hundred sessions, each on a page of its own, need not be read.
CREATE INDEX sessions_held ON sessions (worker_id, incarnation, id, epoch, status, phase)
    WHERE worker_id IS NOT NULL;
CREATE INDEX sessions_spread ON sessions (tenant_id, worker_id)
    WHERE worker_id IS NOT NULL;
-- The versions are in the index, so that a busy minute is read without its rows.
CREATE INDEX sessions_changed ON sessions (changed_at, id, version);

CREATE TABLE placements (
    session_id  UUID             NOT NULL,
    epoch       BIGINT           NOT NULL,
    tenant_id   UUID             NOT NULL,
    worker_id   TEXT COLLATE "C" NOT NULL,
    incarnation TEXT COLLATE "C" NOT NULL,
    why         TEXT COLLATE "C" NOT NULL,
    explanation JSONB            NOT NULL,
    placed_at   TIMESTAMPTZ      NOT NULL,
    ended_at    TIMESTAMPTZ,
    ended_why   TEXT COLLATE "C",
    PRIMARY KEY (session_id, epoch)
);

-- Session state: generations, so that an archived one does not stand in the way of a new one. The
-- journal's bytes are encrypted; the snapshot named here lies in the object store.
CREATE TABLE state_versions (
    session_id   UUID             NOT NULL,
    generation   BIGINT           NOT NULL,
    epoch        BIGINT           NOT NULL,
    seq          BIGINT           NOT NULL,
    snapshot_seq BIGINT,
    snapshot_key TEXT COLLATE "C",
    archived_at  TIMESTAMPTZ,
    created_at   TIMESTAMPTZ      NOT NULL,
    updated_at   TIMESTAMPTZ      NOT NULL,
    PRIMARY KEY (session_id, generation)
);
CREATE UNIQUE INDEX state_versions_live ON state_versions (session_id)
    WHERE archived_at IS NULL;

CREATE TABLE state_journal (
    session_id UUID             NOT NULL,
    generation BIGINT           NOT NULL,
    seq        BIGINT           NOT NULL,
    entry      BYTEA            NOT NULL,
    PRIMARY KEY (session_id, generation, seq)
);

-- What caches ask and who serves --------------------------------------------------------------------

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
    id         UUID             NOT NULL PRIMARY KEY,
    renewed_at TIMESTAMPTZ      NOT NULL
);
CREATE INDEX replicas_renewed ON replicas (renewed_at);

-- Events ------------------------------------------------------------------------------------------

-- Events are numbered inside the database, where nothing knows what an event means. So a row of the outbox
-- says in `counts` what it adds to the usage of its session: 1 for a message that went out, 2 for one that
-- failed, 4 for one that came in, added up.
CREATE TABLE outbox (
    row_id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at TIMESTAMPTZ      NOT NULL,
    tenant_id  UUID,
    session_id UUID,
    epoch      BIGINT,
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT           NOT NULL,
    data       JSON             NOT NULL,
    counts     BIGINT           NOT NULL
);

-- An event's id follows from its shard, its position and its time. Its `seq` needs no index: numbers are
-- dense and unique because they are given under the lock of the shard, out of `session_heads`, in the
-- transaction that gives the position; and readers go on from a position.
CREATE TABLE events (
    shard      BIGINT           NOT NULL,
    position   BIGINT           NOT NULL,
    seq        BIGINT,
    tenant_id  UUID,
    session_id UUID,
    epoch      BIGINT,
    created_at TIMESTAMPTZ      NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT           NOT NULL,
    data       JSON             NOT NULL,
    PRIMARY KEY (shard, position)
);
CREATE INDEX events_tenant ON events (tenant_id, position);
CREATE INDEX events_session ON events (tenant_id, session_id, position);

CREATE TABLE session_heads (
    session_id UUID             NOT NULL PRIMARY KEY,
    seq        BIGINT           NOT NULL
);

CREATE TABLE sequencer_shards (
    shard    BIGINT           NOT NULL PRIMARY KEY,
    position BIGINT           NOT NULL
);
INSERT INTO sequencer_shards (shard, position) VALUES (0, 0);

CREATE TABLE usage_hours (
    tenant_id  UUID             NOT NULL,
    session_id UUID             NOT NULL,
    hour       TIMESTAMPTZ      NOT NULL,
    sent       BIGINT           NOT NULL,
    failed     BIGINT           NOT NULL,
    received   BIGINT           NOT NULL,
    PRIMARY KEY (tenant_id, session_id, hour)
);

-- Messages: no foreign keys, because every one would be a look-up and a lock on the hot path. --------

-- A message is written once and read seldom, and what a write costs is the pages it changes: a key that begins
-- with the message's id, which grows with time, goes on where the last one ended. Chats are found in the
-- history of their session.
CREATE TABLE messages (
    tenant_id     UUID             NOT NULL,
    id            UUID             NOT NULL,
    session_id    UUID             NOT NULL,
    direction     TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C",
    chat_id       TEXT COLLATE "C",
    sender        TEXT COLLATE "C",
    wa_message_id TEXT COLLATE "C",
    status        TEXT COLLATE "C" NOT NULL,
    error_code    TEXT COLLATE "C",
    error_message TEXT COLLATE "C",
    content       JSON,
    body_hash     BYTEA,
    epoch         BIGINT           NOT NULL,
    created_at    TIMESTAMPTZ      NOT NULL,
    sending_at    TIMESTAMPTZ,
    sent_at       TIMESTAMPTZ,
    delivered_at  TIMESTAMPTZ,
    read_at       TIMESTAMPTZ,
    played_at     TIMESTAMPTZ,
    failed_at     TIMESTAMPTZ,
    PRIMARY KEY (id, tenant_id)
);
CREATE INDEX messages_time ON messages (tenant_id, created_at, id);
CREATE INDEX messages_session ON messages (session_id, created_at, id);
