-- Why: one person is one chat, whichever of the two ids a report names (R-60). What belongs together is remembered for
-- each session; messages are found through it and never rewritten.

CREATE TABLE persons (
    session_id UUID NOT NULL,
    lid        TEXT COLLATE "C" NOT NULL,
    tenant_id  UUID NOT NULL,
    phone      TEXT COLLATE "C" NOT NULL,
    learnt_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (session_id, lid)
);
CREATE INDEX persons_phone ON persons (session_id, phone, learnt_at, lid);
