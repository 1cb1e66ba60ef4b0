//! The same program on PostgreSQL.

use std::collections::BTreeMap;

use gateway_testkit::services::{self, Database};

use crate::gateway::{BOOTSTRAP, Gateway};
use crate::process::Process;
use crate::start::{fails, refuses};

const SECRET: &str = "a-secret-for-the-stories-0123456789abcdef";
const STATE_KEY: &str = "1:a-secret-for-the-stories-0123456789abcdef";

/// A database of this story's own.
fn database() -> Database {
    let postgres = services::postgres().unwrap_or_else(|missing| panic!("{missing}"));
    postgres.fresh_database().expect("a database")
}

/// Every secret that cluster mode asks for, and the database.
fn variables(database: &Database) -> Vec<(&'static str, &str)> {
    vec![
        ("PORT", "0"),
        ("DATABASE_URL", database.url()),
        ("JWT_SECRET", SECRET),
        ("WORKER_AUTH_TOKEN", BOOTSTRAP),
        ("GATEWAY_AUTH_WORKER_TOKEN_KEY", SECRET),
        ("GATEWAY_AUTH_MESSAGE_ID_KEY", SECRET),
        ("GATEWAY_STORAGE_STATE_KEYS", STATE_KEY),
    ]
}

fn migrate(folder: &std::path::Path, variables: &[(&str, &str)]) {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let variables: BTreeMap<String, String> = variables.iter().map(owned).collect();
    let (status, log) = Process::start(folder, &["migrate"], &variables).wait();
    assert!(status.success(), "{log}");
}

pub(crate) async fn an_older_schema_is_refused_and_a_migrated_one_serves() {
    let database = database();
    let folder = tempfile::tempdir().expect("a folder");
    let variables = variables(&database);
    refuses(folder.path(), &variables, "gateway-server migrate");
    let create = ["admin", "create", "--email", "root@example.com"];
    fails(folder.path(), &create, &variables, "gateway-server migrate");
    migrate(folder.path(), &variables);
    let gateway = Gateway::serve_in(folder, &variables);
    let _worker = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("postgres@example.com").await;
    tenant.connected_session("first").await;
    let (status, answer) = tenant
        .send("first", "hello", None)
        .await
        .expect("an answer");
    assert!(status.is_success(), "{answer}");
}

pub(crate) async fn a_second_gateway_on_the_same_database_is_refused() {
    let database = database();
    let folder = tempfile::tempdir().expect("a folder");
    let variables = variables(&database);
    migrate(folder.path(), &variables);
    let _first = Gateway::serve_in(folder, &variables);
    let elsewhere = tempfile::tempdir().expect("a folder");
    refuses(
        elsewhere.path(),
        &variables,
        "another gateway runs on this database",
    );
}

pub(crate) async fn nothing_acknowledged_is_lost_when_the_gateway_is_killed() {
    let database = database();
    let folder = tempfile::tempdir().expect("a folder");
    let variables = variables(&database);
    migrate(folder.path(), &variables);
    crate::crash::kill_during_writes(Gateway::serve_in(folder, &variables)).await;
}
