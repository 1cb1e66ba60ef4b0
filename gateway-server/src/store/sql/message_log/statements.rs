//! The statements of the message log, and how rows become their parameters.

use gateway_core::id::SessionId;
use gateway_core::message::{Message, MessageSource, WaMessageId};
use sqlx::types::Json;

use super::super::columns::{Columns, raw};
use super::super::message::{PHONE, alias, columns, person};
use super::super::sequencer::counts;
use super::super::sqlite::rows::Insertion;
use super::super::tx::{Query, Sql};
use super::super::types::{Count, Id, Time};
use crate::message_log::grouped::Folded;
use crate::message_log::ledger::MessageKey;

/// New rows with their events, on PostgreSQL.
pub(in super::super) const INSERT: &str = include_str!("../postgres/insert_messages.sql");

/// New rows, on SQLite, in a transaction that appends their events.
pub(in super::super) static INSERT_ROWS: Insertion = Insertion::new(
    "INSERT INTO messages (\
     tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status, error_code, \
     error_message, content, body_hash, epoch, created_at, sending_at, sent_at, delivered_at, read_at, \
     played_at, failed_at, source, refused_status, occurred_at) VALUES",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "ON CONFLICT (id, tenant_id) DO NOTHING",
);

/// The rows inserted last. SQLite's writer is alone, and numbers new rows upwards from the highest.
pub(in super::super) const NEWEST: &str = "SELECT tenant_id, id FROM messages \
     WHERE rowid > (SELECT max(rowid) FROM messages) - $1";

pub(super) const UPDATE: Sql = Sql {
    postgres: include_str!("update.postgres.sql"),
    sqlite: include_str!("update.sqlite.sql"),
};

macro_rules! by_keys {
    ($postgres_end:literal) => {
        Sql {
            postgres: concat!(
                "SELECT ",
                columns!(),
                " FROM unnest($1, $2) AS k (tenant_id, id) \
                 JOIN messages AS m ON m.tenant_id = k.tenant_id AND m.id = k.id",
                $postgres_end
            ),
            sqlite: concat!(
                "SELECT ",
                columns!(),
                " FROM json_each($1) AS k CROSS JOIN messages AS m \
                 ON m.tenant_id = unhex(k.value->>0) AND m.id = unhex(k.value->>1)"
            ),
        }
    };
}

pub(super) const ROWS: Sql = by_keys!("");

/// The same, locked in the order of their keys.
pub(super) const LOCKED: Sql = by_keys!(" ORDER BY m.tenant_id, m.id FOR UPDATE OF m");

pub(super) fn keys<'k>(keys: impl Iterator<Item = &'k MessageKey> + Clone) -> Columns<'static> {
    Columns::new()
        .ids(keys.clone().map(|(tenant, _)| tenant.as_u128()))
        .ids(keys.map(|(_, id)| id.as_u128()))
}

/// A row that the group has made, as the next parameters of [`INSERT_ROWS`].
pub(in super::super) fn new_row<'q>(query: Query<'q>, row: &&Message) -> Query<'q> {
    let (error, line) = (row.error.as_ref(), &row.timeline);
    query
        .bind(Id(row.tenant.as_u128()))
        .bind(Id(row.id.as_u128()))
        .bind(Id(row.session.as_u128()))
        .bind(row.direction.name())
        .bind(row.kind.as_deref())
        .bind(row.chat_id.as_deref())
        .bind(row.sender.as_deref())
        .bind(row.wa_message_id.as_ref().map(WaMessageId::as_str))
        .bind(row.status.name())
        .bind(error.map(|error| error.code.as_str()))
        .bind(error.and_then(|error| error.message.as_deref()))
        .bind(row.content.as_ref().map(Json))
        .bind(row.body_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(Count(row.epoch.0))
        .bind(Time(row.created_at))
        .bind(line.sending.map(Time))
        .bind(line.sent.map(Time))
        .bind(line.delivered.map(Time))
        .bind(line.read.map(Time))
        .bind(line.played.map(Time))
        .bind(line.failed.map(Time))
        .bind(source(row))
        .bind(row.refused_status.map(|status| Count(status.into())))
        .bind(row.occurred_at.map(Time))
}

