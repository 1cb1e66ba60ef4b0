//! What is measured: a server, everything it needs, and where its costs are counted.
//!
//! Every target has a stub and services of its own, so that no cost of one is counted for another.
//! Targets stay up for the whole run, because their rounds are interleaved.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use gateway_testkit::services::{Durability, PrivatePostgres, PrivateRedis};
use tempfile::TempDir;

use crate::database::Database;
use crate::gateway::{Backend, Gateway, Launch, database_file};
use crate::names::{self, Size};
use crate::process::{Process, free_port};
use crate::{Failure, nginx};

/// The kinds of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The worker stub itself: the load generator's ceiling.
    Stub,
    /// nginx as a plain keep-alive proxy.
    Nginx,
    /// The gateway on SQLite.
    Embedded,
    /// The gateway on PostgreSQL, without Redis.
    Postgres,
    /// The gateway on PostgreSQL and Redis.
    Cluster,
    /// Two replicas on PostgreSQL and Redis, each with half of the load.
    Replicas,
}

impl Kind {
    /// Returns the target's name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stub => "worker stub, direct",
            Self::Nginx => "nginx",
            Self::Embedded => "gateway, embedded",
            Self::Postgres => "gateway, PostgreSQL",
            Self::Cluster => "gateway, PostgreSQL + Redis",
            Self::Replicas => "two replicas, PostgreSQL + Redis",
        }
    }

    const fn replicas(self) -> usize {
        match self {
            Self::Stub | Self::Nginx => 0,
            Self::Embedded | Self::Postgres | Self::Cluster => 1,
            Self::Replicas => 2,
        }
    }

    const fn has_redis(self) -> bool {
        matches!(self, Self::Cluster | Self::Replicas)
    }
}

/// A target that is ready for load.
#[derive(Debug)]
pub(crate) struct Target {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where to send.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The processes whose cost is the target's own.
    pub(crate) own: Vec<u32>,
    /// Its database.
    pub(crate) database: Option<Database>,
    /// PostgreSQL's process.
    pub(crate) postgres: Option<u32>,
    /// Redis's process.
    pub(crate) redis: Option<u32>,
    /// The stub's process.
    pub(crate) stub: u32,
    /// The sessions and keys to use.
    pub(crate) table: PathBuf,
    // What follows is kept for as long as the target is used, and dropped in this order.
    _processes: Vec<Process>,
    _services: Services,
    _folder: TempDir,
}

#[derive(Debug, Default)]
struct Services {
    _postgres: Option<PrivatePostgres>,
    _redis: Option<PrivateRedis>,
    backend: Backend,
}

impl Target {
    /// Starts everything that `kind` needs and puts in its rows. Returns `None` where nginx is not
    /// installed.
    pub(crate) async fn start(
        kind: Kind,
        size: Size,
        launch: &Launch,
    ) -> Result<Option<Self>, Failure> {
        let folder = TempDir::with_prefix("hot-path-")?;
        let services = Services::start(kind, launch, folder.path()).await?;
        let mut gateways = Vec::new();
        for number in 0..kind.replicas() {
            let place = folder.path().join(format!("replica-{number}"));
            std::fs::create_dir(&place)?;
            gateways.push(launch.serve(&place, &services.backend).await?);
        }
        let run = std::process::id().to_string();
        let (stub, upstream) = stub(folder.path(), size, gateways.first(), &run).await?;
        let database = services.database(kind, folder.path()).await?;
        let mut postgres = None;
        if let Some(database) = &database {
            database.seed(size, &run).await?;
            postgres = database.process().await?;
        }
        let table = folder.path().join("table");
        std::fs::write(&table, lines(size))?;
        let mut addresses: Vec<_> = gateways.iter().map(|gateway| gateway.address).collect();
        let mut own: Vec<_> = gateways
            .iter()
            .map(|gateway| gateway.process.pid())
            .collect();
        let mut processes: Vec<_> = gateways
            .into_iter()
            .map(|gateway| gateway.process)
            .collect();
        if kind == Kind::Nginx {
            let Some((process, address)) = nginx::start(folder.path(), upstream).await? else {
                return Ok(None);
            };
            addresses.push(address);
            own.push(process.pid());
            processes.push(process);
        }
        if kind == Kind::Stub {
            addresses.push(upstream);
            own.push(stub.pid());
        }
        let stub_process = stub.pid();
        processes.push(stub);
        Ok(Some(Self {
            kind,
            addresses,
            own,
            database,
            postgres,
            redis: services.redis_process()?,
            stub: stub_process,
            table,
            _processes: processes,
            _services: services,
            _folder: folder,
        }))
    }
}

impl Services {
    async fn start(kind: Kind, launch: &Launch, folder: &Path) -> Result<Self, Failure> {
        if kind.replicas() == 0 || kind == Kind::Embedded {
            return Ok(Self::default());
        }
        let server = PrivatePostgres::start(Durability::Full)?;
        let redis = kind.has_redis().then(PrivateRedis::start).transpose()?;
        let backend = Backend {
            database: Some(server.server().url().to_owned()),
            redis: redis.as_ref().map(PrivateRedis::url),
        };
        launch.migrate(folder, &backend)?;
        Ok(Self {
            _postgres: Some(server),
            _redis: redis,
            backend,
        })
    }

    async fn database(&self, kind: Kind, folder: &Path) -> Result<Option<Database>, Failure> {
        if let Some(url) = &self.backend.database {
            return Database::postgres(url).await.map(Some);
        }
        if kind != Kind::Embedded {
            return Ok(None);
        }
        let file = database_file(&folder.join("replica-0"));
        Database::sqlite(&file).await.map(Some)
    }

    fn redis_process(&self) -> Result<Option<u32>, Failure> {
        let Some(url) = &self.backend.redis else {
            return Ok(None);
        };
        let mut stream = TcpStream::connect(url.trim_start_matches("redis://"))?;
        stream.write_all(b"INFO server\r\nQUIT\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("process_id:"));
        Ok(Some(
            id.ok_or("Redis does not say its process id")?
                .trim()
                .parse()?,
        ))
    }
}

async fn stub(
    folder: &Path,
    size: Size,
    gateway: Option<&Gateway>,
    run: &str,
) -> Result<(Process, SocketAddr), Failure> {
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let mut arguments = vec!["stub".to_owned(), format!("--port={}", upstream.port())];
    if let Some(gateway) = gateway {
        arguments.extend([
            format!("--workers={}", size.workers),
            format!("--sessions={}", size.sessions),
            format!("--join=http://{}", gateway.address),
            format!("--run={run}"),
        ]);
    }
    let program = std::env::current_exe()?;
    let mut process = Process::start(&program, &arguments, &[], folder.join("stub.log"))?;
    process.says("ready").await?;
    Ok((process, upstream))
}

/// Returns lines of a session and a key, with every session and every key at least once, in turn.
fn lines(size: Size) -> String {
    let mut text = String::new();
    for turn in 0..size.sessions.max(size.keys) {
        let session = turn % size.sessions;
        let key = names::key(size.key_for(session, turn / size.sessions));
        text.push_str(&format!("{} {}\n", names::session(session), key.reveal()));
    }
    text
}
