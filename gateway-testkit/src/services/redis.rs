//! Redis from the local program.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;

use super::container::RedisContainer;
use super::folder::Folder;
use super::process::{Process, find_program, free_port};
use super::{Missing, variable};

const ATTEMPTS: usize = 5;
/// How long a command may take on a busy machine.
const ANSWER: Duration = Duration::from_secs(30);
const READY: &str = "Ready to accept connections";

/// Returns the server of this test process. Tests share it: each uses keys of its own.
///
/// # Errors
/// None is given, none can be started and no Docker engine answers.
pub fn redis() -> Result<&'static Redis, Missing> {
    static SHARED: OnceLock<Result<Redis, Missing>> = OnceLock::new();
    SHARED
        .get_or_init(Redis::find)
        .as_ref()
        .map_err(Clone::clone)
}

/// A Redis server that tests share.
#[derive(Debug)]
pub struct Redis {
    url: String,
    _keep: Keep,
}

#[derive(Debug)]
enum Keep {
    Given,
    Private { _server: PrivateRedis },
    Container { _container: Box<RedisContainer> },
}

impl Redis {
    /// Returns the URL, `redis://…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn find() -> Result<Self, Missing> {
        if let Some(url) = variable("REDIS_URL") {
            return Ok(Self {
                url,
                _keep: Keep::Given,
            });
        }
        let local = match PrivateRedis::start() {
            Ok(server) => {
                let url = server.url();
                return Ok(Self {
                    url,
                    _keep: Keep::Private { _server: server },
                });
            }
            Err(missing) => missing,
        };
        let container = RedisContainer::start().map_err(|docker| {
            Missing::redis(format!("{}; no container either: {docker}", local.why))
        })?;
        let url = container.url().to_owned();
        Ok(Self {
            url,
            _keep: Keep::Container {
                _container: Box::new(container),
            },
        })
    }
}

/// A server of the caller's own, which keeps nothing on disk; gone when dropped.
#[derive(Debug)]
pub struct PrivateRedis {
    process: Process,
    port: u16,
    folder: Folder,
    options: Vec<String>,
}

impl PrivateRedis {
    /// Starts a new, empty server.
    ///
    /// # Errors
    /// The program is not on this machine, or does not start.
    pub fn start() -> Result<Self, Missing> {
        Self::start_with(&[])
    }

    /// Starts a new, empty server with more options of its command line, such as `["--requirepass",
    /// "secret"]`.
    ///
    /// # Errors
    /// See [`PrivateRedis::start`].
    pub fn start_with(options: &[&str]) -> Result<Self, Missing> {
        if find_program("redis-server", &[]).is_none() {
            return Err(Missing::redis("redis-server was not found"));
        }
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self::start_on_a_free_port(options).map_err(|error| Missing::redis(error.to_string()))
    }

    fn start_on_a_free_port(options: Vec<String>) -> io::Result<Self> {
        let folder = Folder::new()?;
        let mut outcome = Err(io::Error::other("no attempt"));
        let mut port = 0;
        for _ in 0..ATTEMPTS {
            port = free_port()?;
            outcome = start_process(&folder, port, &options);
            if outcome.is_ok() {
                break;
            }
        }
        Ok(Self {
            process: outcome?,
            port,
            folder,
            options,
        })
    }

