-- Why: work that one replica does at a time (R-45). Who leads which job, in which term, until when.
CREATE TABLE leaders (
    job        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder     UUID             NOT NULL,
    term       BIGINT           NOT NULL,
    expires_at TIMESTAMPTZ      NOT NULL
);
