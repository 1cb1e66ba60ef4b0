//! Killed at any moment, an embedded gateway has lost nothing that it acknowledged.
//!
//! The test runs itself as a second process that records messages and session state and says on its
//! standard output what was acknowledged; then it kills that process and looks at what is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{Epoch, MessageId, SessionId, SessionName, TenantId};
use gateway_core::message::{Fact, Inbound, MessageFilter, MessageLog, WaMessageId};
use gateway_core::session::Session;
use gateway_core::state::StateStore;
use gateway_core::store::PlatformStore;
use gateway_server::config::StateKey;
use gateway_server::message_log::{GroupLog, GroupOptions};
use gateway_server::store::blob::Blobs;
use gateway_server::store::cipher::StateCipher;
use gateway_server::store::sql::SqlStore;
use gateway_server::store::state::StateVault;
use gateway_server::system::{OsEntropy, SystemClock};
use gateway_server::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

const TENANT: TenantId = TenantId::from_u128(1);
const SESSION: SessionId = SessionId::from_u128(2);
const AT_ONCE: u128 = 5;

async fn open(folder: &Path) -> (SqlStore, StateVault) {
    let path = folder.join("gateway.db");
    let store = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
    let store = store.expect("the killed process has left its lock");
    store.migrate().await.expect("migrated");
    let key = StateKey {
        id: 1,
        key: [9; 32],
    };
    let entropy = Arc::new(OsEntropy);
    let cipher = StateCipher::new(&[key], entropy.clone()).expect("a key");
    let blobs = Blobs::in_folder(&folder.join("state")).expect("a folder");
    let vault = StateVault::new(store.state_rows(), blobs, cipher, entropy);
    (store, vault)
}

/// State begins only for a session that is there.
async fn store_session(store: &SqlStore) {
    let mut tx = store.begin_platform().await.expect("a transaction");
    let now = tx.now().await.expect("a time");
    let name = SessionName::parse("card").expect("a name");
    let card = Session::new(SESSION, TENANT, name, now);
    tx.insert_session(&card, None).await.expect("stored");
    tx.commit().await.expect("committed");
}

fn inbound(id: u128) -> Fact {
    Fact::Inbound(Inbound {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(1),
        wa_message_id: WaMessageId::parse("WA").expect("id"),
        chat_id: "49@c.us".to_owned(),
        sender: "49@c.us".to_owned(),
        kind: "text".to_owned(),
        content: serde_json::json!({ "n": id.to_string() }),
        offline: false,
        alias: None,
        from_me: false,
        occurred_at: None,
    })
}

/// Writes for ever; a line says up to which message and which sequence everything was acknowledged.
async fn write_until_killed(folder: &Path) {
    let (store, vault) = open(folder).await;
    store_session(&store).await;
    let options = GroupOptions {
        capacity: 100,
        batch_size: 50,
        batch_wait: Duration::ZERO,
    };
    let metrics = Metrics::new().expect("metrics").message_log;
    let (log, task) = GroupLog::new(Arc::new(store.ledger()), options, metrics);
    tokio::spawn(task.run(CancellationToken::new()));
    let mut seq = 0;
    for round in 0.. {
        let recording = (0..AT_ONCE).map(|n| {
            let place = log.reserve().expect("a place");
            log.record(place, inbound(round * AT_ONCE + n))
        });
        let recorded = futures_util::future::join_all(recording).await;
        assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
        let content = format!("state {}", seq + 1).into_bytes();
        let written = if round % 10 == 9 {
            vault.put_snapshot(SESSION, Epoch(1), seq, &content).await
        } else {
            vault.append(SESSION, Epoch(1), seq, &[content]).await
        };
        seq = written.expect("written");
        let mut out = std::io::stdout();
        writeln!(out, "ack {} {seq}", (round + 1) * AT_ONCE).expect("somebody listens");
        out.flush().expect("somebody listens");
    }
}

#[test]
#[ignore = "is the process that the other test kills; it takes its folder from standard input"]
fn the_process_that_is_killed() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).expect("a folder");
    if folder.trim().is_empty() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(write_until_killed(Path::new(folder.trim())));
}

fn start(folder: &Path) -> Child {
    let myself = std::env::current_exe().expect("a test is a program");
    let mut child = Command::new(myself)
        .args(["--exact", "the_process_that_is_killed", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut told = child.stdin.take().expect("piped");
    writeln!(told, "{}", folder.display()).expect("told");
    child
}

/// Lets it acknowledge that many rounds, kills it, and reads what it had still said.
fn kill_after(mut child: Child, rounds: usize) -> (u128, u64) {
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = (0, 0);
    let mut seen = 0;
    while let Some(Ok(line)) = lines.next() {
        let Some(numbers) = line.strip_prefix("ack ") else {
            continue;
        };
        let (messages, seq) = numbers.split_once(' ').expect("two numbers");
        acknowledged = (
            messages.parse().expect("a number"),
            seq.parse().expect("a number"),
        );
        seen += 1;
        if seen == rounds {
            child.kill().expect("killed");
        }
    }
    child.wait().expect("ended");
    acknowledged
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let (messages, seq) = kill_after(start(folder.path()), 47);
    assert!(messages >= 47 * AT_ONCE);

    let (store, vault) = open(folder.path()).await;
    let mut tx = store.read_platform().await.expect("a read");
    for id in 0..messages {
        let row = tx.message(TENANT, MessageId::from_u128(id)).await;
        assert!(row.expect("read").is_some(), "message {id} of {messages}");
    }
    let filter = MessageFilter::default();
    let rows = tx.messages(TENANT, &filter, None, 10_000).await;
    let told = tx.outbox(10_000).await.expect("read");
    assert_eq!(
        rows.expect("read").len(),
        told.len(),
        "an event per message"
    );
    drop(tx);

    let state = vault.seal(SESSION, Epoch(2)).await.expect("sealed");
    assert!(state.version.seq >= seq, "{:?} of {seq}", state.version);
    let (at, snapshot) = state.snapshot.expect("a read");
    assert_eq!(snapshot, format!("state {at}").into_bytes());
    let expected: Vec<_> = (at + 1..=state.version.seq)
        .map(|seq| (seq, format!("state {seq}").into_bytes()))
        .collect();
    assert_eq!(state.journal, expected);
}
