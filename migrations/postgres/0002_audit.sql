-- Why: a record of who did what to whom, when and from where. Entries are added and never changed; ids are in
-- the order of time, so a span of time is a span of ids.

CREATE TABLE audit (
    id          UUID             NOT NULL PRIMARY KEY,
    at          TIMESTAMPTZ      NOT NULL,
    tenant_id   UUID,
    actor_kind  TEXT COLLATE "C" NOT NULL,
    actor_id    TEXT COLLATE "C",
    address     TEXT COLLATE "C",
    request_id  TEXT COLLATE "C",
    action      TEXT COLLATE "C" NOT NULL,
    object_kind TEXT COLLATE "C" NOT NULL,
    object_id   TEXT COLLATE "C" NOT NULL,
    changes     JSONB            NOT NULL
);
CREATE INDEX audit_time ON audit (at);
CREATE INDEX audit_tenant ON audit (tenant_id, id);
CREATE INDEX audit_action ON audit (action, id);
