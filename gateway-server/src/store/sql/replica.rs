//! Rows of replicas: who serves on this database.

use async_trait::async_trait;
use gateway_core::change::{REMEMBERED, REPLICA_LIFE, ReplicaRepo};
use gateway_core::id::ReplicaId;
use gateway_core::store::StoreError;

use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

const RENEW: Sql = Sql {
    postgres: "INSERT INTO replicas (id, renewed_at) VALUES ($1, clock_timestamp()) \
         ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at",
    sqlite: "INSERT INTO replicas (id, renewed_at) VALUES ($1, $2) \
         ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at",
};

/// Those that were killed leave their rows behind.
const FORGET: Sql = Sql {
    postgres: "DELETE FROM replicas WHERE id IN (SELECT id FROM replicas \
         WHERE renewed_at < $1 FOR UPDATE SKIP LOCKED)",
    sqlite: "DELETE FROM replicas WHERE renewed_at < $1",
};

const COUNT: &str = "SELECT count(*) FROM replicas WHERE renewed_at > $1";

const REMOVE: &str = "DELETE FROM replicas WHERE id = $1";

#[async_trait]
impl ReplicaRepo for Tx {
    async fn renew_replica(&mut self, id: ReplicaId) -> Result<(), StoreError> {
        let old = self.clock().await?.minus(REMEMBERED);
        self.query(FORGET).bind(Time(old)).execute().await?;
        let renew = self.query(RENEW).bind(Id(id.as_u128())).stamp();
        renew.execute().await.map(drop)
    }

    async fn replicas(&mut self) -> Result<u32, StoreError> {
        let since = self.clock().await?.minus(REPLICA_LIFE);
        let (Count(there),) = self.query(COUNT).bind(Time(since)).one().await?;
        Ok(u32::try_from(there).unwrap_or(u32::MAX))
    }

    async fn remove_replica(&mut self, id: ReplicaId) -> Result<(), StoreError> {
        let remove = self.query(REMOVE).bind(Id(id.as_u128()));
        remove.execute().await.map(drop)
    }
}
