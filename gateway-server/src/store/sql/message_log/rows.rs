//! New messages on SQLite, value by value.
//!
//! A set of rows as one JSON text costs SQLite four times as much as the same values bound one by one,
//! and us the text. So what comes in numbers, a message that was sent with its event, is bound: many
//! rows to a statement, because every statement is a turn of the connection's thread, and only in a few
//! sizes, so that all of them stay prepared. Whether every row was new is the number of changes; asking
//! for the rows back would cost as much again.

use std::sync::LazyLock;

use gateway_core::event::{NewEvent, UsageDelta};
use gateway_core::id::{SessionId, TenantId};
use gateway_core::message::{Direction, Message, WaMessageId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::types::Json;

use super::super::sequencer::counts;
use super::super::tx::{Query, Tx};
use super::super::types::{Count, Id, Time};
use crate::message_log::grouped::Folded;

/// How many rows a statement has.
const SIZES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

static MESSAGES: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    let columns = [
        "tenant_id",
        "id",
        "session_id",
        "direction",
        "kind",
        "chat_id",
        "wa_message_id",
        "status",
        "error_code",
        "error_message",
        "content",
        "body_hash",
        "epoch",
        "created_at",
        "sending_at",
        "failed_at",
    ];
    let end = " ON CONFLICT (tenant_id, id) DO NOTHING";
    SIZES.map(|size| insert("messages", &columns, size) + end)
});

static EVENTS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    let columns = [
        "created_at",
        "tenant_id",
        "session_id",
        "epoch",
        "name",
        "data",
        "counts",
    ];
    SIZES.map(|size| insert("outbox", &columns, size))
});

fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO {table} ({}) VALUES {rows}", columns.join(", "))
}

/// Whether a row is what a send has made: it has nothing in the columns that are left out here.
pub(super) fn is_sent(folded: &Folded) -> bool {
    let (row, line) = (&folded.row, &folded.row.timeline);
    let later = [line.sent, line.delivered, line.read, line.played];
    row.direction == Direction::Outbound
        && row.content.is_some()
        && row.sender.is_none()
        && later.iter().all(Option::is_none)
}

/// Inserts sent messages with their events; false if one of them existed, when the caller has to roll
/// back and find out which.
pub(super) async fn insert_sent(
    tx: &mut Tx,
    sent: &[&Folded],
    now: Timestamp,
) -> Result<bool, StoreError> {
    for (rows, statement) in pieces(sent, &MESSAGES) {
        let query = rows.iter().fold(tx.query(statement), |query, folded| {
            message(query, &folded.row)
        });
        if query.execute().await? < rows.len() as u64 {
            return Ok(false);
        }
    }
    let events: Vec<&NewEvent> = sent.iter().flat_map(|folded| &folded.events).collect();
    for (rows, statement) in pieces(&events, &EVENTS) {
        let query = rows
            .iter()
            .fold(tx.query(statement), |query, new| event(query, new, now));
        query.execute().await?;
    }
    Ok(true)
}

/// Cuts a list into pieces for which there is a statement, the large ones first.
fn pieces<'r, T>(
    all: &'r [T],
    statements: &'static [String; SIZES.len()],
) -> impl Iterator<Item = (&'r [T], &'static str)> {
    let mut rest = all;
    std::iter::from_fn(move || {
        let fits = SIZES.iter().position(|size| *size <= rest.len())?;
        let (piece, left) = rest.split_at(SIZES[fits]);
        rest = left;
        Some((piece, statements[fits].as_str()))
    })
}

fn message<'x>(query: Query<'x>, row: &Message) -> Query<'x> {
    let error = row.error.as_ref();
    query
        .bind(Id(row.tenant.as_u128()))
        .bind(Id(row.id.as_u128()))
        .bind(Id(row.session.as_u128()))
        .bind(row.direction.name())
        .bind(row.kind.as_deref())
        .bind(row.chat_id.as_deref())
        .bind(row.wa_message_id.as_ref().map(WaMessageId::as_str))
        .bind(row.status.name())
        .bind(error.map(|error| error.code.as_str()))
        .bind(error.and_then(|error| error.message.as_deref()))
        .bind(row.content.as_ref().map(Json))
        .bind(row.body_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(Count(row.epoch.0))
        .bind(Time(row.created_at))
        .bind(row.timeline.sending.map(Time))
        .bind(row.timeline.failed.map(Time))
}

fn event<'x>(query: Query<'x>, new: &NewEvent, now: Timestamp) -> Query<'x> {
    query
        .bind(Time(now))
        .bind(new.tenant.map(TenantId::as_u128).map(Id))
        .bind(new.session.map(SessionId::as_u128).map(Id))
        .bind(new.epoch.map(|epoch| Count(epoch.0)))
        .bind(new.event.name())
        .bind(Json(new.event.data()))
        .bind(Count(counts(UsageDelta::of(&new.event))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_sizes_with_a_statement_and_lose_nothing() {
        let rows: Vec<usize> = (0..151).collect();
        let cut: Vec<usize> = pieces(&rows, &EVENTS)
            .map(|(piece, _)| piece.len())
            .collect();
        assert_eq!(cut, [64, 64, 16, 4, 2, 1]);
        let all: Vec<usize> = pieces(&rows, &EVENTS)
            .flat_map(|(piece, _)| piece.iter().copied())
            .collect();
        assert_eq!(all, rows);
    }

    #[test]
    fn a_statement_has_a_parameter_for_every_value() {
        let text = insert("t", &["a", "b"], 2);
        assert_eq!(text, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)");
    }
}
