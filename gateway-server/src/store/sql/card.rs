//! Sessions as their tenant sees them: the tenant stands in every condition.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId, SessionName, TenantId};
use gateway_core::session::{CardLabel, CardRepo, Placement, Session, SessionFilter, SessionRef};
use gateway_core::store::StoreError;
use serde_json::Value;

use super::columns::Columns;
use super::placement::{self, PlacementRow};
use super::session::{SESSIONS, SessionRow, sessions};
use super::table::table;
use super::text::{Part, sql};
use super::tx::{Sql, Tx};
use super::types::{Count, Id};

const BY_ID: Sql =
    sql!["SELECT " {SESSIONS.columns()} " FROM sessions WHERE tenant_id = $1 AND id = $2"];

const BY_NAME: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE tenant_id = $1 AND name = $2 AND NOT is_leaving"];

const PAGE: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE tenant_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR id > $3)
    ORDER BY id LIMIT $4"];

const PAGE_OF_STATUS: Sql = sql!["SELECT " {SESSIONS.columns()} " FROM sessions
    WHERE tenant_id = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR id > $3)
    AND status = $5 ORDER BY id LIMIT $4"];

table! {
    /// What says which session an event is of.
    LABELS = "sessions";
    LabelRow of CardLabel, named |row| SessionId::from_u128(row.id.0);
    columns {
        id: SessionId = id,
        name: SessionName = name,
        metadata: BTreeMap<String, Value> = metadata,
    }
}

const LABELS_OF: Sql = sql!["SELECT " {LABELS.columns()} " FROM sessions
    WHERE tenant_id = $1 AND id " {AMONG}];

const AMONG: Part = Part::Either {
    postgres: "= ANY($2)",
    sqlite: "IN (SELECT unhex(value->>0) FROM json_each($2))",
};

const NAME: &str = "SELECT id FROM sessions WHERE tenant_id = $1 AND name = $2 AND NOT is_leaving";

#[async_trait]
impl CardRepo for Tx {
    async fn card(
        &mut self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<Session>, StoreError> {
        let tenant = Id(tenant.as_u128());
        let row: Option<SessionRow> = match reference {
            SessionRef::Id(id) => {
                let query = self.query(BY_ID).bind(tenant).bind(Id(id.as_u128()));
                query.optional().await?
            }
            SessionRef::Name(name) => {
                let query = self.query(BY_NAME).bind(tenant).bind(name.as_str());
                query.optional().await?
            }
        };
        row.map(Session::try_from).transpose()
    }

    async fn cards(
        &mut self,
        tenant: TenantId,
        filter: &SessionFilter,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let statement = match filter.status {
            Some(_) => PAGE_OF_STATUS,
            None => PAGE,
        };
        let page = self
            .query(statement)
            .bind(Id(tenant.as_u128()))
            .bind(filter.only.map(|id| Id(id.as_u128())))
            .bind(after.map(|id| Id(id.as_u128())))
            .bind(Count::from(limit));
        let rows = match filter.status {
            Some(status) => page.bind(status.name()).all().await?,
            None => page.all().await?,
        };
        sessions(rows)
    }

    async fn card_labels(
        &mut self,
        tenant: TenantId,
        ids: &[SessionId],
    ) -> Result<Vec<CardLabel>, StoreError> {
        let ids = Columns::new().ids(ids.iter().map(|id| id.as_u128()));
        let labels = self
            .query(LABELS_OF)
            .bind(Id(tenant.as_u128()))
            .columns(ids);
        let rows: Vec<LabelRow> = labels.all().await?;
        rows.into_iter().map(CardLabel::try_from).collect()
    }

    async fn card_name_taken(
        &mut self,
        tenant: TenantId,
        name: &SessionName,
    ) -> Result<bool, StoreError> {
        let row: Option<(Id,)> = self
            .query(NAME)
            .bind(Id(tenant.as_u128()))
            .bind(name.as_str())
            .optional()
            .await?;
        Ok(row.is_some())
    }

    async fn card_placements(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        before: Option<Epoch>,
        limit: u32,
    ) -> Result<Vec<Placement>, StoreError> {
        let rows: Vec<PlacementRow> = self
            .query(placement::PAGE)
            .bind(Id(tenant.as_u128()))
            .bind(Id(session.as_u128()))
            .bind(before.map(|epoch| Count(epoch.0)))
            .bind(Count::from(limit))
            .all()
            .await?;
        rows.into_iter().map(Placement::try_from).collect()
    }
}
