-- Why: the first schema. One statement of every table and of the index behind every query.
-- Text compares by its bytes (COLLATE "C"), as it does in SQLite; the file of the same name in ../sqlite
-- means the same.

-- Customers and their plans -----------------------------------------------------------------------

CREATE TABLE tiers (
    name              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sessions          BIGINT           NOT NULL,
    requests_per_hour BIGINT           NOT NULL,
    webhook_endpoints BIGINT           NOT NULL,
    history_days      BIGINT           NOT NULL,
    priority          BIGINT           NOT NULL
);

CREATE TABLE tenants (
    id         UUID             NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    tier       TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    version    BIGINT           NOT NULL,
    created_at TIMESTAMPTZ      NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL
);

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
    last_login_at    TIMESTAMPTZ
);
CREATE UNIQUE INDEX users_email ON users (email);

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
    created_at   TIMESTAMPTZ      NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, id);

CREATE TABLE refresh_tokens (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    family_id  UUID             NOT NULL,
    tenant_id  UUID             NOT NULL,
    user_id    UUID             NOT NULL,
    expires_at TIMESTAMPTZ      NOT NULL,
    used_at    TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ      NOT NULL
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (tenant_id, family_id);
CREATE INDEX refresh_tokens_user ON refresh_tokens (tenant_id, user_id);

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
    CONSTRAINT workers_assigned CHECK (assigned >= 0)
);
CREATE UNIQUE INDEX workers_endpoint ON workers (endpoint)
    WHERE status IN ('ACTIVE', 'SUSPECT', 'DRAINING');

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
CREATE INDEX sessions_held ON sessions (worker_id, incarnation, id)
    WHERE worker_id IS NOT NULL;
CREATE INDEX sessions_spread ON sessions (tenant_id, worker_id)
    WHERE worker_id IS NOT NULL;

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

-- Events ------------------------------------------------------------------------------------------

CREATE TABLE outbox (
    row_id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at TIMESTAMPTZ      NOT NULL,
    tenant_id  UUID,
    session_id UUID,
    epoch      BIGINT,
    name       TEXT COLLATE "C" NOT NULL,
    data       JSONB            NOT NULL
);

CREATE TABLE events (
    shard      BIGINT           NOT NULL,
    position   BIGINT           NOT NULL,
    id         UUID             NOT NULL,
    seq        BIGINT,
    tenant_id  UUID,
    session_id UUID,
    epoch      BIGINT,
    created_at TIMESTAMPTZ      NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    data       JSONB            NOT NULL,
    PRIMARY KEY (shard, position)
);
CREATE UNIQUE INDEX events_seq ON events (session_id, seq) WHERE session_id IS NOT NULL;
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
    content       JSONB,
    body_hash     BYTEA,
    epoch         BIGINT           NOT NULL,
    created_at    TIMESTAMPTZ      NOT NULL,
    sending_at    TIMESTAMPTZ,
    sent_at       TIMESTAMPTZ,
    delivered_at  TIMESTAMPTZ,
    read_at       TIMESTAMPTZ,
    played_at     TIMESTAMPTZ,
    failed_at     TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX messages_time ON messages (tenant_id, created_at, id);
CREATE INDEX messages_session ON messages (session_id, created_at, id);
CREATE INDEX messages_chat ON messages (session_id, chat_id, created_at, id);
