//! Which messages nobody has acknowledged, and how far that has been looked for.
//!
//! What goes out through the gateway was written when it was recorded, so the index of a tenant's messages has them in
//! the order of their deadlines. There is one statement for all tenants: a few pages of each one's index.

use async_trait::async_trait;
use gateway_core::message::{AckDeadlineRepo, Message};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::message::{MessageRow, alias, columns, person};
use super::tx::{Sql, Tx};
use super::types::{Count, Time};

macro_rules! waiting {
    () => {
        "m.tenant_id = t.id AND coalesce(m.occurred_at, m.created_at) >= $1 \
         AND coalesce(m.occurred_at, m.created_at) < $2 \
         AND m.status = 'sending' AND m.direction = 'outbound'"
    };
}

/// The limit within keeps PostgreSQL at the tenants one after the other, whatever it believes of their number.
const WAITING: Sql = Sql {
    postgres: concat!(
        "SELECT m.* FROM tenants AS t CROSS JOIN LATERAL (SELECT ",
        columns!(),
        " FROM messages AS m WHERE ",
        waiting!(),
        " ORDER BY coalesce(m.occurred_at, m.created_at), m.id LIMIT $3) AS m LIMIT $3"
    ),
    sqlite: concat!(
        "SELECT ",
        columns!(),
        " FROM tenants AS t CROSS JOIN messages AS m ON ",
        waiting!(),
        " LIMIT $3"
    ),
};

const UNTIL: &str = "SELECT looked_until FROM acknowledgements WHERE id = 0";

const SAVE: &str = "INSERT INTO acknowledgements (id, looked_until) VALUES (0, $1) \
     ON CONFLICT (id) DO UPDATE SET looked_until = excluded.looked_until";

#[async_trait]
impl AckDeadlineRepo for Tx {
    async fn unacknowledged(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let rows: Vec<MessageRow> = self
            .query(WAITING)
            .bind(Time(from))
            .bind(Time(until))
            .bind(Count::from(limit))
            .all()
            .await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    async fn acknowledged_until(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<(Time,)> = self.query(UNTIL).optional().await?;
        Ok(row.map(|(until,)| until.0))
    }

    async fn save_acknowledged_until(&mut self, until: Timestamp) -> Result<(), StoreError> {
        let save = self.query(SAVE).bind(Time(until));
        save.execute().await.map(drop)
    }
}
