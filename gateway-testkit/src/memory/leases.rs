//! Leases of worker incarnations.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::session::Owner;
use gateway_core::store::{StoreError, Unique};
use gateway_core::worker::{Death, Evidence, Lease, LeaseRepo, WorkerReport};

use super::tx::MemoryTx;

#[async_trait]
impl LeaseRepo for MemoryTx {
    async fn insert_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        self.run(|world, me| {
            let row = lease.clone();
            world
                .leases
                .insert(me, &lease.owner, row, Unique::Incarnation)
        })
        .await
    }

    async fn lease(&mut self, owner: &Owner) -> Result<Option<Lease>, StoreError> {
        self.run(|world, me| Ok(world.leases.get(me, owner).cloned()))
            .await
    }

    async fn open_leases(&mut self) -> Result<Vec<Lease>, StoreError> {
        self.run(|world, me| {
            let rows = world.leases.rows(me).map(|(_, row)| row);
            Ok(rows
                .filter(|row| row.fenced_at.is_none())
                .cloned()
                .collect())
        })
        .await
    }

    async fn renew_lease(
        &mut self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<u64>, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let newest = world.workers.get(me, &owner.worker);
            if newest.and_then(|row| row.incarnation.as_ref()) != Some(&owner.incarnation) {
                return Ok(None);
            }
            let renew = |row: &mut Lease| row.renew(lasts, report, now);
            let open = |row: &Lease| row.fenced_at.is_none() && !row.disowned;
            let renewed = world.leases.update(me, owner, open, renew)?;
            let count = world.leases.get(me, owner).map(|row| row.renewals);
            Ok(count.filter(|_| renewed))
        })
        .await
    }

    async fn disown_lease(&mut self, owner: &Owner) -> Result<(), StoreError> {
        self.run(|world, me| {
            let disown = |row: &mut Lease| row.disowned = true;
            world.leases.update(me, owner, |_| true, disown)?;
            Ok(())
        })
        .await
    }

    async fn fence_lease(&mut self, death: &Death) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let licensed = |row: &Lease| match death.evidence() {
                Evidence::Goodbye | Evidence::ProcessGone => row.fenced_at.is_none(),
                Evidence::Silence { renewals } => {
                    row.fenced_at.is_none() && row.renewals == renewals
                }
            };
            let fence = |row: &mut Lease| row.fenced_at = Some(now);
            world.leases.update(me, death.owner(), licensed, fence)
        })
        .await
    }
}
