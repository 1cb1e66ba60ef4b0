//! The statements on `sessions`.
//!
//! Whole rows travel as one list per column. `status` is written from the row's projection and never
//! read back, and neither is `changed_at`; `last_activity_at` belongs to the sequencer, so a saved row never moves it back.

use super::super::tx::Sql;

/// What is read of a row.
macro_rules! columns {
    () => {
        "id, tenant_id, name, description, metadata, created_at, updated_at, desired, \
         pairing, priority, phase, worker_id, incarnation, detail, detail_at, phase_since, \
         status_since, epoch, version, attempt, reason, deadline, due_at, retry_at, \
         report_seq, paired, phone_number, state_format, linking_since, linking_until, \
         last_activity_at"
    };
}

macro_rules! set {
    () => {
        "name = n.name, description = n.description, metadata = n.metadata, \
         updated_at = n.updated_at, desired = n.desired, pairing = n.pairing, \
         priority = n.priority, phase = n.phase, worker_id = n.worker_id, \
         incarnation = n.incarnation, detail = n.detail, detail_at = n.detail_at, \
         phase_since = n.phase_since, status_since = n.status_since, epoch = n.epoch, \
         version = n.version, attempt = n.attempt, reason = n.reason, \
         deadline = n.deadline, due_at = n.due_at, retry_at = n.retry_at, \
         report_seq = n.report_seq, paired = n.paired, phone_number = n.phone_number, \
         state_format = n.state_format, linking_since = n.linking_since, \
         linking_until = n.linking_until, status = n.status, \
         last_activity_at = CASE WHEN n.last_activity_at IS NULL OR s.last_activity_at > n.last_activity_at THEN s.last_activity_at ELSE n.last_activity_at END"
    };
}

macro_rules! from_arrays {
    () => {
        "unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
         $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32) \
         AS n (id, tenant_id, name, description, metadata, created_at, updated_at, desired, \
         pairing, priority, phase, worker_id, incarnation, detail, detail_at, phase_since, \
         status_since, epoch, version, attempt, reason, deadline, due_at, retry_at, \
         report_seq, paired, phone_number, state_format, linking_since, linking_until, \
         last_activity_at, status)"
    };
}

macro_rules! from_json {
    () => {
        "(SELECT unhex(value->>0) AS id, unhex(value->>1) AS tenant_id, value->>2 AS name, \
         value->>3 AS description, value->>4 AS metadata, value->>5 AS created_at, \
         value->>6 AS updated_at, value->>7 AS desired, value->>8 AS pairing, \
         value->>9 AS priority, value->>10 AS phase, value->>11 AS worker_id, \
         value->>12 AS incarnation, value->>13 AS detail, value->>14 AS detail_at, \
         value->>15 AS phase_since, value->>16 AS status_since, value->>17 AS epoch, \
         value->>18 AS version, value->>19 AS attempt, value->>20 AS reason, \
         value->>21 AS deadline, value->>22 AS due_at, value->>23 AS retry_at, \
         value->>24 AS report_seq, value->>25 AS paired, value->>26 AS phone_number, \
         value->>27 AS state_format, value->>28 AS linking_since, \
         value->>29 AS linking_until, value->>30 AS last_activity_at, value->>31 AS status \
         FROM json_each($1)) AS n"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM sessions ", $rest)
    };
}

pub(in super::super) use {columns, select};

pub(super) const BY_ID: &str = select!("WHERE id = $1");

pub(super) const INSERT: Sql = Sql {
    postgres: concat!(
        "INSERT INTO sessions (",
        columns!(),
        ", status, changed_at) SELECT n.*, clock_timestamp() FROM ",
        from_arrays!(),
        " ON CONFLICT (tenant_id, name) DO NOTHING"
    ),
    // `WHERE TRUE` tells the parser that `ON CONFLICT` does not belong to a join.
    sqlite: concat!(
        "INSERT INTO sessions (",
        columns!(),
        ", status, changed_at) SELECT n.*, $2 FROM ",
        from_json!(),
        " WHERE TRUE ON CONFLICT (tenant_id, name) DO NOTHING"
    ),
};

pub(super) const SAVE: Sql = Sql {
    postgres: concat!(
        "UPDATE sessions AS s SET ",
        set!(),
        ", changed_at = clock_timestamp() FROM ",
        from_arrays!(),
        " WHERE s.id = n.id AND s.version = n.version - 1"
    ),
    sqlite: concat!(
        "UPDATE sessions AS s SET ",
        set!(),
        ", changed_at = $2 FROM ",
        from_json!(),
        " WHERE s.id = n.id AND s.version = n.version - 1"
    ),
};

