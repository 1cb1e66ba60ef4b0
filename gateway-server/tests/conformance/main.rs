//! The adapters keep every promise that their ports make, each on every engine that is here.

mod coordinators;
mod links;
mod logs;
mod states;
mod stores;

use gateway_testkit::conformance::{
    Absent, COORDINATOR, MESSAGE_LOG, STATE_STORE, STORE, WORKER_LINK, trials,
};
use gateway_testkit::services;

use coordinators::{Local, OverRedis, OverShelter};
use links::OverHttp;
use logs::{OverPostgres, OverSqlite};
use states::{PostgresState, SqliteState};
use stores::{Postgres, Sqlite};

fn main() -> std::io::Result<()> {
    let arguments = libtest_mimic::Arguments::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let absent = if services::in_ci() {
        Absent::Failed
    } else {
        Absent::Ignored
    };
    let on = runtime.handle();
    let mut tests = trials(Local, COORDINATOR, on, absent);
    tests.extend(trials(OverRedis, COORDINATOR, on, absent));
    tests.extend(trials(OverShelter, COORDINATOR, on, absent));
    tests.extend(trials(OverHttp, WORKER_LINK, on, absent));
    tests.extend(trials(Sqlite, STORE, on, absent));
    tests.extend(trials(Postgres::look(), STORE, on, absent));
    tests.extend(trials(OverSqlite, MESSAGE_LOG, on, absent));
    let postgres = OverPostgres(Postgres::look());
    tests.extend(trials(postgres, MESSAGE_LOG, on, absent));
    tests.extend(trials(SqliteState, STATE_STORE, on, absent));
    let postgres = PostgresState(Postgres::look());
    tests.extend(trials(postgres, STATE_STORE, on, absent));
    libtest_mimic::run(&arguments, tests).exit()
}