    /// Returns the server's port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL, `redis://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the server with SIGKILL: connections are refused from now on, and all data is lost.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends the server if it runs, and starts an empty one on the same port.
    ///
    /// # Errors
    /// It does not start, for example because the port was taken meanwhile.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process.kill();
        self.process = start_process(&self.folder, self.port, &self.options)?;
        Ok(())
    }

    /// Ends the server if it runs, and starts an empty one on the same port with other options.
    ///
    /// # Errors
    /// See [`PrivateRedis::restart`].
    pub fn restart_with(&mut self, options: &[&str]) -> io::Result<()> {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.restart()
    }

    /// Sends a command and returns the server's answer as it stands on the wire.
    ///
    /// # Errors
    /// The server is away, or does not answer.
    pub fn command(&self, words: &[&str]) -> io::Result<String> {
        command(self.port, words)
    }

    /// Stops the server with SIGSTOP: the kernel accepts connections and nothing answers.
    ///
    /// # Errors
    /// The server does not run.
    pub fn freeze(&self) -> io::Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets the server go on with SIGCONT, after [`PrivateRedis::freeze`].
    ///
    /// # Errors
    /// The server does not run.
    pub fn thaw(&self) -> io::Result<()> {
        self.process.signal(Signal::CONT)
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// Sends one command on a connection of its own, and returns the answer.
fn command(port: u16, words: &[&str]) -> io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    // The end of the answer is the end of the connection, whatever its form.
    request.push_str("*1\r\n$4\r\nQUIT\r\n");
    connection.set_read_timeout(Some(ANSWER))?;
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let without_farewell = answer.strip_suffix("+OK\r\n").unwrap_or(&answer);
    Ok(without_farewell.to_owned())
}

fn start_process(folder: &Folder, port: u16, options: &[String]) -> io::Result<Process> {
    let mut command = Command::new("redis-server");
    command
        .current_dir(folder.path())
        .arg("--port")
        .arg(port.to_string());
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(options);
    Process::start(command, READY, Signal::KILL)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;
    use std::process::Stdio;
    use std::thread;

    use super::super::{here, in_ci};
    use super::*;

    fn ping(port: u16) -> io::Result<[u8; 7]> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn a_server_is_found_or_said_to_be_missing() {
        match redis() {
            Ok(redis) => assert!(redis.url().starts_with("redis")),
            Err(missing) if in_ci() => panic!("{missing}"),
            Err(missing) => assert!(missing.to_string().contains("REDIS_URL")),
        }
    }

    #[test]
    fn a_private_server_survives_killing_and_freezing() {
        let Some(mut private) = here(PrivateRedis::start()) else {
            return;
        };
        private.kill();
        assert!(ping(private.port).is_err(), "killed");
        private.restart().expect("it starts again");
        private.freeze().expect("it runs");
        private.thaw().expect("it runs");
        assert_eq!(&ping(private.port).expect("an answer"), b"+PONG\r\n");
    }

    const HOLD: &str = "GATEWAY_TEST_HOLDS_A_SERVER";

    /// The child process of the next test: starts a server, says where, and never ends by itself.
    #[expect(clippy::print_stdout, reason = "the parent reads it")]
    fn hold_a_server() {
        let private = PrivateRedis::start().expect("the parent has one too");
        println!("held:{}:{}", private.port, private.folder.path().display());
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }

    #[test]
    fn a_killed_test_process_leaves_neither_server_nor_folder() {
        if variable(HOLD).is_some() {
            return hold_a_server();
        }
        let Some(_) = here(PrivateRedis::start()) else {
            return;
        };
        let name = "services::redis::tests::a_killed_test_process_leaves_neither_server_nor_folder";
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", name, "--nocapture"])
            .env(HOLD, "yes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second test process");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let held = lines.map_while(Result::ok).find_map(|line| {
            let (_, held) = line.split_once("held:")?;
            let (port, folder) = held.split_once(':')?;
            Some((port.parse().ok()?, PathBuf::from(folder)))
        });
        let (port, folder): (u16, PathBuf) = held.expect("a server");
        let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("a running server");
        assert!(folder.exists());

        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        // The server's end closes the connection, perhaps before its port; a reset is a close too.
        let _ = connection.read_to_end(&mut Vec::new());
        let refused = (0..100_000).any(|_| {
            thread::yield_now();
            TcpStream::connect(("127.0.0.1", port)).is_err()
        });
        assert!(refused, "the server is gone");
        let gone = (0..10_000_000).any(|_| {
            thread::yield_now();
            !folder.exists()
        });
        assert!(gone, "the folder is gone");
    }
}
