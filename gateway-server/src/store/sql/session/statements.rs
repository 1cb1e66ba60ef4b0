//! The statements on `sessions`.
//!
//! Whole rows travel as one list per column. `status` is written from the row's projection and never
//! read back, and neither is `changed_at`; `last_activity_at` belongs to the sequencer, so a saved row never moves it back.

use super::super::table::Table;
use super::super::text::{FOR_UPDATE, Part, sql};
use super::super::tx::Sql;
use super::row::SESSIONS;

/// The ids of a list.
const AMONG: Part = Part::Either {
    postgres: "= ANY($1)",
    sqlite: "IN (SELECT unhex(value->>0) FROM json_each($1))",
};

/// The moment of a write, after the rows.
const NOW: Part = Table::NOW_AFTER_ROWS;

pub(super) const BY_ID: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions WHERE id = $1"];

/// `WHERE TRUE` tells SQLite's parser that `ON CONFLICT` does not belong to a join.
pub(super) const INSERT: Sql = sql!["INSERT INTO sessions (" {SESSIONS.written()} ", changed_at)
    SELECT n.*, " {NOW} " FROM " {SESSIONS.rows()} " WHERE TRUE
    ON CONFLICT (tenant_id, name) WHERE NOT is_leaving DO NOTHING"];

pub(super) const SAVE: Sql = sql!["UPDATE sessions AS s SET "
    {SESSIONS.set_from("n", &["id", "tenant_id", "created_at", "last_activity_at"])}
    ", last_activity_at = CASE WHEN n.last_activity_at IS NULL
        OR s.last_activity_at > n.last_activity_at
        THEN s.last_activity_at ELSE n.last_activity_at END, changed_at = " {NOW}
    " FROM " {SESSIONS.rows()} " WHERE s.id = n.id AND s.version = n.version - 1"];

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
     FROM sessions WHERE tenant_id = $1 AND NOT is_leaving";

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

pub(super) const POSTPONE_ERASURE: Sql = Sql {
    postgres: "UPDATE erasures SET deleted_at = clock_timestamp() WHERE session_id = $1",
    sqlite: "UPDATE erasures SET deleted_at = $2 WHERE session_id = $1",
};

pub(super) const ERASED: &str = "DELETE FROM erasures WHERE session_id = $1";

pub(super) const CHANGED: &str = "SELECT id, version FROM sessions WHERE changed_at >= $1";

pub(super) const BY_IDS: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE id " {AMONG} " ORDER BY id"];

pub(super) const DUE: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE due_at <= $1 ORDER BY due_at, paired DESC, priority DESC, created_at, id LIMIT $2"
    {FOR_UPDATE_SKIP}];

/// Passes over rows that another claimer has locked.
const FOR_UPDATE_SKIP: Part = Part::Either {
    postgres: " FOR UPDATE SKIP LOCKED",
    sqlite: "",
};

pub(super) const MOVE_DUE: Sql = Sql {
    postgres: "UPDATE sessions AS s SET due_at = n.due_at \
         FROM unnest($1, $2) AS n (id, due_at) WHERE s.id = n.id",
    sqlite: "UPDATE sessions AS s SET due_at = n.due_at \
         FROM (SELECT unhex(value->>0) AS id, value->>1 AS due_at FROM json_each($1)) AS n \
         WHERE s.id = n.id",
};

pub(super) const NEXT_DUE: &str = "SELECT min(due_at) FROM sessions";

/// Holds rows that are due, so that nobody puts them to sleep who does not see what this transaction frees. On
/// SQLite nobody writes meanwhile.
pub(super) const HOLD_DUE: &str = "SELECT id FROM sessions \
     WHERE phase = 'WAITING' AND due_at <= $1 \
     ORDER BY paired DESC, priority DESC, created_at, id LIMIT $2 FOR UPDATE";

/// PostgreSQL looks at a row again if another transaction has woken it since the statement began, and
/// the moment that this one wrote down may be older than the other's: only the clock itself is later.
pub(super) const WAKE: Sql = Sql {
    postgres: "UPDATE sessions SET due_at = $1, version = version + 1 WHERE id IN (SELECT id FROM sessions \
         WHERE phase = 'WAITING' AND due_at > $1 AND due_at > clock_timestamp() \
             AND (not_before IS NULL OR not_before <= $1) \
         ORDER BY paired DESC, priority DESC, created_at, id LIMIT $2 FOR UPDATE)",
    sqlite: "UPDATE sessions SET due_at = $1, version = version + 1 WHERE id IN (SELECT id FROM sessions \
         WHERE phase = 'WAITING' AND due_at > $1 AND (not_before IS NULL OR not_before <= $1) \
         ORDER BY paired DESC, priority DESC, created_at, id LIMIT $2)",
};

pub(super) const HELD: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE worker_id = $1 AND incarnation = $2 ORDER BY id"];

pub(super) const LOCK_HELD: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE worker_id = $1 AND incarnation = $2 ORDER BY id" {FOR_UPDATE}];

pub(super) const SPREAD: &str = "SELECT worker_id, count(*) FROM sessions \
     WHERE tenant_id = $1 AND worker_id IS NOT NULL GROUP BY worker_id";
