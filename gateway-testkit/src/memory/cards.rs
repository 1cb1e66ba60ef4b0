//! Sessions as their tenant sees them, and the history of their assignments.

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId, SessionName, TenantId};
use gateway_core::session::{
    CardLabel, CardRepo, Placement, PlacementRepo, Session, SessionFilter, SessionRef,
};
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;

use super::tx::MemoryTx;

#[async_trait]
impl CardRepo for MemoryTx {
    async fn card(
        &mut self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<Session>, StoreError> {
        self.run(|world, me| {
            let meant = |row: &Session| match reference {
                SessionRef::Id(id) => row.id == *id,
                SessionRef::Name(name) => row.name == *name && !row.is_leaving(),
            };
            let mut rows = world.sessions.rows(me).map(|(_, row)| row);
            let card = rows.find(|row| row.tenant == tenant && meant(row));
            Ok(card.cloned())
        })
        .await
    }

    async fn cards(
        &mut self,
        tenant: TenantId,
        filter: &SessionFilter,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        self.run(|world, me| {
            let listed = |row: &Session| {
                row.tenant == tenant
                    && after.is_none_or(|after| row.id > after)
                    && filter.only.is_none_or(|only| row.id == only)
                    && filter
                        .status
                        .is_none_or(|status| row.status().status == status)
            };
            let rows = world.sessions.rows(me).map(|(_, row)| row);
            let page = rows.filter(|row| listed(row)).take(limit as usize);
            Ok(page.cloned().collect())
        })
        .await
    }

    async fn card_labels(
        &mut self,
        tenant: TenantId,
        ids: &[SessionId],
    ) -> Result<Vec<CardLabel>, StoreError> {
        self.run(|world, me| {
            let rows = ids.iter().filter_map(|id| world.sessions.get(me, id));
            let own = rows.filter(|row| row.tenant == tenant);
            let label = |row: &Session| CardLabel {
                id: row.id,
                name: row.name.clone(),
                metadata: row.metadata.clone(),
            };
            Ok(own.map(label).collect())
        })
        .await
    }

    async fn card_name_taken(
        &mut self,
        tenant: TenantId,
        name: &SessionName,
    ) -> Result<bool, StoreError> {
        let reference = SessionRef::Name(name.clone());
        Ok(self.card(tenant, &reference).await?.is_some())
    }

    async fn card_placements(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        before: Option<Epoch>,
        limit: u32,
    ) -> Result<Vec<Placement>, StoreError> {
        self.run(|world, me| {
            let listed = |row: &Placement| {
                row.tenant == tenant
                    && row.session == session
                    && before.is_none_or(|before| row.epoch < before)
            };
            let rows = world.placements.rows(me).map(|(_, row)| row);
            let mut rows: Vec<&Placement> = rows.filter(|row| listed(row)).collect();
            rows.reverse();
            Ok(rows.into_iter().take(limit as usize).cloned().collect())
        })
        .await
    }
}

#[async_trait]
impl PlacementRepo for MemoryTx {
    async fn insert_placement(&mut self, placement: &Placement) -> Result<(), StoreError> {
        self.run(|world, me| {
            let key = (placement.session, placement.epoch);
            let row = placement.clone();
            world.placements.insert(me, &key, row, Unique::Placement)
        })
        .await
    }

    async fn end_placements(
        &mut self,
        ended: &[(SessionId, Epoch)],
        at: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        self.run(|world, me| {
            for key in ended {
                let open = |row: &Placement| row.ended.is_none();
                let end = |row: &mut Placement| row.ended = Some((at, why.to_owned()));
                world.placements.update(me, key, open, end)?;
            }
            Ok(())
        })
        .await
    }

    async fn placement(
        &mut self,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<Option<Placement>, StoreError> {
        self.run(|world, me| Ok(world.placements.get(me, &(session, epoch)).cloned()))
            .await
    }
}
