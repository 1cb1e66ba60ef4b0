//! No statement looks at rows that it does not want.
//!
//! The conformance suites of the store and of the message log run on a SQLite file while every statement is written down; then SQLite is
//! asked how it would run each of them, and a scan of a table is a failure.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::message::MessageLog;
use gateway_server::message_log::{GroupLog, GroupOptions};
use gateway_server::store::sql::SqlStore;
use gateway_server::telemetry::metrics::Metrics;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{LogUnderTest, MESSAGE_LOG, Need, STORE, StoreUnderTest};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePool;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Tables that are read whole, on purpose, in the order of their key: the fleet, the plans, the tenants when
/// sends of all of them are given up, and the oldest rows of the outbox. And what a statement brings with it,
/// such as its keys, what it has found by them, and the windows over one step of the sequencer.
const READ_WHOLE: [&str; 10] = [
    "w",
    "t",
    "tiers",
    "outbox",
    "json_each",
    "k",
    "n",
    "found",
    "(subquery-2)",
    "(subquery-3)",
];

/// What is sorted, on purpose: a handful of plans or persons, one step of the sequencer.
const SORTED: [&str; 3] = ["FROM tiers", "AS found", "INSERT INTO events"];

/// How many places the message log has.
const PLACES: usize = 32;

/// Writes down the text of every statement.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

#[derive(Default)]
struct Text {
    summary: String,
    statement: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.trim().clone_into(&mut self.statement),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Other tests speak to PostgreSQL meanwhile; a SQLite connection is a thread with this name.
        let thread = std::thread::current();
        if !thread
            .name()
            .is_some_and(|name| name.starts_with("sqlx-sqlite"))
        {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let whole = match text.statement.is_empty() {
            true => text.summary,
            false => text.statement,
        };
        self.0.lock().unwrap().insert(whole);
    }
}

async fn open(folder: &Path, clock: Arc<ManualClock>) -> SqlStore {
    let path = folder.join("gateway.db");
    let store = SqlStore::sqlite(&path, clock).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn a_store(folder: &Path) -> StoreUnderTest {
    let clock = Arc::new(ManualClock::default());
    StoreUnderTest {
        store: Arc::new(open(folder, Arc::clone(&clock)).await),
        clock: Some(clock),
        keep: Box::new(()),
    }
}

async fn a_log(folder: &Path) -> LogUnderTest {
    let store = open(folder, Arc::default()).await;
    let options = GroupOptions {
        capacity: PLACES,
        batch_size: 8,
        batch_wait: Duration::ZERO,
    };
    let metrics = Metrics::new().unwrap().message_log;
    let (log, task) = GroupLog::new(Arc::new(store.ledger()), options, metrics);
    let close = CancellationToken::new();
    tokio::spawn(task.run(close.clone()));
    let log: Arc<dyn MessageLog> = Arc::new(log);
    LogUnderTest {
        other: Arc::clone(&log),
        log,
        places: PLACES,
        store: Arc::new(store),
        keep: Box::new(close.drop_guard()),
    }
}

/// Runs the suites and returns the statements that look for rows.
async fn statements() -> BTreeSet<String> {
    let all = Statements::default();
    let only = Targets::new().with_target("sqlx::query", LevelFilter::TRACE);
    let subscriber = tracing_subscriber::registry().with(all.clone().with_filter(only));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for case in STORE.iter().copied().flatten() {
        if case.needs != Some(Need::SecondWriter) {
            let folder = tempfile::tempdir().unwrap();
            (case.run)(&a_store(folder.path()).await).await.unwrap();
        }
    }
    for case in MESSAGE_LOG.iter().copied().flatten() {
        let folder = tempfile::tempdir().unwrap();
        (case.run)(&a_log(folder.path()).await).await.unwrap();
    }
    let all = all.0.lock().unwrap().clone();
    let looks = |sql: &String| {
        let verbs = ["SELECT", "UPDATE", "DELETE", "INSERT"];
        verbs.iter().any(|verb| sql.starts_with(verb)) && !sql.contains("sqlx_migrations")
    };
    all.into_iter().filter(looks).collect()
}

pub(crate) async fn every_statement_has_its_index() {
    let statements = statements().await;
    assert!(statements.len() > 60, "only {statements:#?} were seen");
    let folder = tempfile::tempdir().unwrap();
    let _store = open(folder.path(), Arc::default()).await;
    let path = folder.path().join("gateway.db");
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let partial: Vec<String> = sqlx::query_scalar(PARTIAL).fetch_all(&file).await.unwrap();
    let mut scans = Vec::new();
    for sql in statements {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(explain))
            .fetch_all(&file)
            .await
            .unwrap();
        let scanned = plan.iter().filter(|(_, _, _, step)| {
            is_scan(step, &partial)
                || is_sort(step) && !SORTED.iter().any(|part| sql.contains(part))
        });
        scans.extend(scanned.map(|(_, _, _, step)| format!("{step} in {sql}")));
    }
    assert!(scans.is_empty(), "{scans:#?}");
}

/// Indexes over the rows in one state: to read all of such an index is to read what is wanted.
const PARTIAL: &str = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'";

/// Whether a step reads rows beyond those that the statement is about.
fn is_scan(step: &str, partial: &[String]) -> bool {
    let mut words = step.split_whitespace();
    let (Some("SCAN"), Some(table)) = (words.next(), words.next()) else {
        return false;
    };
    let index = words.next_back().unwrap_or_default();
    let wanted = partial.iter().any(|name| name == index);
    let parameters = table == "CONSTANT" || step.ends_with("-ROW VALUES CLAUSE");
    !parameters && !READ_WHOLE.contains(&table) && !wanted
}

/// Whether a step needs all rows before it can give the first one.
fn is_sort(step: &str) -> bool {
    step.starts_with("USE TEMP B-TREE FOR") && step.ends_with("ORDER BY")
}
