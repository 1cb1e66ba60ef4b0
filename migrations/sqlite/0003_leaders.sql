-- Why: work that one replica does at a time (R-45). Who leads which job, in which term, until when.
CREATE TABLE leaders (
    job        TEXT    NOT NULL PRIMARY KEY,
    holder     BLOB    NOT NULL,
    term       INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
