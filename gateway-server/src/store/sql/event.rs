//! The reading end of the event log.

use async_trait::async_trait;
use gateway_core::event::{EventData, EventFilter, EventRepo, LoggedEvent, event_id};
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::store::StoreError;
use sqlx::FromRow;
use sqlx::types::Json;

use super::columns::Columns;
use super::error::corrupt;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

macro_rules! columns {
    () => {
        "shard, position, seq, tenant_id, session_id, epoch, created_at, name, version, data"
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

const NEWEST: &str = "SELECT position FROM sequencer_shards WHERE shard = $1";

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
    version: Count,
    data: Json<EventData>,
}

impl TryFrom<EventRow> for LoggedEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let bad = |why: String| corrupt("events", &row.position.0, &why);
        let shard: u16 = row.shard.narrow().map_err(bad)?;
        let version = row.version.narrow().map_err(bad)?;
        Ok(Self {
            id: event_id(shard, row.position.0, row.created_at.0),
            position: row.position.0,
            seq: row.seq.map(|seq| seq.0),
            tenant: row.tenant_id.map(|id| TenantId::from_u128(id.0)),
            session: row.session_id.map(|id| SessionId::from_u128(id.0)),
            epoch: row.epoch.map(|epoch| Epoch(epoch.0)),
            created_at: row.created_at.0,
            name: row.name,
            version,
            data: row.data.0,
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

    async fn newest_position(&mut self, shard: u16) -> Result<u64, StoreError> {
        let newest = self.query(NEWEST).bind(Count(shard.into()));
        let row: Option<(Count,)> = newest.optional().await?;
        Ok(row.map_or(0, |(Count(position),)| position))
    }
}
