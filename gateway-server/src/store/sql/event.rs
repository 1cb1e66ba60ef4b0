//! The reading end of the event log.

use async_trait::async_trait;
use gateway_core::event::{Event, EventFilter, EventRepo, LoggedEvent, event_id};
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::store::StoreError;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::columns::Columns;
use super::error::corrupt;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

macro_rules! columns {
    () => {
        "shard, position, seq, tenant_id, session_id, epoch, created_at, name, data"
    };
}

macro_rules! page {
    ($filter:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM events WHERE tenant_id = $1 AND position > $2",
            $filter,
            " ORDER BY position LIMIT $3"
        )
    };
    ($postgres:literal, $sqlite:literal) => {
        Sql {
            postgres: page!($postgres),
            sqlite: page!($sqlite),
        }
    };
}

const ALL: Sql = page!("", "");

const NAMED: Sql = page!(
    " AND name = ANY($4)",
    " AND name IN (SELECT value->>0 FROM json_each($4))"
);

const OF_SESSION: Sql = page!(" AND session_id = $4", " AND session_id = $4");

const NAMED_OF_SESSION: Sql = page!(
    " AND session_id = $4 AND name = ANY($5)",
    " AND session_id = $4 AND name IN (SELECT value->>0 FROM json_each($5))"
);

/// Reads an event's payload back from a row of `table`.
pub(super) fn parse(
    table: &'static str,
    id: &impl ToString,
    name: &str,
    data: Value,
) -> Result<Event, StoreError> {
    Event::from_parts(name, data).map_err(|why| corrupt(table, id, &why))
}

#[derive(FromRow)]
struct EventRow {
    shard: Count,
    position: Count,
    seq: Option<Count>,
    tenant_id: Option<Id>,
    session_id: Option<Id>,
    epoch: Option<Count>,
    created_at: Time,
    name: String,
    data: Json<Value>,
}

impl TryFrom<EventRow> for LoggedEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let shard = u16::try_from(row.shard.0);
        let shard = shard.map_err(|error| corrupt("events", &row.position.0, &error))?;
        let id = event_id(shard, row.position.0, row.created_at.0);
        Ok(Self {
            id,
            position: row.position.0,
            seq: row.seq.map(|seq| seq.0),
            tenant: row.tenant_id.map(|id| TenantId::from_u128(id.0)),
            session: row.session_id.map(|id| SessionId::from_u128(id.0)),
            epoch: row.epoch.map(|epoch| Epoch(epoch.0)),
            created_at: row.created_at.0,
            event: parse("events", &id, &row.name, row.data.0)?,
        })
    }
}

#[async_trait]
impl EventRepo for Tx {
    async fn events(
        &mut self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let statement = match (filter.session, filter.names.is_empty()) {
            (None, true) => ALL,
            (None, false) => NAMED,
            (Some(_), true) => OF_SESSION,
            (Some(_), false) => NAMED_OF_SESSION,
        };
        let mut query = self
            .query(statement)
            .bind(Id(tenant.as_u128()))
            .bind(Count(after))
            .bind(Count::from(limit));
        if let Some(session) = filter.session {
            query = query.bind(Id(session.as_u128()));
        }
        if !filter.names.is_empty() {
            let names = filter.names.iter().map(String::as_str);
            query = query.columns(Columns::new().texts(names));
        }
        let rows: Vec<EventRow> = query.all().await?;
        rows.into_iter().map(LoggedEvent::try_from).collect()
    }
}
