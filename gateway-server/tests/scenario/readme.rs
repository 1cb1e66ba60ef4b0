//! The commands of the README, as they stand there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::gateway::{BOOTSTRAP, Gateway};
use crate::process::Process;

const README: &str = include_str!("../../../README.md");

/// The arguments of every line that calls the program, without what the line says about it.
fn commands() -> Vec<Vec<&'static str>> {
    README
        .lines()
        .filter_map(|line| line.strip_prefix("gateway-server "))
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_whitespace().collect())
        .collect()
}

pub(crate) async fn its_commands_do_what_it_says() {
    let gateway = Gateway::serve(&[]);
    let commands = commands();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command
            .iter()
            .map(|argument| match *argument {
                "http://127.0.0.1:8000" => gateway.url.as_str(),
                "\"$token\"" => BOOTSTRAP,
                other => other,
            })
            .collect();
        match arguments[0] {
            "serve" => {
                let folder = tempfile::tempdir().expect("a folder");
                let port = BTreeMap::from([("PORT".to_owned(), "0".to_owned())]);
                Process::start(folder.path(), &arguments, &port).read_until("listening on ");
            }
            "sim-worker" => {
                let folder: &Path = gateway.folder();
                Process::start(folder, &arguments, &BTreeMap::new()).read_until("listening on ");
            }
            _ => {
                let process = Process::start(gateway.folder(), &arguments, &BTreeMap::new());
                let (status, log) = process.wait();
                assert!(status.success(), "{arguments:?}: {log}");
            }
        }
    }
}

pub(crate) async fn its_cluster_starts_and_delivers_a_message() {
    let line = README.lines().find(|line| *line == "examples/cluster.sh");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(line.expect("the line"))
        .arg("--once")
        .current_dir(root)
        .env("GATEWAY_SERVER", env!("CARGO_BIN_EXE_gateway-server"))
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL")
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("the message is delivered"), "{said}");
}
