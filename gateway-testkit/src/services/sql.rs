//! A PostgreSQL server as tests see it: a place that gives databases.
//!
//! Databases are made and dropped with `psql`, which comes with every server package: the test kit
//! has no database driver, and needs none for two statements. On a server in a container it is the
//! container's own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::container::PostgresContainer;

/// A database could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("PostgreSQL refused `{statement}`: {why}")]
pub struct DatabaseError {
    statement: String,
    why: String,
}

/// How statements reach the server: by a local `psql` or by that of a container.
#[derive(Clone, Debug)]
pub(super) enum Client {
    Psql(PathBuf),
    Container(Arc<PostgresContainer>),
}

impl Client {
    fn execute(&self, url: &str, statement: &str) -> Result<(), DatabaseError> {
        let outcome = match self {
            Self::Psql(program) => psql(program, url, statement),
            Self::Container(container) => container.execute(statement),
        };
        outcome.map_err(|why| DatabaseError {
            statement: statement.to_owned(),
            why,
        })
    }
}

fn psql(program: &PathBuf, url: &str, statement: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        url,
        "-c",
        statement,
    ]);
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// A PostgreSQL server. Clones are the same server.
#[derive(Clone, Debug)]
pub struct Postgres {
    url: Arc<str>,
    client: Client,
    run: Arc<str>,
    made: Arc<AtomicU64>,
}

impl Postgres {
    /// Makes a handle to the server at `url`, which names a database that always exists and a user who
    /// may make others.
    pub(super) fn new(url: String, client: Client) -> Self {
        let run = format!("gateway_test_{:016x}", rand::random::<u64>());
        Self {
            url: url.into(),
            client,
            run: run.into(),
            made: Arc::default(),
        }
    }

    /// Makes a new, empty database of the caller's own, which is dropped with the value.
    ///
    /// # Errors
    /// The server refuses or is away.
    pub fn fresh_database(&self) -> Result<Database, DatabaseError> {
        let name = format!("{}_{}", self.run, self.made.fetch_add(1, Ordering::Relaxed));
        // Nobody can be connected to template0, which would make the statement fail.
        let plain = format!("CREATE DATABASE {name} TEMPLATE template0");
        // Twice as fast, and unknown to servers older than version 15.
        self.client
            .execute(&self.url, &format!("{plain} STRATEGY FILE_COPY"))
            .or_else(|_| self.client.execute(&self.url, &plain))?;
        let url = with_database(&self.url, &name);
        Ok(Database {
            url,
            name,
            server: self.clone(),
        })
    }

    /// Returns the URL of a database that always exists.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the prefix of the names of all databases made by this process.
    pub(super) fn run(&self) -> &str {
        &self.run
    }
}

/// An empty database that belongs to one test.
#[derive(Debug)]
pub struct Database {
    url: String,
    name: String,
    server: Postgres,
}

impl Database {
    /// Returns the URL of the database, `postgres://…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The server may have been killed by the test; its folder goes anyway.
        let _ = self.server.client.execute(&self.server.url, &statement);
    }
}

/// Returns `url` with another database name.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url
        .split_once('?')
        .map_or((url, None), |(a, q)| (a, Some(q)));
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |at| host + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_changes() {
        for (url, expected) in [
            ("postgres://u:p@h:1/db", "postgres://u:p@h:1/x"),
            ("postgres://u@h", "postgres://u@h/x"),
            (
                "postgresql://h/db?sslmode=require",
                "postgresql://h/x?sslmode=require",
            ),
        ] {
            assert_eq!(with_database(url, "x"), expected);
        }
    }
}
