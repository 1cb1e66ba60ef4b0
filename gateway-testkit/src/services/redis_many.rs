//! Redis in its two shapes of many processes, from the local program.

use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::folder::Folder;
use super::process::{Process, free_port};
use super::{Missing, PrivateRedis};

/// The name that the sentinel gives its server.
const NAME: &str = "main";
const NODES: u32 = 3;
const SLOTS: u32 = 16_384;
/// How often a new cluster is looked at until it must have agreed, which takes a second or two.
const LOOKS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// A server and a sentinel that tells where it is; gone when dropped.
#[derive(Debug)]
pub struct PrivateSentinel {
    pub server: PrivateRedis,
    /// The server that follows the first one and takes its place, if there is one.
    pub replica: Option<PrivateRedis>,
    port: u16,
    sentinel: Process,
    _folder: Folder,
}

impl PrivateSentinel {
    /// Starts the server and the sentinel.
    ///
    /// # Errors
    /// The program is not on this machine, or does not start.
    pub fn start() -> Result<Self, Missing> {
        let server = PrivateRedis::start()?;
        Self::watch(server, None).map_err(|error| Missing::redis(error.to_string()))
    }

    /// Starts the sentinel with a second server, which follows the first one and takes its place a second
    /// or two after it has died.
    ///
    /// # Errors
    /// See [`PrivateSentinel::start`].
    pub fn start_with_replica() -> Result<Self, Missing> {
        let unusable = |error: io::Error| Missing::redis(error.to_string());
        let server = PrivateRedis::start_with(&["--repl-diskless-sync-delay", "0"])?;
        let port = server.port().to_string();
        let replica = PrivateRedis::start_with(&["--replicaof", "127.0.0.1", &port])?;
        wait_until("the replica follows", || {
            let info = replica.command(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("master_link_status:up"))
        })
        .map_err(unusable)?;
        Self::watch(server, Some(replica)).map_err(unusable)
    }

    fn watch(server: PrivateRedis, replica: Option<PrivateRedis>) -> io::Result<Self> {
        let folder = Folder::new()?;
        let port = free_port()?;
        let file = folder.path().join("sentinel.conf");
        let watched = server.port();
        let lines = [
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("sentinel monitor {NAME} 127.0.0.1 {watched} 1"),
            format!("sentinel down-after-milliseconds {NAME} 500"),
            format!("sentinel failover-timeout {NAME} 3000"),
            String::new(),
        ]
        .join("\n");
        fs::write(&file, lines)?;
        let mut command = Command::new("redis-server");
        command
            .current_dir(folder.path())
            .arg(&file)
            .arg("--sentinel");
        let ready = match replica {
            None => "+monitor master main",
            // It has found the one that could take over.
            Some(_) => "+slave slave",
        };
        let sentinel = Process::start(command, ready, Signal::KILL)?;
        Ok(Self {
            server,
            replica,
            port,
            sentinel,
            _folder: folder,
        })
    }

    /// Returns the URL of the sentinel, `redis-sentinel://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "redis-sentinel://127.0.0.1:{}?sentinelServiceName={NAME}",
            self.port
        )
    }
}

impl Drop for PrivateSentinel {
    fn drop(&mut self) {
        self.sentinel.kill();
    }
}

/// Three servers that share the keys between them; gone when dropped.
#[derive(Debug)]
pub struct PrivateCluster {
    /// The servers, in the order of their slots.
    pub nodes: Vec<PrivateRedis>,
}

impl PrivateCluster {
    /// Starts the servers and makes them a cluster.
    ///
    /// # Errors
    /// The program is not on this machine, does not start, or is older than version 7.
    pub fn start() -> Result<Self, Missing> {
        let unusable = |error: io::Error| Missing::redis(error.to_string());
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..NODES {
            let bus = free_port().map_err(unusable)?.to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", bus.as_str()];
            nodes.push(PrivateRedis::start_with(&options)?);
            buses.push(bus);
        }
        let cluster = Self { nodes };
        cluster.join(&buses).map_err(unusable)?;
        Ok(cluster)
    }

    fn join(&self, buses: &[String]) -> io::Result<()> {
        for (n, node) in (0..).zip(&self.nodes) {
            let first = (SLOTS * n / NODES).to_string();
            let last = (SLOTS * (n + 1) / NODES - 1).to_string();
            must(node, &["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            for (other, bus) in self.nodes.iter().zip(buses) {
                let port = other.port().to_string();
                must(node, &["CLUSTER", "MEET", "127.0.0.1", &port, bus])?;
            }
        }
        wait_until("the nodes agree on a cluster", || {
            self.nodes.iter().all(agrees)
        })
    }

    /// Returns the URL of the cluster, `redis-cluster://…`, which names one node.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.nodes.first().map_or(0, PrivateRedis::port);
        format!("redis-cluster://127.0.0.1:{port}")
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) -> io::Result<()> {
    for _ in 0..LOOKS {
        if is_so() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "other processes have to get on")]
        std::thread::sleep(PAUSE);
    }
    Err(io::Error::other(format!("it was never seen that {what}")))
}

fn must(node: &PrivateRedis, words: &[&str]) -> io::Result<()> {
    let answer = node.command(words)?;
    match answer.starts_with('-') {
        true => Err(io::Error::other(answer)),
        false => Ok(()),
    }
}

fn agrees(node: &PrivateRedis) -> bool {
    let known = format!("cluster_known_nodes:{NODES}");
    node.command(&["CLUSTER", "INFO"])
        .is_ok_and(|info| info.contains("cluster_state:ok") && info.contains(&known))
}

#[cfg(test)]
mod tests {
    use super::super::here;
    use super::*;

    #[test]
    fn a_sentinel_tells_where_its_server_is() {
        let Some(sentinel) = here(PrivateSentinel::start()) else {
            return;
        };
        assert!(sentinel.url().starts_with("redis-sentinel://127.0.0.1:"));
        let pong = sentinel.server.command(&["PING"]).expect("an answer");
        assert_eq!(pong, "+PONG\r\n");
    }

    #[test]
    fn every_slot_of_a_cluster_is_served() {
        let Some(cluster) = here(PrivateCluster::start()) else {
            return;
        };
        let info = cluster.nodes[2].command(&["CLUSTER", "INFO"]);
        let info = info.expect("an answer");
        assert!(info.contains("cluster_slots_ok:16384"), "{info}");
    }
}
