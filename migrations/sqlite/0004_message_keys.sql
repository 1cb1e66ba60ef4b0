-- Why: a message is written once and read seldom, and what a write costs is the pages it changes. A key that
-- begins with the tenant changes a page of its own for every message; one that begins with the message's
-- id, which grows with time, goes on where the last one ended. Chats are found in the history of their session.

DROP INDEX messages_time;
DROP INDEX messages_session;
DROP INDEX messages_chat;
ALTER TABLE messages RENAME TO messages_before;

CREATE TABLE messages (
    tenant_id     BLOB    NOT NULL,
    id            BLOB    NOT NULL,
    session_id    BLOB    NOT NULL,
    direction     TEXT    NOT NULL,
    kind          TEXT,
    chat_id       TEXT,
    sender        TEXT,
    wa_message_id TEXT,
    status        TEXT    NOT NULL,
    error_code    TEXT,
    error_message TEXT,
    content       TEXT,
    body_hash     BLOB,
    epoch         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    sending_at    INTEGER,
    sent_at       INTEGER,
    delivered_at  INTEGER,
    read_at       INTEGER,
    played_at     INTEGER,
    failed_at     INTEGER,
    PRIMARY KEY (id, tenant_id)
) STRICT;

INSERT INTO messages (
    tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status, error_code,
    error_message, content, body_hash, epoch, created_at, sending_at, sent_at, delivered_at, read_at,
    played_at, failed_at
)
SELECT
    tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status, error_code,
    error_message, content, body_hash, epoch, created_at, sending_at, sent_at, delivered_at, read_at,
    played_at, failed_at
FROM messages_before;
DROP TABLE messages_before;

CREATE INDEX messages_time ON messages (tenant_id, created_at, id);
CREATE INDEX messages_session ON messages (session_id, created_at, id);
