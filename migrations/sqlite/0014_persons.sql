-- Why: one person is one chat, whichever of the two ids a report names (R-60). What belongs together is remembered for
-- each session; messages are found through it and never rewritten.

CREATE TABLE persons (
    session_id BLOB NOT NULL,
    lid        TEXT NOT NULL,
    tenant_id  BLOB NOT NULL,
    phone      TEXT NOT NULL,
    learnt_at  INTEGER NOT NULL,
    PRIMARY KEY (session_id, lid)
) STRICT;
CREATE INDEX persons_phone ON persons (session_id, phone, learnt_at, lid);
