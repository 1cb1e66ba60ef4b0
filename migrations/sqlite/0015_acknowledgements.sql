-- Why: no message is "sending" for ever (R-64). Until when everything that was recorded has been looked at: one row.
CREATE TABLE acknowledgements (
    id           INTEGER NOT NULL PRIMARY KEY,
    looked_until INTEGER NOT NULL
) STRICT;
