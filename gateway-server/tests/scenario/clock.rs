//! A store whose clock jumps.
//!
//! PostgreSQL's clock is the machine's, which a test cannot set; so the story's own database has functions
//! of the same names that stand before the server's in the search path.

use std::time::Duration;

use gateway_core::time::Clock;
use gateway_server::system::SystemClock;
use reqwest::Method;

use crate::ground::Ground;
use crate::{eventually, pause};

/// Longer than lease and guard.
const WATCHED: Duration = Duration::from_secs(6);

async fn shadow_the_clock(ground: &Ground) {
    let name = ground.ask("SELECT current_database()").await;
    let mut statements = "CREATE SCHEMA clock; \
        CREATE TABLE clock.step (ahead INTERVAL NOT NULL); \
        INSERT INTO clock.step VALUES ('0'); "
        .to_owned();
    for function in ["now", "clock_timestamp", "statement_timestamp"] {
        statements += &format!(
            "CREATE FUNCTION clock.{function}() RETURNS TIMESTAMPTZ LANGUAGE SQL STABLE AS \
             'SELECT pg_catalog.{function}() + ahead FROM clock.step'; "
        );
    }
    statements += &format!("ALTER DATABASE {name} SET search_path = clock, pg_catalog, public");
    ground.execute(&statements).await;
}

pub(crate) async fn a_store_whose_clock_jumps_fences_nobody() {
    let ground = Ground::new();
    shadow_the_clock(&ground).await;
    let gateway = ground.serve(&[]);
    let _worker = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("clock@example.com").await;
    tenant.connected_session("clock").await;
    for ahead in ["6 hours", "-6 hours", "3 days", "0"] {
        ground
            .execute(&format!("UPDATE clock.step SET ahead = '{ahead}'"))
            .await;
        let jumped = "SELECT clock_timestamp() - pg_catalog.clock_timestamp() \
            BETWEEN ahead - INTERVAL '1 minute' AND ahead + INTERVAL '1 minute' FROM clock.step";
        assert_eq!(ground.ask(jumped).await, "true");
        let begun = SystemClock.uptime();
        while SystemClock.uptime().since(begun) < WATCHED {
            let sent = tenant.send("clock", "whatever the time", None).await;
            let (status, answer) = sent.expect("an answer");
            assert!(status.is_success(), "{ahead}: {status} {answer}");
            pause(Duration::from_millis(200)).await;
        }
        let path = "/sessions/clock/history";
        let history = tenant.call(Method::GET, path, None).await;
        let (_, history) = history.expect("an answer");
        assert_eq!(history["data"][0]["epoch"], 1, "{ahead}: {history}");
        assert_eq!(history["data"].as_array().expect("a list").len(), 1);
    }
    // New sessions are placed as before.
    tenant.connected_session("after").await;
    eventually("the session is where it was", || async {
        let fenced = "SELECT count(*) FROM worker_leases WHERE fenced_at IS NOT NULL";
        (ground.ask(fenced).await == "0").then_some(())
    })
    .await;
}
