//! The schema from zero, and that both engines have the same one.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is the test's failure"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_server::store::sql::{MigrateError, OpenError, PostgresOptions, SqlStore};
use gateway_server::system::SystemClock;
use gateway_testkit::services;
use libtest_mimic::Trial;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

/// What PostgreSQL calls the types that SQLite keeps as one.
const TYPES: [(&str, &str); 8] = [
    ("uuid", "BLOB"),
    ("bytea", "BLOB"),
    ("bigint", "INTEGER"),
    ("boolean", "INTEGER"),
    ("timestamp with time zone", "INTEGER"),
    ("text", "TEXT"),
    ("jsonb", "TEXT"),
    ("json", "TEXT"),
];

/// Table, column, type, whether it may be empty.
type Column = (String, String, String, bool);
/// Table, index, whether it is unique, columns in their order.
type Index = (String, String, bool, String);

const SQLITE_COLUMNS: &str = "SELECT t.name, c.name, c.type, NOT (c.\"notnull\" OR c.pk > 0) \
     FROM sqlite_master AS t, pragma_table_info(t.name) AS c \
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'";

const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text, data_type::text, \
         is_nullable = 'YES' \
     FROM information_schema.columns \
     WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";

/// The index behind a primary key has a name of the engine's own choice.
const SQLITE_INDEXES: &str = "SELECT t.name, \
         CASE i.origin WHEN 'pk' THEN t.name || '_pkey' ELSE i.name END, i.\"unique\", \
         (SELECT group_concat(name, ',') FROM (SELECT c.name FROM pragma_index_info(i.name) AS c \
          ORDER BY c.seqno)) \
     FROM sqlite_master AS t, pragma_index_list(t.name) AS i \
     WHERE t.type = 'table' AND t.name NOT LIKE '_sqlx_%' \
     UNION ALL \
     SELECT t.name, t.name || '_pkey', 1, c.name \
     FROM sqlite_master AS t, pragma_table_info(t.name) AS c \
     WHERE t.type = 'table' AND t.name NOT LIKE '_sqlx_%' AND t.name NOT LIKE 'sqlite_%' \
       AND c.pk = 1 AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) WHERE origin = 'pk')";

const POSTGRES_INDEXES: &str = "SELECT t.relname::text, i.relname::text, x.indisunique, \
         (SELECT string_agg(a.attname, ',' ORDER BY k.place) \
          FROM unnest(x.indkey) WITH ORDINALITY AS k (number, place) \
          JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.number) \
     FROM pg_index AS x \
     JOIN pg_class AS i ON i.oid = x.indexrelid \
     JOIN pg_class AS t ON t.oid = x.indrelid \
     WHERE t.relnamespace = 'public'::regnamespace AND t.relname NOT LIKE '\\_sqlx%'";

async fn sqlite(path: &Path) -> SqlStore {
    SqlStore::sqlite(path, Arc::new(SystemClock)).await.unwrap()
}

async fn postgres(url: &str) -> SqlStore {
    let options = PostgresOptions::default();
    SqlStore::postgres(url, &options).await.unwrap()
}

async fn is_migrated_from_zero_and_again(store: &SqlStore) {
    assert!(!store.schema_is_current().await.unwrap());
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.schema_is_current().await.unwrap());
    store.close().await;
}

/// Other migrations than ours, under the names that the development versions before the first release had.
async fn before_the_first_release() -> (tempfile::TempDir, Migrator) {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("0001_init.sql", "CREATE TABLE tiers (name TEXT)"),
        ("0010_held_index.sql", "CREATE INDEX held ON tiers (name)"),
    ] {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let migrator = Migrator::new(folder.path()).await.unwrap();
    (folder, migrator)
}

