//! The history of assignments, kept for ever.

use async_trait::async_trait;
use gateway_core::id::{Epoch, Incarnation, SessionId, TenantId, WorkerId};
use gateway_core::session::{Owner, Placement, PlacementRepo, Reason};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::columns::Columns;
use super::error::corrupt;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

macro_rules! columns {
    () => {
        "session_id, epoch, tenant_id, worker_id, incarnation, why, explanation, placed_at, \
         ended_at, ended_why"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO placements (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);

const BY_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM placements WHERE session_id = $1 AND epoch = $2"
);

/// A tenant's session's assignments, newest first.
pub(super) const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM placements WHERE tenant_id = $1 AND session_id = $2 AND ($3 IS NULL OR epoch < $3) \
     ORDER BY epoch DESC LIMIT $4"
);

const END: Sql = Sql {
    postgres: "UPDATE placements AS p SET ended_at = $1, ended_why = $2 \
         FROM unnest($3, $4) AS n (session_id, epoch) \
         WHERE p.session_id = n.session_id AND p.epoch = n.epoch AND p.ended_at IS NULL",
    sqlite: "UPDATE placements AS p SET ended_at = $1, ended_why = $2 \
         FROM (SELECT unhex(value->>0) AS session_id, value->>1 AS epoch FROM json_each($3)) AS n \
         WHERE p.session_id = n.session_id AND p.epoch = n.epoch AND p.ended_at IS NULL",
};

#[derive(FromRow)]
pub(super) struct PlacementRow {
    session_id: Id,
    epoch: Count,
    tenant_id: Id,
    worker_id: String,
    incarnation: String,
    why: String,
    explanation: Json<Value>,
    placed_at: Time,
    ended_at: Option<Time>,
    ended_why: Option<String>,
}

impl TryFrom<PlacementRow> for Placement {
    type Error = StoreError;

    fn try_from(row: PlacementRow) -> Result<Self, StoreError> {
        let session = SessionId::from_u128(row.session_id.0);
        let bad = |why: String| corrupt("placements", &session, &why);
        let owner = Owner {
            worker: WorkerId::parse(&row.worker_id).map_err(|why| bad(why.to_string()))?,
            incarnation: Incarnation::parse(&row.incarnation)
                .map_err(|why| bad(why.to_string()))?,
        };
        Ok(Self {
            session,
            tenant: TenantId::from_u128(row.tenant_id.0),
            epoch: Epoch(row.epoch.0),
            owner,
            why: Reason::parse(&row.why),
            explanation: row.explanation.0,
            placed_at: row.placed_at.0,
            ended: row.ended_at.map(|at| at.0).zip(row.ended_why),
        })
    }
}

#[async_trait]
impl PlacementRepo for Tx {
    async fn insert_placement(&mut self, placement: &Placement) -> Result<(), StoreError> {
        let ended = placement.ended.as_ref();
        self.query(INSERT)
            .bind(Id(placement.session.as_u128()))
            .bind(Count(placement.epoch.0))
            .bind(Id(placement.tenant.as_u128()))
            .bind(placement.owner.worker.as_str())
            .bind(placement.owner.incarnation.as_str())
            .bind(placement.why.as_str())
            .bind(Json(&placement.explanation))
            .bind(Time(placement.placed_at))
            .bind(ended.map(|(at, _)| Time(*at)))
            .bind(ended.map(|(_, why)| why.as_str()))
            .execute()
            .await
            .map(drop)
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
