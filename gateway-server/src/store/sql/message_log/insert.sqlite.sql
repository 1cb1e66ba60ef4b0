-- The rows that are new. What is not returned existed already.
INSERT INTO messages (
    tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status,
    error_code, error_message, content, body_hash, epoch, created_at,
    sending_at, sent_at, delivered_at, read_at, played_at, failed_at
)
SELECT
    unhex(value->>0), unhex(value->>1), unhex(value->>2), value->>3, value->>4, value->>5, value->>6,
    value->>7, value->>8, value->>9, value->>10, value->>11, unhex(value->>12), value->>13, $2,
    iif(value->>14, $2, NULL), iif(value->>15, $2, NULL), iif(value->>16, $2, NULL),
    iif(value->>17, $2, NULL), iif(value->>18, $2, NULL), iif(value->>19, $2, NULL)
FROM json_each($1)
WHERE true
ON CONFLICT (tenant_id, id) DO NOTHING
RETURNING tenant_id, id
