-- Why: a record of who did what to whom, when and from where. Entries are added and never changed; ids are in
-- the order of time, so a span of time is a span of ids.

CREATE TABLE audit (
    id          BLOB    NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    tenant_id   BLOB,
    actor_kind  TEXT    NOT NULL,
    actor_id    TEXT,
    address     TEXT,
    request_id  TEXT,
    action      TEXT    NOT NULL,
    object_kind TEXT    NOT NULL,
    object_id   TEXT    NOT NULL,
    changes     TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_time ON audit (at);
CREATE INDEX audit_tenant ON audit (tenant_id, id);
CREATE INDEX audit_action ON audit (action, id);
