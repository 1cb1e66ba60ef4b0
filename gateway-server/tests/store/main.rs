//! What is particular to the stores over SQL: how rows travel, what connections do, which indexes the
//! statements use. What every store promises is in the conformance suites.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is the test's failure"
)]

mod clock;
mod connections;
mod renewals;
mod rows;
mod statements;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use gateway_server::store::sql::{PostgresOptions, SqlStore};
use gateway_server::system::SystemClock;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::services;
use libtest_mimic::{Arguments, Trial};

fn on_a_runtime(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

async fn sqlite(folder: &Path) -> SqlStore {
    let path = folder.join("gateway.db");
    let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
    let store = store.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn postgres(url: &str, options: &PostgresOptions) -> SqlStore {
    let store = SqlStore::postgres(url, options).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn on_sqlite(name: &str, test: impl AsyncFnOnce(SqlStore) + Send + 'static) -> Trial {
    Trial::test(format!("sqlite::{name}"), move || {
        let folder = tempfile::tempdir()?;
        on_a_runtime(async { test(sqlite(folder.path()).await).await });
        Ok(())
    })
}

fn on_postgres(
    name: &str,
    options: PostgresOptions,
    test: impl AsyncFnOnce(SqlStore) + Send + 'static,
) -> Trial {
    on_postgres_at(name, options, async |store, _| test(store).await)
}

/// A test that also speaks to the server itself, at the URL it is given.
fn on_postgres_at(
    name: &str,
    options: PostgresOptions,
    test: impl AsyncFnOnce(SqlStore, String) + Send + 'static,
) -> Trial {
    let missing = services::postgres().is_err();
    let test = move || {
        let database = services::postgres()?.fresh_database()?;
        let url = database.url().to_owned();
        on_a_runtime(async { test(postgres(&url, &options).await, url.clone()).await });
        Ok(())
    };
    let name = format!("postgres::{name}");
    Trial::test(name, test).with_ignored_flag(missing && !services::in_ci())
}

/// One test per engine.
macro_rules! on_both {
    ($($module:ident::$case:ident),* $(,)?) => {
        [$(
            on_sqlite(stringify!($case), async |store| $module::$case(&store).await),
            on_postgres(stringify!($case), PostgresOptions::default(), async |store| {
                $module::$case(&store).await;
            }),
        )*]
    };
}

/// One test per case that opens its SQLite file itself.
macro_rules! in_a_folder {
    ($($module:ident::$case:ident),* $(,)?) => {
        [$(Trial::test(concat!("sqlite::", stringify!($case)), || {
            let folder = tempfile::tempdir()?;
            on_a_runtime($module::$case(folder.path()));
            Ok(())
        })),*]
    };
}

fn main() {
    let mut tests = Vec::from(on_both![
        rows::a_session_comes_back_to_the_microsecond_in_every_phase,
        rows::numbers_that_do_not_fit_are_refused,
        rows::sessions_are_counted_by_status_and_by_phase,
        connections::a_reader_waits_for_no_writer_and_cannot_write,
        connections::writers_that_wait_all_get_their_turn,
    ]);
    tests.push(on_postgres_at(
        "a_read_begins_no_transaction",
        PostgresOptions::default(),
        async |store, url| connections::a_read_begins_no_transaction(&store, &url).await,
    ));
    let impatient = PostgresOptions {
        statement_timeout: std::time::Duration::from_millis(50),
        ..PostgresOptions::default()
    };
    tests.push(on_postgres(
        "a_statement_that_waits_too_long_is_given_up",
        impatient,
        async |store| connections::a_statement_that_waits_too_long_is_given_up(&store).await,
    ));
    let few = PostgresOptions {
        max_connections: 2,
        ..PostgresOptions::default()
    };
    tests.push(on_postgres(
        "what_keeps_caches_trusted_and_leases_alive_waits_for_nobody",
        few,
        async |store| {
            connections::what_keeps_caches_trusted_and_leases_alive_waits_for_nobody(&store).await;
        },
    ));
    let clock = Arc::new(ManualClock::default());
    let watched = PostgresOptions {
        clock: clock.clone(),
        ..PostgresOptions::default()
    };
    tests.push(on_postgres(
        "a_transaction_that_grows_old_does_not_commit",
        watched,
        async move |store| {
            connections::a_transaction_that_grows_old_does_not_commit(&store, &clock).await;
        },
    ));
    tests.extend(in_a_folder![
        clock::a_clock_that_is_set_back_delays_no_timer,
        clock::what_a_command_writes_beside_a_clock_that_was_set_back_is_seen,
        rows::a_row_that_makes_no_sense_keeps_no_other_from_its_turn,
        rows::a_row_that_makes_no_sense_is_named,
        renewals::workers_that_report_at_once_are_each_answered_for_themselves,
        renewals::who_asks_a_closed_store_hears_that_it_could_not_be_done,
        renewals::a_transaction_that_sqlite_ends_by_itself_is_not_the_last,
        renewals::who_has_gone_away_is_not_written,
    ]);
    tests.push(Trial::test(
        "sqlite::a_store_that_outlives_its_runtime_renews_on_another",
        || {
            renewals::a_store_that_outlives_its_runtime_renews_on_another(
                tempfile::tempdir()?.path(),
            );
            Ok(())
        },
    ));
    tests.push(Trial::test("every_statement_has_its_index", || {
        on_a_runtime(statements::every_statement_has_its_index());
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}