/// What stands in `source`: nothing for nearly all messages.
fn source(row: &Message) -> Option<&str> {
    (row.source == Some(MessageSource::Phone)).then_some(PHONE)
}

/// Rows that the group has made, for [`INSERT`]: their times are given by the statement.
pub(in super::super) fn new_rows(made: &[Folded]) -> Columns<'_> {
    let rows = || made.iter().map(Folded::row);
    let lists = Columns::new()
        .ids(rows().map(|row| row.tenant.as_u128()))
        .ids(rows().map(|row| row.id.as_u128()))
        .ids(rows().map(|row| row.session.as_u128()))
        .texts(rows().map(|row| row.direction.name()))
        .texts(rows().map(|row| row.kind.as_deref()))
        .texts(rows().map(|row| row.chat_id.as_deref()))
        .texts(rows().map(|row| row.sender.as_deref()))
        .texts(rows().map(source));
    let lists = known(lists, rows);
    lists
        .flags(rows().map(|row| row.timeline.sending.is_some()))
        .flags(rows().map(|row| row.timeline.sent.is_some()))
        .flags(rows().map(|row| row.timeline.delivered.is_some()))
        .flags(rows().map(|row| row.timeline.read.is_some()))
        .flags(rows().map(|row| row.timeline.played.is_some()))
        .flags(rows().map(|row| row.timeline.failed.is_some()))
}

/// Rows that existed: only what folding may change.
pub(super) fn changed_rows<'m>(changed: &[&'m Message]) -> Columns<'m> {
    let rows = || changed.iter().copied();
    let lists = Columns::new()
        .ids(rows().map(|row| row.tenant.as_u128()))
        .ids(rows().map(|row| row.id.as_u128()))
        .texts(rows().map(|row| row.kind.as_deref()))
        .texts(rows().map(|row| row.chat_id.as_deref()));
    known(lists, rows)
        .times(rows().map(|row| row.timeline.sending))
        .times(rows().map(|row| row.timeline.sent))
        .times(rows().map(|row| row.timeline.delivered))
        .times(rows().map(|row| row.timeline.read))
        .times(rows().map(|row| row.timeline.played))
        .times(rows().map(|row| row.timeline.failed))
}

fn known<'m, I: Iterator<Item = &'m Message>>(
    lists: Columns<'m>,
    rows: impl Fn() -> I,
) -> Columns<'m> {
    lists
        .texts(rows().map(|row| row.wa_message_id.as_ref().map(WaMessageId::as_str)))
        .texts(rows().map(|row| row.status.name()))
        .texts(rows().map(|row| row.error.as_ref().map(|error| error.code.as_str())))
        .texts(rows().map(|row| {
            row.error
                .as_ref()
                .and_then(|error| error.message.as_deref())
        }))
        .jsons(rows().map(|row| row.content.as_ref().and_then(raw)))
        .bytes(rows().map(|row| row.body_hash.as_ref().map(<[u8; 32]>::as_slice)))
        .counts(rows().map(|row| row.epoch.0))
        .counts(rows().map(|row| row.refused_status.map(u64::from)))
        .times(rows().map(|row| row.occurred_at))
}

/// The events of new rows, each with the message that must have been made for it.
pub(in super::super) fn new_events(made: &[Folded]) -> Columns<'_> {
    let events = || {
        made.iter()
            .flat_map(|folded| folded.events.iter().map(move |event| (folded.row(), event)))
    };
    Columns::new()
        .ids(events().map(|(row, _)| row.tenant.as_u128()))
        .ids(events().map(|(row, _)| row.id.as_u128()))
        .ids(events().map(|(_, new)| new.session.map(SessionId::as_u128)))
        .counts(events().map(|(_, new)| new.epoch.map(|epoch| epoch.0)))
        .texts(events().map(|(_, new)| new.name.as_ref()))
        .counts(events().map(|(_, new)| u64::from(new.version)))
        .jsons(events().map(|(_, new)| new.data.as_raw().to_owned()))
        .counts(events().map(|(_, new)| counts(new.usage)))
}
