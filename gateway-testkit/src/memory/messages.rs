//! Reading messages back.

use std::cmp::Reverse;

use async_trait::async_trait;
use gateway_core::id::{MessageId, TenantId};
use gateway_core::message::{Message, MessageCursor, MessageFilter, MessageRepo};
use gateway_core::store::StoreError;

use super::tx::MemoryTx;

fn matches(filter: &MessageFilter, row: &Message) -> bool {
    filter.session.is_none_or(|session| row.session == session)
        && (filter.chat_id.is_none() || row.chat_id == filter.chat_id)
        && filter.direction.is_none_or(|way| row.direction == way)
        && filter.status.is_none_or(|status| row.status == status)
        && (filter.kind.is_none() || row.kind == filter.kind)
        && filter.since.is_none_or(|since| row.created_at >= since)
        && filter.until.is_none_or(|until| row.created_at < until)
}

#[async_trait]
impl MessageRepo for MemoryTx {
    async fn message(
        &mut self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        self.run(|world, me| Ok(world.messages.get(me, &(tenant, id)).cloned()))
            .await
    }

    async fn messages(
        &mut self,
        tenant: TenantId,
        filter: &MessageFilter,
        after: Option<MessageCursor>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        self.run(|world, me| {
            let older = |row: &Message| {
                after.is_none_or(|at| (row.created_at, row.id) < (at.created_at, at.id))
            };
            let rows = world.messages.rows(me).map(|(_, row)| row);
            let mut rows: Vec<&Message> = rows
                .filter(|row| row.tenant == tenant && matches(filter, row) && older(row))
                .collect();
            rows.sort_by_key(|row| Reverse((row.created_at, row.id)));
            Ok(rows.into_iter().take(limit as usize).cloned().collect())
        })
        .await
    }
}
