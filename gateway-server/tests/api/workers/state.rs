//! `GET` and `PUT /workers/{id}/sessions/{sid}/state`, `POST …/state/journal`

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::state::{JournalGroup, encode_entries, encode_groups};
use hyper::Method;
use serde_json::{Value, json};

use crate::app::{TestAnswer, TestRequest};
use crate::scene::{Scene, WORKER, registration};

const OCTETS: &str = "application/octet-stream";

struct Owned {
    scene: Scene,
    id: String,
}

impl Owned {
    async fn set() -> Self {
        let scene = Scene::set().await;
        let id = scene.connected("sales").await;
        Self { scene, id }
    }

    fn request(&self, method: Method, tail: &str, epoch: &str) -> TestRequest<'_> {
        let path = format!("/api/v1/workers/{WORKER}/sessions/{}/state{tail}", self.id);
        let request = self.scene.app.request(method, &path);
        self.scene.as_worker(request).header("x-epoch", epoch)
    }

    async fn read(&self) -> TestAnswer {
        let answer = self.request(Method::GET, "", "1").send().await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        answer
    }

    fn append(&self, after: &str, entries: &[&[u8]]) -> TestRequest<'_> {
        let entries: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
        let request = self
            .request(Method::POST, "/journal", "1")
            .header("x-state-seq", after);
        request.raw(OCTETS, encode_entries(&entries))
    }

    fn replace(&self, after: &str, bytes: &'static [u8]) -> TestRequest<'_> {
        let request = self
            .request(Method::PUT, "", "1")
            .header("x-state-seq", after);
        request.raw(OCTETS, bytes)
    }
}

#[tokio::test]
async fn state_is_a_snapshot_and_what_was_journalled_since() {
    let owned = Owned::set().await;
    let empty = owned.read().await;
    assert_eq!(
        (empty.header("x-state-seq"), empty.header("x-snapshot-seq")),
        ("0", "0")
    );
    let written = owned.append("0", &[b"one", b"two"]).expect(200).await;
    assert_eq!(written.data()["seq"], 2);
    assert_eq!(
        owned.replace("2", b"snapshot").expect(200).await.data()["seq"],
        3
    );
    assert_eq!(
        owned.append("3", &[b"three"]).expect(200).await.data()["seq"],
        4
    );
    let whole = owned.read().await;
    assert_eq!(whole.header("content-type"), OCTETS);
    assert_eq!(whole.header("x-epoch"), "1");
    assert_eq!(
        (whole.header("x-state-seq"), whole.header("x-snapshot-seq")),
        ("4", "3")
    );
    let parts = ["snapshot", "three"].map(|part| whole.text.find(part));
    assert!(
        parts[0].is_some() && parts[0] < parts[1],
        "{:?}",
        whole.text
    );
    assert!(!whole.text.contains("two"), "folded into the snapshot");
}

#[tokio::test]
async fn a_write_must_follow_the_newest_one() {
    let owned = Owned::set().await;
    owned.append("0", &[b"one"]).expect(200).await;
    let again = owned
        .append("0", &[b"one"])
        .expect(409)
        .await
        .is("seq_conflict");
    assert_eq!(again.body["current"], 1);
    owned
        .replace("7", b"x")
        .expect(409)
        .await
        .is("seq_conflict");
}

#[tokio::test]
async fn only_the_owner_at_its_epoch_reads_and_writes() {
    let owned = Owned::set().await;
    for epoch in ["0", "2", "999"] {
        let answer = owned
            .request(Method::GET, "", epoch)
            .expect(409)
            .await
            .is("stale_epoch");
        assert_eq!(answer.body["current"], 1);
    }
    let other = registration("worker-2", "incarnation-2");
    let other = owned.scene.register(&other).expect(200).await;
    let token = crate::app::text(&other.data()["workerToken"]);
    let path = |worker: &str| format!("/api/v1/workers/{worker}/sessions/{}/state", owned.id);
    let ask = |path: &str| {
        owned
            .scene
            .app
            .get(path)
            .bearer(&token)
            .header("x-epoch", "1")
    };
    ask(&path("worker-2")).expect(409).await.is("stale_epoch");
    ask(&path(WORKER)).expect(404).await;

    owned.scene.act(&owned.id, "restart").expect(202).await;
    owned.scene.settle().await;
    let late = owned
        .append("0", &[b"late"])
        .expect(409)
        .await
        .is("stale_epoch");
    assert_eq!(late.body["current"], 2);
}

