//! The history of assignments, kept for ever.

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::session::{Owner, Placement, PlacementRepo, Reason};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde_json::Value;

use super::columns::Columns;
use super::stored::owner;
use super::table::table;
use super::text::sql;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

table! {
    /// Which worker held a session at which epoch.
    PLACEMENTS = "placements";
    PlacementRow of Placement, named |row| SessionId::from_u128(row.session_id.0);
    columns {
        session_id: SessionId = session,
        epoch: Epoch = epoch,
        tenant_id: TenantId = tenant,
        worker_id: String => |row| row.owner.worker.as_str(),
        incarnation: String => |row| row.owner.incarnation.as_str(),
        why: Reason = why,
        explanation: Value = explanation,
        placed_at: Timestamp = placed_at,
        ended_at: Option<Time> => |row| row.ended.as_ref().map(|(at, _)| Time(*at)),
        ended_why: Option<String> => |row| row.ended.as_ref().map(|(_, why)| why.as_str()),
    }
    read { owner = PlacementRow::owner, ended = PlacementRow::ended }
}

const INSERT: Sql = sql!["INSERT INTO placements (" {PLACEMENTS.written()} ") VALUES ("
    {PLACEMENTS.parameters()} ")"];

const BY_KEY: Sql = sql!["SELECT " {PLACEMENTS.columns()} " FROM placements
    WHERE session_id = $1 AND epoch = $2"];

/// A tenant's session's assignments, newest first.
pub(super) const PAGE: Sql = sql!["SELECT " {PLACEMENTS.columns()} " FROM placements
    WHERE tenant_id = $1 AND session_id = $2 AND ($3 IS NULL OR epoch < $3)
    ORDER BY epoch DESC LIMIT $4"];

const END: Sql = Sql {
    postgres: "UPDATE placements AS p SET ended_at = $1, ended_why = $2 \
         FROM unnest($3, $4) AS n (session_id, epoch) \
         WHERE p.session_id = n.session_id AND p.epoch = n.epoch AND p.ended_at IS NULL",
    sqlite: "UPDATE placements AS p SET ended_at = $1, ended_why = $2 \
         FROM (SELECT unhex(value->>0) AS session_id, value->>1 AS epoch FROM json_each($3)) AS n \
         WHERE p.session_id = n.session_id AND p.epoch = n.epoch AND p.ended_at IS NULL",
};

impl PlacementRow {
    fn owner(&self) -> Result<Owner, String> {
        owner(&self.worker_id, &self.incarnation)
    }

    fn ended(&self) -> Result<Option<(Timestamp, String)>, String> {
        let ended = self.ended_at.map(|at| at.0);
        Ok(ended.zip(self.ended_why.clone()))
    }
}

#[async_trait]
impl PlacementRepo for Tx {
    async fn insert_placement(&mut self, placement: &Placement) -> Result<(), StoreError> {
        let query = self.query(INSERT).row::<PlacementRow>(placement);
        query.execute().await.map(drop)
    }

    async fn end_placements(
        &mut self,
        ended: &[(SessionId, Epoch)],
        at: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        let lists = Columns::new()
            .ids(ended.iter().map(|(session, _)| session.as_u128()))
            .counts(ended.iter().map(|(_, epoch)| epoch.0));
        self.query(END)
            .bind(Time(at))
            .bind(why)
            .columns(lists)
            .execute()
            .await
            .map(drop)
    }

    async fn placement(
        &mut self,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<Option<Placement>, StoreError> {
        let row: Option<PlacementRow> = self
            .query(BY_KEY)
            .bind(Id(session.as_u128()))
            .bind(Count(epoch.0))
            .optional()
            .await?;
        row.map(Placement::try_from).transpose()
    }
}
