//! What changed since a moment, and what is gone.
//!
//! Each aggregate's file knows its own rows; this one asks them all in turn.

use async_trait::async_trait;
use gateway_core::change::{ChangeRepo, Changes, Deleted};
use gateway_core::id::SessionId;
use gateway_core::session::Session;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::tx::{Sql, Tx};
use super::types::Time;

const DELETED: &str = "SELECT kind, id FROM deletions WHERE deleted_at >= $1";

const REMEMBER: Sql = Sql {
    postgres: "INSERT INTO deletions (kind, id, deleted_at) VALUES ($1, $2, clock_timestamp()) \
         ON CONFLICT (kind, id) DO UPDATE SET deleted_at = excluded.deleted_at",
    sqlite: "INSERT INTO deletions (kind, id, deleted_at) VALUES ($1, $2, $3) \
         ON CONFLICT (kind, id) DO UPDATE SET deleted_at = excluded.deleted_at",
};

const SESSION: &str = "SESSION";

fn read(kind: &str, id: &str) -> Option<Deleted> {
    match kind {
        SESSION => id.parse().ok().map(Deleted::Session),
        // A newer release may delete what this one does not cache.
        _ => None,
    }
}

impl Tx {
    /// Leaves a note that a row is gone, in the transaction that deletes it.
    pub(super) async fn remember(&mut self, deleted: &Deleted) -> Result<(), StoreError> {
        let (kind, id) = match deleted {
            Deleted::Session(id) => (SESSION, id.to_string()),
        };
        let note = self.query(REMEMBER).bind(kind).bind(id).stamp();
        note.execute().await.map(drop)
    }

    async fn deleted(&mut self, since: Timestamp) -> Result<Vec<Deleted>, StoreError> {
        let rows: Vec<(String, String)> = self.query(DELETED).bind(Time(since)).all().await?;
        let known = rows.iter().filter_map(|(kind, id)| read(kind, id));
        Ok(known.collect())
    }
}

#[async_trait]
impl ChangeRepo for Tx {
    async fn changes_since(&mut self, since: Timestamp) -> Result<Changes, StoreError> {
        let since = self.looked_back(since);
        Ok(Changes {
            tiers: self.changed_tiers(since).await?,
            tenants: self.changed_tenants(since).await?,
            users: self.changed_users(since).await?,
            keys: self.changed_keys(since).await?,
            families: self.ended_logins(since).await?,
            workers: self.changed_workers(since).await?,
            sessions: self.changed_sessions(since).await?,
            deleted: self.deleted(since).await?,
        })
    }

    async fn sessions_by_id(&mut self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.readable_sessions(ids).await
    }
}
