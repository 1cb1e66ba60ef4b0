//! `POST /workers/register` and `DELETE /workers/{id}`

use serde_json::{Value, json};

use crate::app::{BOOTSTRAP, TestApp, text};
use crate::scene::{INCARNATION, Scene, WORKER, registration};

#[tokio::test]
async fn a_worker_gets_a_token_of_its_own() {
    let scene = Scene::without_workers().await;
    for base in [
        "/api/v1/workers",
        "/api/workers",
        "/api/v1/admin/workers",
        "/api/admin/workers",
    ] {
        let request = scene
            .app
            .post(&format!("{base}/register"))
            .bearer(BOOTSTRAP);
        let answer = request
            .json(&registration("Worker_001", INCARNATION))
            .expect(200)
            .await;
        let data = answer.data();
        assert!(text(&data["workerToken"]).starts_with("gww_"));
        assert_eq!(
            (&data["workerId"], &data["leaseSeconds"]),
            (&json!("worker-001"), &json!(20))
        );
        assert_eq!(data["heartbeatIntervalMs"], 2_000);
        assert_eq!(data["recoveryRequired"], false);
        assert_eq!(data["assignedSessionCount"], 0);
        assert!(text(&data["serverTime"]).ends_with('Z'));
    }
}

#[tokio::test]
async fn only_the_bootstrap_token_lets_a_worker_in() {
    let scene = Scene::set().await;
    let body = registration("other", INCARNATION);
    let ask = |credential: &str| {
        scene
            .app
            .post("/api/v1/workers/register")
            .bearer(credential)
            .json(&body)
    };
    scene
        .app
        .post("/api/v1/workers/register")
        .json(&body)
        .expect(401)
        .await;
    ask("wrong").expect(401).await;
    ask("gwj_unknown").expect(401).await.is("unauthorized");
    ask(&scene.token).expect(403).await;
    ask(&scene.login.access).expect(403).await;
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let scene = Scene::without_workers().await;
    for (field, value) in [
        ("workerId", json!("")),
        ("workerId", json!("x".repeat(51))),
        ("workerId", json!(7)),
        ("workerId", Value::Null),
        ("endpoint", json!("not a url")),
        ("endpoint", json!("ftp://host")),
        ("endpoint", json!("http://u:p@host")),
        ("endpoint", json!("x".repeat(10_000))),
        ("maxSessions", json!(0)),
        ("maxSessions", json!(1_001)),
        ("maxSessions", json!(-1)),
        ("maxSessions", json!(99_999_999_999_u64)),
        ("maxSessions", json!("10")),
        ("incarnation", json!("short")),
        ("protocolVersion", json!(99)),
        ("version", json!("v".repeat(101))),
        ("environment", json!("a\u{0}")),
        ("labels", json!({"a:b": "c"})),
        ("labels", json!([])),
    ] {
        let mut body = registration(WORKER, INCARNATION);
        body[field] = value.clone();
        let answer = scene
            .register(&body)
            .expect(400)
            .await
            .is("validation_error");
        assert_eq!(answer.fields(), [field], "{value}: {}", answer.text);
    }
}

#[tokio::test]
async fn endpoints_off_the_operators_list_are_refused() {
    let app = TestApp::with(|config| {
        config.workers.allowed_endpoints = vec!["10.0.0.0/8".parse().expect("a network")];
    })
    .await;
    for (endpoint, status) in [
        ("http://10.1.2.3:9000", 200),
        ("http://127.0.0.1:9000", 400),
        ("http://169.254.169.254", 400),
        ("http://0x7f000001", 400),
        ("http://[::1]:9000", 400),
        ("http://localhost", 400),
    ] {
        let mut body = registration(WORKER, INCARNATION);
        body["endpoint"] = json!(endpoint);
        let sent = app
            .post("/api/v1/workers/register")
            .bearer(BOOTSTRAP)
            .json(&body);
        sent.expect(status).await;
    }
}

