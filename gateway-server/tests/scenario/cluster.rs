//! The same program on PostgreSQL.

use std::net::TcpListener;

use gateway_testkit::services::{Durability, PrivatePostgres, PrivateRedis};
use reqwest::StatusCode;
use sqlx::{Connection, Executor, PgConnection};

use crate::eventually;
use crate::gateway::Gateway;
use crate::ground::{Ground, database, migrate, variables};
use crate::start::{fails, refuses};

pub(crate) async fn an_older_schema_is_refused_and_a_migrated_one_serves() {
    let database = database();
    let folder = tempfile::tempdir().expect("a folder");
    let variables = variables(database.url());
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
    let ground = Ground::new();
    let _first = ground.serve(&[]);
    let elsewhere = tempfile::tempdir().expect("a folder");
    refuses(
        elsewhere.path(),
        &variables(ground.url()),
        "another gateway runs on this database",
    );
    let redis = PrivateRedis::start().unwrap_or_else(|missing| panic!("{missing}"));
    let (mut options, url) = (variables(ground.url()), redis.url());
    options.push(("REDIS_URL", &url));
    refuses(
        elsewhere.path(),
        &options,
        "a gateway without REDIS_URL runs on this database",
    );
}

pub(crate) async fn a_login_that_postgres_refuses_is_one_sentence() {
    let private = PrivatePostgres::start(Durability::Relaxed);
    let private = private.unwrap_or_else(|missing| panic!("{missing}"));
    let mut owner = connect(private.server().url()).await;
    let statements = "CREATE ROLE stranger LOGIN PASSWORD 'right'; \
        COPY (VALUES ('host all stranger 127.0.0.1/32 scram-sha-256'), \
        ('host all gateway 127.0.0.1/32 trust')) TO ";
    let file: String = sqlx::query_scalar("SHOW hba_file")
        .fetch_one(&mut owner)
        .await
        .expect("a file");
    let statements = format!("{statements}'{file}'; SELECT pg_reload_conf()");
    let executed = owner.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statements)));
    executed.await.expect("the owner may");
    let url = private.server().url();
    for (from, to, says) in [
        (
            "gateway@",
            "stranger:wrong@",
            "password authentication failed",
        ),
        ("gateway@", "nobody:x@", "no pg_hba.conf entry"),
        (
            "/postgres",
            "/missing",
            "database \"missing\" does not exist",
        ),
    ] {
        let (before, after) = url.rsplit_once(from).expect("a private server's URL");
        let wrong = format!("{before}{to}{after}");
        let folder = tempfile::tempdir().expect("a folder");
        for command in ["serve", "migrate"] {
            fails(folder.path(), &[command], &variables(&wrong), says);
        }
        let all = variables(&wrong);
        fails(folder.path(), &["serve"], &all, "check DATABASE_URL");
    }
}

pub(crate) async fn a_database_that_takes_no_writes_is_one_sentence() {
    let ground = Ground::new();
    ground.execute(&read_only(&ground, true).await).await;
    let folder = tempfile::tempdir().expect("a folder");
    for command in [
        &["serve"][..],
        &["migrate"],
        &["admin", "create", "--email", "root@example.com"],
        &[
            "admin",
            "set-tier",
            "--email",
            "a@example.com",
            "--tier",
            "PRO",
        ],
    ] {
        let says = "PostgreSQL is read-only";
        fails(folder.path(), command, &variables(ground.url()), says);
    }
}

pub(crate) async fn a_database_that_stops_taking_writes_is_waited_for() {
    let ground = Ground::new();
    let gateway = ground.serve(&[
        ("GATEWAY_ORCHESTRATION_LEASE", "60s"),
        ("GATEWAY_WORKERS_SEND_TIMEOUT", "1s"),
    ]);
    let _worker = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("standby@example.com").await;
    tenant.connected_session("standby").await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let switch = read_only(&ground, true).await;
    ground.execute(&format!("{switch}; {others}")).await;
    eventually("new sends are refused", || async {
        let answer = tenant.raw_send("standby", "is anybody there?").await;
        let wait = answer.headers().contains_key("retry-after");
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE && wait).then_some(())
    })
    .await;
    // What is read-only is only the default of new transactions.
    let switch = read_only(&ground, false).await;
    let back = format!("BEGIN READ WRITE; {switch}; COMMIT; {others}");
    ground.execute(&back).await;
    eventually("sends are taken again", || async {
        let sent = tenant.send("standby", "here again", None).await;
        sent.filter(|(status, _)| status.is_success())
    })
    .await;
}

/// The statement after which new connections can or cannot write.
async fn read_only(ground: &Ground, yes: bool) -> String {
    let name = ground.ask("SELECT current_database()").await;
    format!("ALTER DATABASE {name} SET default_transaction_read_only = {yes}")
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a server")
}

pub(crate) async fn nothing_acknowledged_is_lost_when_the_gateway_is_killed() {
    let ground = Ground::new();
    crate::crash::kill_during_writes(ground.serve(&[])).await;
}

pub(crate) async fn in_cluster_mode_too_each_wrong_start_is_one_sentence() {
    let ground = Ground::new();
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let says = format!("port {port} is already in use");
    for (name, value, says) in [
        ("PORT", port.as_str(), says.as_str()),
        ("JWT_SECRET", "short", "JWT_SECRET"),
        ("JWT_SECRET", "", "JWT_SECRET"),
        ("WORKER_AUTH_TOKEN", "changeme", "WORKER_AUTH_TOKEN"),
        ("DATABASE_URL", "mysql://host/name", "postgres://"),
    ] {
        let mut variables = variables(ground.url());
        variables.push(("GATEWAY_HTTP_LISTEN", "127.0.0.1"));
        variables.push((name, value));
        refuses(folder.path(), &variables, says);
    }
}