/// Neither brought up to date nor taken for current, and the sentence says what to do.
async fn is_refused(store: &SqlStore) {
    for refused in [
        store.migrate().await.unwrap_err(),
        store.schema_is_current().await.unwrap_err(),
    ] {
        assert!(matches!(refused, MigrateError::Unreleased), "{refused:?}");
        let sentence = refused.to_string();
        for part in [
            "before the first release",
            "storage.data_dir",
            "DATABASE_URL",
        ] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
    store.close().await;
}

async fn a_file_from_before_the_first_release_is_refused(path: &Path) {
    let (_folder, former) = before_the_first_release().await;
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let file = SqlitePool::connect(&url).await.unwrap();
    former.run(&file).await.unwrap();
    file.close().await;
    is_refused(&sqlite(path).await).await;
}

async fn a_database_from_before_the_first_release_is_refused(url: &str) {
    let (_folder, former) = before_the_first_release().await;
    let server = PgPool::connect(url).await.unwrap();
    former.run(&server).await.unwrap();
    server.close().await;
    is_refused(&postgres(url).await).await;
}

async fn every_file_is_applied(path: &Path) {
    let store = sqlite(path).await;
    store.migrate().await.unwrap();
    store.close().await;
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let applied = "SELECT printf('%04d_%s.sql', version, description) FROM _sqlx_migrations";
    let applied: Vec<String> = sqlx::query_scalar(applied).fetch_all(&file).await.unwrap();
    assert_eq!(BTreeSet::from_iter(applied), file_names("sqlite"));
}

async fn one_gateway_at_a_time_has_the_file(path: &Path) {
    let first = sqlite(path).await;
    first.migrate().await.unwrap();
    let second = SqlStore::sqlite(path, Arc::new(SystemClock)).await;
    assert!(matches!(second, Err(OpenError::Lock(_))), "{second:?}");
    let clock = Arc::new(SystemClock);
    let beside = SqlStore::sqlite_beside(path, clock).await.unwrap();
    assert!(beside.schema_is_current().await.unwrap());
    drop(first);
    sqlite(path).await;
}

async fn a_file_that_is_no_database_is_named(folder: &Path) {
    let path = folder.join("notes.txt");
    let words = "not a database, whatever its name may be".repeat(100);
    std::fs::write(&path, words).unwrap();
    let opened = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

async fn the_engines_have_the_same_schema(path: &Path, url: &str) {
    let (one, other) = (sqlite(path).await, postgres(url).await);
    one.migrate().await.unwrap();
    other.migrate().await.unwrap();
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let server = PgPool::connect(url).await.unwrap();

    let ours: Vec<Column> = sqlx::query_as(SQLITE_COLUMNS)
        .fetch_all(&file)
        .await
        .unwrap();
    let theirs: Vec<Column> = sqlx::query_as(POSTGRES_COLUMNS)
        .fetch_all(&server)
        .await
        .unwrap();
    let theirs = theirs.into_iter().map(|(table, name, kind, empty)| {
        let known = TYPES.iter().find(|(postgres, _)| *postgres == kind);
        let (_, sqlite) = known.unwrap_or_else(|| panic!("{table}.{name} is of type {kind}"));
        (table, name, (*sqlite).to_owned(), empty)
    });
    same("columns", ours, theirs.collect());

    let ours: Vec<Index> = sqlx::query_as(SQLITE_INDEXES)
        .fetch_all(&file)
        .await
        .unwrap();
    let theirs: Vec<Index> = sqlx::query_as(POSTGRES_INDEXES)
        .fetch_all(&server)
        .await
        .unwrap();
    same("indexes", ours, theirs);
}

fn same<T: Ord + std::fmt::Debug>(what: &str, sqlite: Vec<T>, postgres: Vec<T>) {
    let (sqlite, postgres) = (BTreeSet::from_iter(sqlite), BTreeSet::from_iter(postgres));
    let ours: Vec<&T> = sqlite.difference(&postgres).collect();
    let theirs: Vec<&T> = postgres.difference(&sqlite).collect();
    assert!(!sqlite.is_empty(), "no {what} were found");
    assert!(
        ours.is_empty() && theirs.is_empty(),
        "{what} of SQLite alone: {ours:#?}, of PostgreSQL alone: {theirs:#?}"
    );
}

fn folder(engine: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../migrations").join(engine)
}

fn file_names(engine: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder(engine)).unwrap();
    let name = |file: std::fs::DirEntry| file.file_name().into_string().unwrap();
    files.map(|file| name(file.unwrap())).collect()
}

fn the_engines_have_the_same_files() {
    assert_eq!(file_names("sqlite"), file_names("postgres"));
    for file in file_names("sqlite") {
        for engine in ["sqlite", "postgres"] {
            let text = std::fs::read_to_string(folder(engine).join(&file)).unwrap();
            assert!(
                text.starts_with("-- Why: "),
                "{engine}/{file} begins with why"
            );
        }
    }
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

fn on_sqlite(name: &str, test: impl AsyncFnOnce(&Path) + Send + 'static) -> Trial {
    Trial::test(name, move || {
        let folder = tempfile::tempdir()?;
        on_a_runtime(test(&folder.path().join("gateway.db")));
        Ok(())
    })
}

fn on_postgres(name: &str, test: impl AsyncFnOnce(&str) + Send + 'static) -> Trial {
    let missing = services::postgres().err();
    let ignored = missing.is_some() && !services::in_ci();
    let test = move || {
        let database = services::postgres()?.fresh_database()?;
        on_a_runtime(test(database.url()));
        Ok(())
    };
    Trial::test(name, test).with_ignored_flag(ignored)
}

fn main() {
    let tests = vec![
        Trial::test("the_engines_have_the_same_files", || {
            the_engines_have_the_same_files();
            Ok(())
        }),
        on_sqlite("sqlite::is_migrated_from_zero_and_again", async |path| {
            is_migrated_from_zero_and_again(&sqlite(path).await).await;
        }),
        on_postgres("postgres::is_migrated_from_zero_and_again", async |url| {
            is_migrated_from_zero_and_again(&postgres(url).await).await;
        }),
        on_sqlite(
            "sqlite::a_database_from_before_the_first_release_is_refused",
            async |path| a_file_from_before_the_first_release_is_refused(path).await,
        ),
        on_postgres(
            "postgres::a_database_from_before_the_first_release_is_refused",
            async |url| a_database_from_before_the_first_release_is_refused(url).await,
        ),
        on_sqlite("every_file_is_applied", async |path| {
            every_file_is_applied(path).await;
        }),
        on_sqlite("sqlite::one_gateway_at_a_time_has_the_file", async |path| {
            one_gateway_at_a_time_has_the_file(path).await;
        }),
        on_sqlite(
            "sqlite::a_file_that_is_no_database_is_named",
            async |path| {
                a_file_that_is_no_database_is_named(path.parent().unwrap()).await;
            },
        ),
        on_postgres("the_engines_have_the_same_schema", async |url| {
            let folder = tempfile::tempdir().unwrap();
            the_engines_have_the_same_schema(&folder.path().join("gateway.db"), url).await;
        }),
    ];
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, tests).exit();
}
