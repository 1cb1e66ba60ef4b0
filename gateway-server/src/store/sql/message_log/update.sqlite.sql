UPDATE messages AS m
SET kind = n.value->>2, chat_id = n.value->>3, wa_message_id = n.value->>4, status = n.value->>5,
    error_code = n.value->>6, error_message = n.value->>7, content = n.value->>8,
    body_hash = unhex(n.value->>9), epoch = n.value->>10, refused_status = n.value->>11,
    occurred_at = n.value->>12, sending_at = n.value->>13, sent_at = n.value->>14,
    delivered_at = n.value->>15, read_at = n.value->>16, played_at = n.value->>17,
    failed_at = n.value->>18
FROM json_each($1) AS n
WHERE m.tenant_id = unhex(n.value->>0) AND m.id = unhex(n.value->>1)
