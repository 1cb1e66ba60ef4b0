//! PostgreSQL from local programs.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use rustix::process::Signal;

use super::container::PostgresContainer;
use super::folder::{Folder, Owner};
use super::janitor::Janitor;
use super::process::{Process, find_program, free_port, versions};
use super::sql::{Client, Postgres};
use super::{Missing, variable};

const ATTEMPTS: usize = 5;
const READY: &str = "database system is ready to accept connections";
/// The signal that stops a server at once, without the checkpoint of an orderly stop, but with its
/// children.
const IMMEDIATE: Signal = Signal::QUIT;
/// Drops the databases of a test process. `$1` is psql, `$2` the server, `$3` what the names of the
/// databases start with.
const DROP_ALL: &str = "\"$1\" -X -q -d \"$2\" <<END
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
 WHERE datname LIKE '$3%' \\gexec
END";

/// Whether a server forces what it commits to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No: much faster; a killed *server* still loses nothing, a killed machine does.
    Relaxed,
    Full,
}

/// Returns the server of this test process.
///
/// # Errors
/// None is given, none can be started and no Docker engine answers.
pub fn postgres() -> Result<Postgres, Missing> {
    static SHARED: OnceLock<Result<Shared, Missing>> = OnceLock::new();
    let shared = SHARED.get_or_init(Shared::find).as_ref();
    shared
        .map(|shared| shared.server.clone())
        .map_err(Clone::clone)
}

/// What must live as long as the shared server is used: until the process ends.
struct Shared {
    server: Postgres,
    _keep: Keep,
}

enum Keep {
    Given { _janitor: Janitor },
    Private { _server: PrivatePostgres },
    Container,
}

impl Shared {
    fn find() -> Result<Self, Missing> {
        if let Some(url) = variable("DATABASE_URL") {
            return Self::given(url);
        }
        let local = match PrivatePostgres::start(Durability::Relaxed) {
            Ok(private) => {
                let server = private.server().clone();
                return Ok(Self {
                    server,
                    _keep: Keep::Private { _server: private },
                });
            }
            Err(missing) => missing,
        };
        let container = PostgresContainer::start().map_err(|docker| {
            Missing::postgres(format!("{}; no container either: {docker}", local.why))
        })?;
        let url = container.url().to_owned();
        let server = Postgres::new(url, Client::Container(Arc::new(container)));
        Ok(Self {
            server,
            _keep: Keep::Container,
        })
    }

    fn given(url: String) -> Result<Self, Missing> {
        let psql = find_program("psql", &program_folders())
            .ok_or_else(|| Missing::postgres("DATABASE_URL is set but psql is not installed"))?;
        let server = Postgres::new(url, Client::Psql(psql.clone()));
        let arguments = [&*psql.to_string_lossy(), server.url(), server.run()];
        let janitor = Janitor::hire(DROP_ALL, &arguments);
        let _janitor = janitor.map_err(|error| Missing::postgres(error.to_string()))?;
        Ok(Self {
            server,
            _keep: Keep::Given { _janitor },
        })
    }
}

/// A server of the caller's own, started from local programs; gone when dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Fields are dropped in this order: the process before its folder.
    process: Running,
    server: Postgres,
    setup: Setup,
}

#[derive(Debug)]
struct Setup {
    programs: PathBuf,
    owner: Option<Owner>,
    durability: Durability,
    port: u16,
    folder: Folder,
}

/// A running server, whose process ends when this is dropped.
#[derive(Debug)]
struct Running(Process);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end(IMMEDIATE);
    }
}

impl PrivatePostgres {
    /// Starts a new server with no databases in it.
    ///
    /// # Errors
    /// The programs are not on this machine, or do not start.
    pub fn start(durability: Durability) -> Result<Self, Missing> {
        let folders = program_folders();
        let programs = find_program("initdb", &folders)
            .and_then(|program| program.canonicalize().ok())
            .and_then(|program| program.parent().map(Path::to_owned))
            .filter(|folder| folder.join("postgres").is_file())
            .ok_or_else(|| Missing::postgres("its programs were not found"))?;
        let psql = find_program("psql", std::slice::from_ref(&programs))
            .ok_or_else(|| Missing::postgres("psql was not found"))?;
        Self::start_programs(programs, psql, durability)
            .map_err(|error| Missing::postgres(error.to_string()))
    }

