//! Reading messages back, and what is known of the persons in them.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use async_trait::async_trait;
use gateway_core::id::{MessageId, SessionId, TenantId};
use gateway_core::message::{
    AckDeadlineRepo, Direction, MAX_PERSON_IDS, Message, MessageCursor, MessageFilter, MessageRepo,
    MessageStatus, PersonPair,
};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::table::Me;
use super::tx::MemoryTx;
use super::world::World;

fn matches(filter: &MessageFilter, row: &Message) -> bool {
    filter.session.is_none_or(|session| row.session == session)
        && filter.direction.is_none_or(|way| row.direction == way)
        && filter.status.is_none_or(|status| row.status == status)
        && (filter.kind.is_none() || row.kind == filter.kind)
        && filter.since.is_none_or(|since| row.written_at() >= since)
        && filter.until.is_none_or(|until| row.written_at() < until)
}

impl World {
    /// Returns the pairs of a session in which the id stands, the one that was learnt last first.
    fn pairs_of(
        &self,
        me: Me,
        (tenant, session): (TenantId, SessionId),
        id: &str,
    ) -> Vec<PersonPair> {
        let rows = self.persons.rows(me);
        let mine = rows.filter(|((of, lid), (owner, phone, _))| {
            (*of, *owner) == (session, tenant) && (lid == id || phone == id)
        });
        let mut found: Vec<_> = mine
            .map(|((_, lid), (_, phone, at))| (at, lid, phone))
            .collect();
        found.sort_unstable_by_key(|(at, lid, _)| (Reverse(**at), (*lid).clone()));
        let pair = |(_, lid, phone): (_, &String, &String)| PersonPair {
            lid: lid.clone(),
            phone: phone.clone(),
        };
        found.into_iter().map(pair).collect()
    }

    /// Returns the pairs in which one of the ids stands, the one that was learnt last first.
    pub(super) fn persons(
        &self,
        me: Me,
        (tenant, session): (TenantId, SessionId),
        ids: &[&str],
    ) -> Vec<PersonPair> {
        let ids = ids.iter().take(MAX_PERSON_IDS);
        let found: BTreeSet<PersonPair> = ids
            .flat_map(|id| self.pairs_of(me, (tenant, session), id))
            .collect();
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|pair| {
            let row = self.persons.get(me, &(session, pair.lid.clone()));
            Reverse(row.map(|(_, _, at)| *at))
        });
        found
    }

    /// Returns the other id that a person is known by.
    fn alias(&self, me: Me, of: (TenantId, SessionId), id: &str) -> Option<String> {
        let pair = self.pairs_of(me, of, id).into_iter().next()?;
        Some(if pair.lid == id { pair.phone } else { pair.lid })
    }

    fn is_in_chat(&self, me: Me, row: &Message, chat: &str) -> bool {
        let Some(stands) = row.chat_id.as_deref() else {
            return false;
        };
        let pairs = || self.pairs_of(me, (row.tenant, row.session), chat);
        let is = |pair: &PersonPair| pair.lid == stands || pair.phone == stands;
        stands == chat || pairs().iter().any(is)
    }

    /// Returns the row as it is read: with the other id of its person.
    pub(super) fn read_back(&self, me: Me, row: &Message) -> Message {
        let of = (row.tenant, row.session);
        let alias = row.person().and_then(|id| self.alias(me, of, id));
        Message {
            alias,
            ..row.clone()
        }
    }
}

#[async_trait]
impl MessageRepo for MemoryTx {
    async fn message(
        &mut self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        self.run(|world, me| {
            let row = world.messages.get(me, &(tenant, id));
            Ok(row.map(|row| world.read_back(me, row)))
        })
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
                after.is_none_or(|at| (row.written_at(), row.id) < (at.written_at, at.id))
            };
            let chat = filter.chat_id.as_deref();
            let rows = world.messages.rows(me).map(|(_, row)| row);
            let mut rows: Vec<&Message> = rows
                .filter(|row| row.tenant == tenant && matches(filter, row) && older(row))
                .filter(|row| chat.is_none_or(|chat| world.is_in_chat(me, row, chat)))
                .collect();
            rows.sort_by_key(|row| Reverse((row.written_at(), row.id)));
            let page = rows.into_iter().take(limit as usize);
            Ok(page.map(|row| world.read_back(me, row)).collect())
        })
        .await
    }
}

#[async_trait]
impl AckDeadlineRepo for MemoryTx {
    async fn unacknowledged(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        self.run(|world, me| {
            let waits = |row: &&Message| {
                row.status == MessageStatus::Sending
                    && row.direction == Direction::Outbound
                    && (from..until).contains(&row.written_at())
            };
            let rows = world.messages.rows(me).map(|(_, row)| row);
            let waiting = rows.filter(waits).take(limit as usize);
            Ok(waiting.cloned().collect())
        })
        .await
    }

    async fn acknowledged_until(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.run(|world, me| Ok(world.acknowledged.get(me, &()).copied()))
            .await
    }

    async fn save_acknowledged_until(&mut self, until: Timestamp) -> Result<(), StoreError> {
        self.run(|world, me| world.acknowledged.put(me, &(), until))
            .await
    }
}
