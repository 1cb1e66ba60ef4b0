-- Why: no message is "sending" for ever (R-64). Until when everything that was recorded has been looked at: one row.
CREATE TABLE acknowledgements (
    id           BIGINT NOT NULL PRIMARY KEY,
    looked_until TIMESTAMPTZ NOT NULL
);
