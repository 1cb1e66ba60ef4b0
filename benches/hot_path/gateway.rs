//! The real server, as its users start it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::clock::{Moment, now};
use crate::names::{BOOTSTRAP, SECRET, TIER};
use crate::process::{Process, free_port};

/// How servers of a run are started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// Variables of its configuration that differ from the defaults, beside those of every run.
    pub(crate) settings: Vec<(String, String)>,
}

/// Where a server keeps its truth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    /// PostgreSQL; none: SQLite in the server's folder.
    pub(crate) database: Option<String>,
    /// Redis.
    pub(crate) redis: Option<String>,
}

/// A running server that is ready.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// When its process was started.
    pub(crate) started: Moment,
}

impl Launch {
    /// Starts a server that keeps its files in `folder`, and waits until it is ready.
    pub(crate) async fn serve(&self, folder: &Path, backend: &Backend) -> Result<Gateway, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut variables = self.variables(folder, backend)?;
        variables.push(pair("PORT", &address.port().to_string()));
        let started = now();
        let log = folder.join("gateway.log");
        let arguments = ["serve".to_owned()];
        let mut process = Process::start(&self.program, &arguments, &variables, log)?;
        process.answers(address, "/health/ready").await?;
        Ok(Gateway {
            process,
            address,
            started,
        })
    }

    /// Makes the schema of a PostgreSQL database.
    pub(crate) fn migrate(&self, folder: &Path, backend: &Backend) -> Result<(), Failure> {
        let mut command = Command::new(&self.program);
        command
            .arg("migrate")
            .envs(self.variables(folder, backend)?);
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into()),
        }
    }

    fn variables(
        &self,
        folder: &Path,
        backend: &Backend,
    ) -> Result<Vec<(String, String)>, Failure> {
        let config = folder.join("gateway.toml");
        let tier = format!(
            "[tiers.{TIER}]\nsessions = 2000000\nrequests_per_hour = 1000000000000\n\
             webhook_endpoints = 1\nhistory_days = 90\npriority = 1\n"
        );
        std::fs::write(&config, tier)?;
        // Replicas share one folder, one server has its own.
        let shared = backend.redis.as_ref().and(folder.parent());
        let data = shared.unwrap_or(folder).join("data");
        let mut variables = vec![
            pair("GATEWAY_CONFIG", &config.to_string_lossy()),
            pair("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
            pair("GATEWAY_STORAGE_DATA_DIR", &data.to_string_lossy()),
            pair("WORKER_AUTH_TOKEN", BOOTSTRAP),
        ];
        if let Some(url) = &backend.database {
            variables.extend([
                pair("DATABASE_URL", url),
                pair("JWT_SECRET", SECRET),
                pair("GATEWAY_AUTH_WORKER_TOKEN_KEY", SECRET),
                pair("GATEWAY_AUTH_MESSAGE_ID_KEY", SECRET),
                pair("GATEWAY_STORAGE_STATE_KEYS", &format!("1:{SECRET}")),
            ]);
        }
        variables.extend(backend.redis.iter().map(|url| pair("REDIS_URL", url)));
        variables.extend(self.settings.iter().cloned());
        Ok(variables)
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Returns the file of embedded mode.
pub(crate) fn database_file(folder: &Path) -> PathBuf {
    folder.join("data").join("gateway.db")
}
