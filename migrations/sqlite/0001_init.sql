-- Why: the first schema. One statement of every table and of the index behind every query.
-- Times are microseconds since 1970, ids are 16 bytes, JSON is text, booleans are 0 and 1; the file
-- of the same name in ../postgres means the same.
--
-- `changed_at` is the gateway's clock at the write, set by every write that a cache cares about (R-7) and by no
-- other: not by a claim, not by a count of places, not by a use of a key.

-- Customers and their plans -----------------------------------------------------------------------

CREATE TABLE tiers (
    name              TEXT    NOT NULL PRIMARY KEY,
    sessions          INTEGER NOT NULL,
    requests_per_hour INTEGER NOT NULL,
    webhook_endpoints INTEGER NOT NULL,
    history_days      INTEGER NOT NULL,
    priority          INTEGER NOT NULL,
    changed_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX tiers_changed ON tiers (changed_at);

CREATE TABLE tenants (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    tier       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tenants_changed ON tenants (changed_at);

CREATE TABLE users (
    id               BLOB    NOT NULL PRIMARY KEY,
    tenant_id        BLOB    NOT NULL,
    email            TEXT    NOT NULL,
    name             TEXT,
    password_hash    TEXT    NOT NULL,
    role             TEXT    NOT NULL,
    token_generation INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    last_login_at    INTEGER,
    changed_at       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_changed ON users (changed_at);

CREATE TABLE api_keys (
    id           BLOB    NOT NULL PRIMARY KEY,
    tenant_id    BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    hash         BLOB    NOT NULL,
    prefix       TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    session_id   BLOB,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, id);
CREATE INDEX api_keys_changed ON api_keys (changed_at);

-- A login is the parent of its refresh tokens: whoever grants the next one and whoever ends the login write
-- this row, so that one waits for the other.
CREATE TABLE logins (
    id         BLOB    NOT NULL PRIMARY KEY,
    tenant_id  BLOB    NOT NULL,
    user_id    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX logins_user ON logins (tenant_id, user_id);
CREATE INDEX logins_end ON logins (expires_at);
CREATE INDEX logins_ended ON logins (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,
    family_id  BLOB    NOT NULL,
    tenant_id  BLOB    NOT NULL,
    user_id    BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE quota_hours (
    tenant_id BLOB    NOT NULL,
    hour      INTEGER NOT NULL,
    granted   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, hour)
) STRICT;

-- Workers -----------------------------------------------------------------------------------------

CREATE TABLE workers (
    id               TEXT    NOT NULL PRIMARY KEY,
    status           TEXT    NOT NULL,
    cordoned         INTEGER NOT NULL,
    endpoint         TEXT,
    incarnation      TEXT,
    max_sessions     INTEGER NOT NULL,
    assigned         INTEGER NOT NULL,
    version          TEXT,
    environment      TEXT,
    labels           TEXT    NOT NULL,
    protocol_version INTEGER NOT NULL,
    engine           TEXT    NOT NULL,
    join_token_hash  BLOB,
    row_version      INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    registered_at    INTEGER,
    updated_at       INTEGER NOT NULL,
    changed_at       INTEGER NOT NULL,
    CONSTRAINT workers_assigned CHECK (assigned >= 0)
) STRICT;
CREATE UNIQUE INDEX workers_endpoint ON workers (endpoint)
    WHERE status IN ('ACTIVE', 'SUSPECT', 'DRAINING');
CREATE INDEX workers_changed ON workers (changed_at);

CREATE TABLE worker_leases (
    worker_id   TEXT    NOT NULL,
    incarnation TEXT    NOT NULL,
    renewals    INTEGER NOT NULL,
    renewed_at  INTEGER NOT NULL,
    granted_at  INTEGER NOT NULL,
    disowned    INTEGER NOT NULL,
    fenced_at   INTEGER,
    report      TEXT    NOT NULL,
    PRIMARY KEY (worker_id, incarnation)
) STRICT;
CREATE INDEX worker_leases_open ON worker_leases (worker_id, incarnation)
    WHERE fenced_at IS NULL;

-- Sessions ----------------------------------------------------------------------------------------

-- `phase`, `worker_id`, `incarnation` and `detail` are one value: the phase with what it carries.
-- `detail_at` is the moment inside `detail`, because JSON keeps milliseconds only. `status` is the
-- projection of the row, written with it and read by filters alone.
CREATE TABLE sessions (
    id               BLOB    NOT NULL PRIMARY KEY,
    tenant_id        BLOB    NOT NULL,
    name             TEXT    NOT NULL,
    description      TEXT,
    metadata         TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    desired          TEXT    NOT NULL,
    pairing          TEXT    NOT NULL,
    priority         INTEGER NOT NULL,
    phase            TEXT    NOT NULL,
    worker_id        TEXT,
    incarnation      TEXT,
    detail           TEXT,
    detail_at        INTEGER,
    phase_since      INTEGER NOT NULL,
    status           TEXT    NOT NULL,
    status_since     INTEGER NOT NULL,
    epoch            INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,
    reason           TEXT,
    deadline         INTEGER,
    due_at           INTEGER,
    retry_at         INTEGER,
    report_seq       INTEGER NOT NULL,
    paired           INTEGER NOT NULL,
    phone_number     TEXT,
    state_format     TEXT,
    linking_since    INTEGER,
    linking_until    INTEGER,
    last_activity_at INTEGER,
    changed_at       INTEGER NOT NULL,
    CONSTRAINT sessions_owner CHECK (
        (phase IN ('STARTING', 'ACTIVE', 'STOPPING')) = (worker_id IS NOT NULL)
        AND (worker_id IS NULL) = (incarnation IS NULL)
    ),
    CONSTRAINT sessions_due CHECK (
        due_at IS NOT NULL
        OR (phase NOT IN ('WAITING', 'STARTING', 'STOPPING')
            AND deadline IS NULL AND retry_at IS NULL)
    )
) STRICT;
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
    session_id  BLOB    NOT NULL,
    epoch       INTEGER NOT NULL,
    tenant_id   BLOB    NOT NULL,
    worker_id   TEXT    NOT NULL,
    incarnation TEXT    NOT NULL,
    why         TEXT    NOT NULL,
    explanation TEXT    NOT NULL,
    placed_at   INTEGER NOT NULL,
    ended_at    INTEGER,
    ended_why   TEXT,
    PRIMARY KEY (session_id, epoch)
) STRICT;

-- Session state: generations, so that an archived one does not stand in the way of a new one. The
-- journal's bytes are encrypted; the snapshot named here lies in the object store.
CREATE TABLE state_versions (
    session_id   BLOB    NOT NULL,
    generation   INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    snapshot_seq INTEGER,
    snapshot_key TEXT,
    archived_at  INTEGER,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (session_id, generation)
) STRICT;
CREATE UNIQUE INDEX state_versions_live ON state_versions (session_id)
    WHERE archived_at IS NULL;

CREATE TABLE state_journal (
    session_id BLOB    NOT NULL,
    generation INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    entry      BLOB    NOT NULL,
    PRIMARY KEY (session_id, generation, seq)
) STRICT;

-- What caches ask and who serves --------------------------------------------------------------------

-- What is gone, for an hour.
CREATE TABLE deletions (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX deletions_time ON deletions (deleted_at);

-- Who serves: those that renewed lately.
CREATE TABLE replicas (
    id         BLOB    NOT NULL PRIMARY KEY,
    renewed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX replicas_renewed ON replicas (renewed_at);

-- Events ------------------------------------------------------------------------------------------

-- Events are numbered inside the database, where nothing knows what an event means. So a row of the outbox
-- says in `counts` what it adds to the usage of its session: 1 for a message that went out, 2 for one that
-- failed, 4 for one that came in, added up.
CREATE TABLE outbox (
    row_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    tenant_id  BLOB,
    session_id BLOB,
    epoch      INTEGER,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    data       TEXT    NOT NULL,
    counts     INTEGER NOT NULL
) STRICT;

-- An event's id follows from its shard, its position and its time. Its `seq` needs no index: numbers are
-- dense and unique because they are given under the lock of the shard, out of `session_heads`, in the
-- transaction that gives the position; and readers go on from a position.
CREATE TABLE events (
    shard      INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    seq        INTEGER,
    tenant_id  BLOB,
    session_id BLOB,
    epoch      INTEGER,
    created_at INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    data       TEXT    NOT NULL,
    PRIMARY KEY (shard, position)
) STRICT;
CREATE INDEX events_tenant ON events (tenant_id, position);
CREATE INDEX events_session ON events (tenant_id, session_id, position);

CREATE TABLE session_heads (
    session_id BLOB    NOT NULL PRIMARY KEY,
    seq        INTEGER NOT NULL
) STRICT;

CREATE TABLE sequencer_shards (
    shard    INTEGER NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;
INSERT INTO sequencer_shards (shard, position) VALUES (0, 0);

CREATE TABLE usage_hours (
    tenant_id  BLOB    NOT NULL,
    session_id BLOB    NOT NULL,
    hour       INTEGER NOT NULL,
    sent       INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, session_id, hour)
) STRICT;

-- Messages: no foreign keys, because every one would be a look-up and a lock on the hot path. --------

-- A message is written once and read seldom, and what a write costs is the pages it changes: a key that begins
-- with the message's id, which grows with time, goes on where the last one ended. Chats are found in the
-- history of their session.
CREATE TABLE messages (
    tenant_id     BLOB    NOT NULL,
    id            BLOB    NOT NULL,
    session_id    BLOB    NOT NULL,
    direction     TEXT    NOT NULL,
    kind          TEXT,
    chat_id       TEXT,
    sender        TEXT,
    wa_message_id TEXT,
    status        TEXT    NOT NULL,
    error_code    TEXT,
    error_message TEXT,
    content       TEXT,
    body_hash     BLOB,
    epoch         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    sending_at    INTEGER,
    sent_at       INTEGER,
    delivered_at  INTEGER,
    read_at       INTEGER,
    played_at     INTEGER,
    failed_at     INTEGER,
    PRIMARY KEY (id, tenant_id)
) STRICT;
CREATE INDEX messages_time ON messages (tenant_id, created_at, id);
CREATE INDEX messages_session ON messages (session_id, created_at, id);