#[tokio::test]
async fn special_addresses_are_no_place_for_a_worker_unless_the_list_names_them() {
    let app = TestApp::with(|config| {
        let list = ["*", "169.254.7.0/24"];
        let list = list.map(|entry| entry.parse().expect("an entry"));
        config.workers.allowed_endpoints = list.to_vec();
    })
    .await;
    for (endpoint, status) in [
        ("http://127.0.0.1:9000", 200),
        ("http://169.254.7.9:9000", 200),
        ("http://169.254.169.254/latest", 400),
        ("http://2852039166", 400),
        ("http://0xa9fea9fe", 400),
        ("http://0251.0376.0251.0376", 400),
        ("http://[::ffff:169.254.169.254]", 400),
        ("http://[fe80::1]", 400),
        ("http://0.0.0.0:9000", 400),
        ("http://224.0.0.1", 400),
        ("http://metadata.google.internal", 400),
    ] {
        let mut body = registration(WORKER, INCARNATION);
        body["endpoint"] = json!(endpoint);
        let sent = app
            .post("/api/v1/workers/register")
            .bearer(BOOTSTRAP)
            .json(&body);
        let answer = sent.expect(status).await;
        if status == 400 {
            assert_eq!(answer.fields(), ["endpoint"], "{endpoint}");
            assert!(
                answer.text.contains("workers.allowed_endpoints"),
                "{}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn a_live_worker_defends_its_id_and_its_endpoint() {
    let scene = Scene::set().await;
    let mut thief = registration(WORKER, "incarnation-2");
    thief["endpoint"] = json!("http://elsewhere.test");
    let answer = scene
        .register(&thief)
        .expect(409)
        .await
        .is("worker_id_in_use");
    assert_eq!(answer.fields(), ["workerId"]);
    let mut double = registration("worker-2", "incarnation-3");
    double["endpoint"] = json!(format!("http://{WORKER}.test:9000/"));
    let answer = scene
        .register(&double)
        .expect(409)
        .await
        .is("worker_id_in_use");
    assert_eq!(answer.fields(), ["endpoint"]);
}

#[tokio::test]
async fn a_new_run_ends_the_old_token_at_once() {
    let scene = Scene::set().await;
    let answer = scene
        .register(&registration(WORKER, "incarnation-2"))
        .expect(200)
        .await;
    let beat = |token: &str| {
        let path = format!("/api/v1/workers/{WORKER}/heartbeat");
        scene.app.put(&path).bearer(token).json(&json!({}))
    };
    beat(&scene.token).expect(401).await.is("unauthorized");
    beat(&text(&answer.data()["workerToken"])).expect(200).await;
    scene
        .register(&registration(WORKER, INCARNATION))
        .expect(409)
        .await
        .is("wrong_incarnation");
}

#[tokio::test]
async fn after_a_goodbye_the_sessions_are_placed_elsewhere() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene
        .register(&registration("worker-2", "incarnation-2"))
        .expect(200)
        .await;
    let path = format!("/api/v1/workers/{WORKER}");
    scene.as_worker(scene.app.delete(&path)).expect(200).await;
    let tick = scene.app.app.orchestrator.tick().await.expect("a tick");
    scene.app.app.effects.carry_out(tick.effects);
    scene.settle().await;
    let starts = scene.app.link.starts();
    let last = starts.last().expect("a start");
    assert_eq!((last.session_id.to_string(), last.epoch.0), (id, 2));
    assert_eq!(last.incarnation.as_str(), "incarnation-2");
    let beat = format!("/api/v1/workers/{WORKER}/heartbeat");
    let beat = scene.as_worker(scene.app.put(&beat)).json(&json!({}));
    beat.expect(409).await.is("wrong_incarnation");
}

#[tokio::test]
async fn after_the_word_of_a_supervisor_the_sessions_are_placed_elsewhere() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene
        .register(&registration("worker-2", "incarnation-2"))
        .expect(200)
        .await;
    let path = format!("/api/v1/workers/{WORKER}/exit");
    let exit = |incarnation: &str| {
        let body = json!({"incarnation": incarnation, "cause": "signal 9"});
        scene.as_worker(scene.app.post(&path)).json(&body)
    };
    exit("another-run")
        .expect(409)
        .await
        .is("wrong_incarnation");
    exit(INCARNATION).expect(200).await;
    let tick = scene.app.app.orchestrator.tick().await.expect("a tick");
    scene.app.app.effects.carry_out(tick.effects);
    scene.settle().await;
    let starts = scene.app.link.starts();
    let last = starts.last().expect("a start");
    assert_eq!((last.session_id.to_string(), last.epoch.0), (id, 2));
    exit(INCARNATION).expect(200).await;
    let starts = scene.app.link.starts().len();
    scene.settle().await;
    assert_eq!(scene.app.link.starts().len(), starts, "once");
    let beat = format!("/api/v1/workers/{WORKER}/heartbeat");
    let beat = scene.as_worker(scene.app.put(&beat)).json(&json!({}));
    beat.expect(409).await.is("wrong_incarnation");
}
