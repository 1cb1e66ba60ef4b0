//! The last resort: servers in containers.
//!
//! The blocking interface of the container library runs a runtime of its own, which may not happen on
//! a thread that polls futures, so every call is made on a fresh thread. These values live in statics,
//! whose destructors never run: a janitor removes the containers.

use std::thread;

use testcontainers::core::ExecCommand;
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, Image, ImageExt, TestcontainersError};
use testcontainers_modules::postgres::Postgres as PostgresImage;
use testcontainers_modules::redis::Redis as RedisImage;

use super::janitor::Janitor;

const REMOVE: &str = "docker rm --force --volumes \"$1\"";
const USER: &str = "postgres";

fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let done = scope.spawn(work).join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Starts a container. Returns it with its address as `host:port` and the janitor that removes it.
fn started<I: Image>(
    start: impl FnOnce() -> Result<Container<I>, TestcontainersError> + Send,
    port: u16,
) -> Result<(Container<I>, String, Janitor), String>
where
    Container<I>: Send,
{
    let (container, address) = apart(|| {
        let container = start()?;
        let address = format!(
            "{}:{}",
            container.get_host()?,
            container.get_host_port_ipv4(port)?
        );
        Ok((container, address))
    })
    .map_err(|error: TestcontainersError| error.to_string())?;
    let janitor = Janitor::hire(REMOVE, &[container.id()]).map_err(|error| error.to_string())?;
    Ok((container, address, janitor))
}

/// PostgreSQL in a container.
#[derive(Debug)]
pub(super) struct PostgresContainer {
    container: Container<PostgresImage>,
    url: String,
    _janitor: Janitor,
}

impl PostgresContainer {
    pub(super) fn start() -> Result<Self, String> {
        let start = || PostgresImage::default().with_tag("16-alpine").start();
        let (container, address, janitor) = started(start, 5432)?;
        let url = format!("postgres://{USER}:{USER}@{address}/{USER}");
        Ok(Self {
            container,
            url,
            _janitor: janitor,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Runs `statement` with the container's own `psql`.
    pub(super) fn execute(&self, statement: &str) -> Result<(), String> {
        let words = [
            "psql",
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            USER,
            "-c",
            statement,
        ];
        let (code, printed) = apart(|| {
            let mut outcome = self.container.exec(ExecCommand::new(words))?;
            // The exit code is known once the output has ended.
            let printed = outcome.stderr_to_vec()?;
            Ok((outcome.exit_code()?, printed))
        })
        .map_err(|error: TestcontainersError| error.to_string())?;
        match code {
            Some(0) => Ok(()),
            _ => Err(String::from_utf8_lossy(&printed).trim().to_owned()),
        }
    }
}

/// Redis in a container.
#[derive(Debug)]
pub(super) struct RedisContainer {
    _container: Container<RedisImage>,
    url: String,
    _janitor: Janitor,
}

impl RedisContainer {
    pub(super) fn start() -> Result<Self, String> {
        let start = || RedisImage::default().with_tag("7-alpine").start();
        let (container, address, janitor) = started(start, 6379)?;
        Ok(Self {
            _container: container,
            url: format!("redis://{address}"),
            _janitor: janitor,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
