//! What a gateway on PostgreSQL stands on: a database of the story's own, and every secret.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_testkit::services::{self, Database};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::gateway::{BOOTSTRAP, Gateway};
use crate::process::Process;

const SECRET: &str = "q8Jw7mZr5tYb1nLp8dHf2gAc6e0sXkq3v9";
const STATE_KEY: &str = "1:q8Jw7mZr5tYb1nLp8dHf2gAc6e0sXkq3v9";

/// A database with the program's schema in it.
#[derive(Debug)]
pub(crate) struct Ground {
    database: Database,
    files: TempDir,
}

impl Ground {
    /// Made and migrated.
    pub(crate) fn new() -> Self {
        let ground = Self {
            database: database(),
            files: tempfile::tempdir().expect("a folder"),
        };
        let folder = tempfile::tempdir().expect("a folder");
        migrate(folder.path(), &variables(ground.url()));
        ground
    }

    /// `postgres://…`
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// Where its server listens, and the URL with another address in that place.
    pub(crate) fn behind(&self, address: &str) -> (String, String) {
        let (scheme, rest) = self.url().split_once("@").expect("a user");
        let (host, name) = rest.split_once('/').expect("a database");
        (host.to_owned(), format!("{scheme}@{address}/{name}"))
    }

    /// A gateway on it; all of them share a folder for their files.
    pub(crate) fn serve(&self, more: &[(&str, &str)]) -> Gateway {
        let mut all = variables(self.url());
        all.push(("GATEWAY_STORAGE_DATA_DIR", self.files()));
        all.extend(more);
        Gateway::serve_in(tempfile::tempdir().expect("a folder"), &all)
    }

    /// The folder that its replicas share.
    pub(crate) fn files(&self) -> &str {
        self.files.path().to_str().expect("text")
    }

    /// Statements that answer nothing.
    pub(crate) async fn execute(&self, statements: &str) {
        self.connection()
            .await
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statements)))
            .await
            .unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// The one value of a statement, as text.
    pub(crate) async fn ask(&self, statement: &str) -> String {
        let rows = self.column(statement).await;
        rows.into_iter().next().expect("a row")
    }

    /// The one column of a statement, as texts.
    pub(crate) async fn column(&self, statement: &str) -> Vec<String> {
        let text = format!("SELECT CAST(x.v AS TEXT) FROM ({statement}) AS x (v)");
        sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_all(&mut self.connection().await)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// A connection of the story's own.
    pub(crate) async fn connection(&self) -> PgConnection {
        let connected = PgConnection::connect(self.url()).await;
        connected.expect("the server runs")
    }
}

/// A database of this story's own, with nothing in it.
pub(crate) fn database() -> Database {
    let postgres = services::postgres().unwrap_or_else(|missing| panic!("{missing}"));
    postgres.fresh_database().expect("a database")
}

/// Every secret that cluster mode asks for, and the database.
pub(crate) fn variables(url: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("PORT", "0"),
        ("DATABASE_URL", url),
        ("JWT_SECRET", SECRET),
        ("WORKER_AUTH_TOKEN", BOOTSTRAP),
        ("GATEWAY_AUTH_WORKER_TOKEN_KEY", SECRET),
        ("GATEWAY_AUTH_MESSAGE_ID_KEY", SECRET),
        ("GATEWAY_STORAGE_STATE_KEYS", STATE_KEY),
        // No load balancer has to notice.
        ("GATEWAY_SHUTDOWN_GRACE", "0s"),
    ]
}

/// `gateway-server migrate`
pub(crate) fn migrate(folder: &Path, variables: &[(&str, &str)]) {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let variables: BTreeMap<String, String> = variables.iter().map(owned).collect();
    let (status, log) = Process::start(folder, &["migrate"], &variables).wait();
    assert!(status.success(), "{log}");
}