#[tokio::test]
async fn headers_frames_and_sizes_are_checked() {
    let owned = Owned::set().await;
    for epoch in ["", "x", "-1", "1.5", "99999999999999999999999"] {
        let answer = owned.request(Method::GET, "", epoch).expect(400).await;
        assert_eq!(answer.fields(), ["x-epoch"], "{epoch}");
    }
    let missing = owned
        .request(Method::PUT, "", "1")
        .raw(OCTETS, "x")
        .expect(400)
        .await;
    assert_eq!(missing.fields(), ["x-state-seq"]);
    let cut = owned
        .request(Method::POST, "/journal", "1")
        .header("x-state-seq", "0");
    let cut = cut.raw(OCTETS, vec![0, 0, 0, 9, 1]).expect(400).await;
    assert_eq!(cut.fields(), ["body"]);
    let text = owned
        .request(Method::PUT, "", "1")
        .header("x-state-seq", "0");
    text.raw("text/plain", "x").expect(415).await;
    let entry = vec![0; 256 * 1024 + 1];
    owned
        .append("0", &[&entry])
        .expect(413)
        .await
        .is("payload_too_large");
    let large = owned
        .request(Method::PUT, "", "1")
        .header("x-state-seq", "0");
    let large = large.raw(OCTETS, vec![0; 16 * 1024 * 1024 + 1]);
    large.expect(413).await.is("payload_too_large");
    let fits = owned
        .request(Method::PUT, "", "1")
        .header("x-state-seq", "0");
    fits.raw(OCTETS, vec![0; 16 * 1024 * 1024])
        .expect(200)
        .await;
}

/// Appends entries to the journals of several sessions.
fn append_all<'a>(scene: &'a Scene, groups: &[JournalGroup]) -> TestRequest<'a> {
    let path = format!("/api/v1/workers/{WORKER}/state/journal");
    let request = scene.as_worker(scene.app.post(&path));
    request.raw(OCTETS, encode_groups(groups))
}

fn group(session: &str, epoch: u64, after: u64) -> JournalGroup {
    JournalGroup {
        session: session.parse().expect("an id"),
        epoch: Epoch(epoch),
        after,
        entries: vec![b"entry".to_vec()],
    }
}

#[tokio::test]
async fn the_journals_of_several_sessions_are_written_in_one_call() {
    let scene = Scene::set().await;
    let first = scene.connected("sales").await;
    let second = scene.connected("support").await;
    let nobody = SessionId::from_u128(9).to_string();
    let groups = [
        group(&first, 1, 0),
        group(&second, 1, 7),
        group(&first, 0, 1),
        group(&nobody, 1, 0),
    ];
    let answer = append_all(&scene, &groups).expect(200).await;
    let results = answer.data()["results"].as_array().expect("results");
    let results: Vec<_> = results
        .iter()
        .map(|result| [&result["seq"], &result["type"], &result["current"]])
        .map(|parts| json!(parts))
        .collect();
    let none = Value::Null;
    let expected = [
        json!([1, none, none]),
        json!([none, "seq_conflict", 0]),
        json!([none, "stale_epoch", 1]),
        json!([none, "unknown_session", none]),
    ];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn a_call_for_no_session_shows_whether_state_can_be_stored() {
    let scene = Scene::set().await;
    let answer = append_all(&scene, &[]).expect(200).await;
    assert_eq!(answer.data(), &json!({"results": []}));
    let path = format!("/api/v1/workers/{WORKER}/state/journal");
    let broken = scene.as_worker(scene.app.post(&path)).raw(OCTETS, vec![1]);
    let broken = broken.expect(400).await;
    assert_eq!(broken.fields(), ["body"]);
}

#[tokio::test]
async fn a_journal_call_has_at_most_a_thousand_entries() {
    let owned = Owned::set().await;
    let most = vec![b"".as_slice(); 1_000];
    let written = owned.append("0", &most).expect(200).await;
    assert_eq!(written.data()["seq"], 1_000);
    // Four bytes of length each, and nothing in them.
    let million = vec![0; 4 * 1024 * 1024];
    let request = owned.request(Method::POST, "/journal", "1");
    let request = request.header("x-state-seq", "1000").raw(OCTETS, million);
    let refused = request.expect(400).await.is("validation_error");
    assert_eq!(refused.fields(), ["body"]);
    assert_eq!(owned.read().await.header("x-state-seq"), "1000");
}