/// In id order, so that two writers of several rows never wait for each other in a ring.
pub(super) const LOCK_IN_ORDER: Sql = Sql {
    postgres: "SELECT id FROM sessions WHERE id = ANY($1) ORDER BY id FOR UPDATE",
    sqlite: "SELECT unhex(value->>0) FROM json_each($1)",
};

/// Makes count and insert one step: SQLite has one writer, PostgreSQL a lock per tenant.
pub(super) const LOCK_TENANT: Sql = Sql {
    postgres: "SELECT pg_advisory_xact_lock($1)",
    sqlite: "SELECT $1",
};

pub(super) const COUNT_OF_TENANT: &str = "SELECT count(*), count(*) FILTER (WHERE name = $2) \
     FROM sessions WHERE tenant_id = $1";

pub(super) const DELETE: &str = "DELETE FROM sessions WHERE id = $1 AND version = $2";

/// A session that was deleted before, and made again by an embedder, is deleted again.
pub(super) const NOTE_ERASURE: Sql = Sql {
    postgres: "INSERT INTO erasures (session_id, deleted_at) VALUES ($1, clock_timestamp()) \
         ON CONFLICT (session_id) DO UPDATE SET deleted_at = excluded.deleted_at",
    sqlite: "INSERT INTO erasures (session_id, deleted_at) VALUES ($1, $2) \
         ON CONFLICT (session_id) DO UPDATE SET deleted_at = excluded.deleted_at",
};

pub(super) const TO_ERASE: &str =
    "SELECT session_id FROM erasures WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2";

pub(super) const ERASED: &str = "DELETE FROM erasures WHERE session_id = $1";

pub(super) const CHANGED: &str = "SELECT id, version FROM sessions WHERE changed_at >= $1";

pub(super) const BY_IDS: Sql = Sql {
    postgres: select!("WHERE id = ANY($1) ORDER BY id"),
    sqlite: select!("WHERE id IN (SELECT unhex(value->>0) FROM json_each($1)) ORDER BY id"),
};

pub(super) const DUE: Sql = Sql {
    postgres: select!(
        "WHERE due_at <= $1 ORDER BY due_at, paired DESC, priority DESC, created_at, id \
         LIMIT $2 FOR UPDATE SKIP LOCKED"
    ),
    sqlite: select!(
        "WHERE due_at <= $1 ORDER BY due_at, paired DESC, priority DESC, created_at, id LIMIT $2"
    ),
};

pub(super) const MOVE_DUE: Sql = Sql {
    postgres: "UPDATE sessions AS s SET due_at = n.due_at \
         FROM unnest($1, $2) AS n (id, due_at) WHERE s.id = n.id",
    sqlite: "UPDATE sessions AS s SET due_at = n.due_at \
         FROM (SELECT unhex(value->>0) AS id, value->>1 AS due_at FROM json_each($1)) AS n \
         WHERE s.id = n.id",
};

pub(super) const NEXT_DUE: &str = "SELECT min(due_at) FROM sessions";

/// PostgreSQL looks at a row again if another transaction has woken it since the statement began, and
/// the moment that this one wrote down may be older than the other's: only the clock itself is later.
pub(super) const WAKE: Sql = Sql {
    postgres: "UPDATE sessions SET due_at = $1 WHERE id IN (SELECT id FROM sessions \
         WHERE phase = 'WAITING' AND due_at > $1 AND due_at > clock_timestamp() \
         ORDER BY paired DESC, priority DESC, created_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)",
    sqlite: "UPDATE sessions SET due_at = $1 WHERE id IN (SELECT id FROM sessions \
         WHERE phase = 'WAITING' AND due_at > $1 \
         ORDER BY paired DESC, priority DESC, created_at, id LIMIT $2)",
};

pub(super) const HELD: &str = select!("WHERE worker_id = $1 AND incarnation = $2 ORDER BY id");

pub(super) const LOCK_HELD: Sql = Sql {
    postgres: select!("WHERE worker_id = $1 AND incarnation = $2 ORDER BY id FOR UPDATE"),
    sqlite: HELD,
};

pub(super) const SPREAD: &str = "SELECT worker_id, count(*) FROM sessions \
     WHERE tenant_id = $1 AND worker_id IS NOT NULL GROUP BY worker_id";
