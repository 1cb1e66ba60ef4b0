UPDATE messages AS m
SET kind = n.kind, chat_id = n.chat_id, wa_message_id = n.wa_message_id, status = n.status,
    error_code = n.error_code, error_message = n.error_message, content = n.content,
    body_hash = n.body_hash, epoch = n.epoch, refused_status = n.refused_status,
    occurred_at = n.occurred_at, sending_at = n.sending_at, sent_at = n.sent_at,
    delivered_at = n.delivered_at, read_at = n.read_at, played_at = n.played_at,
    failed_at = n.failed_at
FROM unnest(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
) AS n (
    tenant_id, id, kind, chat_id, wa_message_id, status, error_code, error_message, content,
    body_hash, epoch, refused_status, occurred_at, sending_at, sent_at, delivered_at, read_at,
    played_at, failed_at
)
WHERE m.tenant_id = n.tenant_id AND m.id = n.id