    fn start_programs(
        programs: PathBuf,
        psql: PathBuf,
        durability: Durability,
    ) -> io::Result<Self> {
        let folder = Folder::new()?;
        let owner = folder.hand_over_if_root()?;
        let mut setup = Setup {
            programs,
            owner,
            durability,
            port: 0,
            folder,
        };
        setup.initialise()?;
        let process = setup.start_on_a_free_port()?;
        let url = format!("postgres://gateway@127.0.0.1:{}/postgres", setup.port);
        let server = Postgres::new(url, Client::Psql(psql));
        Ok(Self {
            process: Running(process),
            server,
            setup,
        })
    }

    /// Returns the server, on which databases are made. It stays valid over [`PrivatePostgres::restart`].
    #[must_use]
    pub fn server(&self) -> &Postgres {
        &self.server
    }

    /// Kills the server with SIGKILL, as a crash does. Returns when all its processes are gone.
    pub fn kill(&mut self) {
        self.process.0.kill();
    }

    /// Ends the server if it runs, and starts it again on the same port with the same data.
    ///
    /// # Errors
    /// It does not start, for example because the port was taken meanwhile.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process.0.end(IMMEDIATE);
        self.process = Running(self.setup.start()?);
        Ok(())
    }
}

impl Setup {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some(Owner { uid, gid }) = self.owner {
            command.uid(uid).gid(gid);
        }
        command.arg("-D").arg(self.folder.path().join("data"));
        command
    }

    fn initialise(&self) -> io::Result<()> {
        let mut command = self.command("initdb");
        command.args([
            "-U",
            "gateway",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            )),
        }
    }

    fn start_on_a_free_port(&mut self) -> io::Result<Process> {
        let mut outcome = Err(io::Error::other("no attempt"));
        for _ in 0..ATTEMPTS {
            self.port = free_port()?;
            outcome = self.start();
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn start(&self) -> io::Result<Process> {
        let mut command = self.command("postgres");
        command.arg("-p").arg(self.port.to_string());
        // No socket in the file system, so no limit on the length of the folder's name.
        let mut settings = vec![
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "lc_messages=C",
        ];
        match self.durability {
            Durability::Relaxed => settings.extend(["fsync=off", "full_page_writes=off"]),
            // A server that has run for a while writes over its old segments; only a new one fills
            // each with zeros first.
            Durability::Full => settings.push("wal_init_zero=off"),
        }
        for setting in settings {
            command.args(["-c", setting]);
        }
        Process::start(command, READY, IMMEDIATE)
    }
}

fn program_folders() -> Vec<PathBuf> {
    versions("/usr/lib/postgresql", "bin")
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::super::here;
    use super::*;

    fn reachable(server: &Postgres) -> bool {
        let address = server.url().trim_start_matches("postgres://gateway@");
        TcpStream::connect(address.trim_end_matches("/postgres")).is_ok()
    }

    #[test]
    fn every_test_gets_a_database_of_its_own() {
        let Some(server) = here(postgres()) else {
            return;
        };
        let first = server.fresh_database().expect("a database");
        let second = server.fresh_database().expect("a database");
        assert_ne!(first.url(), second.url());
    }

    #[test]
    fn a_killed_server_comes_back_with_its_data_and_goes_with_its_value() {
        let Some(mut private) = here(PrivatePostgres::start(Durability::Full)) else {
            return;
        };
        let database = private.server().fresh_database().expect("a database");
        private.kill();
        assert!(!reachable(private.server()), "killed");
        private.restart().expect("it starts again");
        assert!(reachable(private.server()), "restarted");
        drop(database);

        let (server, folder) = (
            private.server().clone(),
            private.setup.folder.path().to_owned(),
        );
        drop(private);
        assert!(!reachable(&server) && !folder.exists(), "dropped");
    }
}
