//! `gateway-server dev`, as the README tells a stranger to start it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::eventually;
use crate::gateway::BOOTSTRAP;
use crate::process::Process;

/// The last line that `dev` prints before it only logs.
const READY: &str = "Stop with Ctrl-C";

struct Dev {
    process: Process,
    folder: tempfile::TempDir,
    printed: String,
}

impl Dev {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"))
    }

    fn start_in(folder: tempfile::TempDir) -> Self {
        let variables = BTreeMap::from([("PORT".to_owned(), "0".to_owned())]);
        let mut process = Process::start(folder.path(), &["dev"], &variables);
        let printed = process.read_until(READY);
        Self {
            process,
            folder,
            printed,
        }
    }

    fn credentials(&self) -> Value {
        let text = std::fs::read(self.folder.path().join("gateway-data/dev.json")).expect("kept");
        serde_json::from_slice(&text).expect("JSON")
    }
}

pub(crate) async fn the_printed_lines_work_through_to_a_delivered_message() {
    let dev = Dev::start();
    let lines: Vec<&str> = dev
        .printed
        .lines()
        .filter(|line| line.starts_with("curl ") || line.starts_with("sleep "))
        .collect();
    assert!(lines.len() >= 4, "{}", dev.printed);
    let mut last = String::new();
    for line in lines {
        let output = Command::new("sh")
            .args(["-c", line])
            .output()
            .expect("a shell");
        last = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}\n{last}");
        assert!(!last.contains("\"success\":false"), "{line}\n{last}");
    }
    let answer: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(answer["data"][0]["status"], "delivered", "{last}");
}

pub(crate) async fn the_credentials_are_kept_for_their_owner_alone() {
    let dev = Dev::start();
    let file = dev.folder.path().join("gateway-data/dev.json");
    let mode = std::fs::metadata(&file).expect("kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = dev.credentials()["apiKey"]
        .as_str()
        .expect("a key")
        .to_owned();
    assert!(dev.printed.contains(&key), "printed at every start");
}

pub(crate) async fn lost_credentials_are_made_again() {
    let mut dev = Dev::start();
    let before = dev.credentials();
    for rubbish in [None, Some("{\"adminEmail\":")] {
        dev.process.kill();
        let file = dev.folder.path().join("gateway-data/dev.json");
        match rubbish {
            None => std::fs::remove_file(&file).expect("was there"),
            Some(text) => std::fs::write(&file, text).expect("written"),
        }
        dev = Dev::start_in(dev.folder);
        let made = dev.credentials();
        assert_ne!(made["password"], before["password"]);
        assert_eq!(made["email"], before["email"]);
    }
}

const DEALT: &str = "SELECT count(*) FILTER (WHERE incarnation LIKE 'dev-%'), \
    count(*) FILTER (WHERE incarnation NOT LIKE 'dev-%') FROM worker_leases";
const FENCED: &str = "SELECT count(*) FILTER (WHERE incarnation LIKE 'dev-%'), \
    count(*) FILTER (WHERE incarnation NOT LIKE 'dev-%') \
    FROM worker_leases WHERE fenced_at IS NOT NULL";

/// How many leases there are: those of workers that ran within `dev`, and all others.
async fn leases(folder: &Path, count: &'static str) -> (i64, i64) {
    let file = folder.join("gateway-data/gateway.db");
    let file = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut file = SqliteConnection::connect_with(&file).await.expect("open");
    let counts = sqlx::query_as(count).fetch_one(&mut file).await;
    counts.expect("counted")
}

pub(crate) async fn nobody_is_vouched_for_by_name() {
    let (folder, elsewhere) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let variables = [
        ("PORT", "0"),
        ("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
        ("WORKER_AUTH_TOKEN", BOOTSTRAP),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let variables = BTreeMap::from(variables);
    let mut serve = Process::start(folder.path(), &["serve"], &variables);
    let said = serve.read_until("listening on ");
    let url = said.trim().rsplit(' ').next().expect("an address");
    let arguments = [
        "sim-worker",
        "--id",
        "sim-1",
        "--gateway",
        url,
        "--token",
        BOOTSTRAP,
    ];
    let _foreign = Process::start(elsewhere.path(), &arguments, &BTreeMap::new());
    eventually("it is let in", || async {
        let (_, others) = leases(folder.path(), DEALT).await;
        (others > 0).then_some(())
    })
    .await;
    serve.kill();

    let mut dev = Dev::start_in(folder);
    let none = leases(dev.folder.path(), FENCED).await;
    assert_eq!(none, (0, 0), "it may be alive");
    eventually("one of its own is let in", || async {
        let (own, _) = leases(dev.folder.path(), DEALT).await;
        (own > 0).then_some(())
    })
    .await;
    dev.process.kill();
    let dev = Dev::start_in(dev.folder);
    let (own, others) = leases(dev.folder.path(), FENCED).await;
    assert!(own > 0, "they died with the process");
    assert_eq!(others, 0);
}
