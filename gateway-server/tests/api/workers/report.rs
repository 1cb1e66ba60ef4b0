//! `POST /webhooks/session-status`

use serde_json::json;

use crate::scene::{INCARNATION, Scene, registration};

#[tokio::test]
async fn a_former_owner_learns_the_present_epoch() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.act(&id, "restart").expect(202).await;
    scene.settle().await;
    let late = scene.reports(&id, json!({"status": "ERROR"}));
    let answer = late.expect(409).await.is("stale_epoch");
    assert_eq!(answer.body["current"], 2);
    assert_eq!(
        scene.status(&id).await["status"],
        "CONNECTING",
        "nothing has changed"
    );
}

#[tokio::test]
async fn reports_in_anothers_name_are_refused() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let other = scene
        .register(&registration("worker-2", "incarnation-2"))
        .expect(200)
        .await;
    let token = crate::app::text(&other.data()["workerToken"]);
    let body = json!({"sessionId": id, "epoch": 1, "status": "ERROR"});
    let stolen = scene
        .app
        .post("/api/v1/webhooks/session-status")
        .bearer(&token)
        .json(&body);
    stolen.expect(409).await.is("stale_epoch");
    let named = scene.reports(&id, json!({"status": "ERROR", "workerId": "worker-2"}));
    assert_eq!(named.expect(400).await.fields(), ["workerId"]);
    let run = scene.reports(
        &id,
        json!({"status": "ERROR", "incarnation": "incarnation-2"}),
    );
    let refused = run.expect(409).await.is("wrong_incarnation");
    assert_eq!(refused.body["current"], INCARNATION);
    let nobody = "ses_01j0000000e008000000000001";
    scene
        .reports(nobody, json!({"status": "ERROR"}))
        .expect(404)
        .await
        .is("unknown_session");
    assert_eq!(scene.status(&id).await["status"], "CONNECTED");
}

#[tokio::test]
async fn an_older_report_changes_nothing() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    scene
        .reports(&id, json!({"status": "CONNECTED", "reportSeq": 5}))
        .expect(200)
        .await;
    scene
        .reports(&id, json!({"status": "ERROR", "reportSeq": 4}))
        .expect(200)
        .await;
    assert_eq!(scene.status(&id).await["status"], "CONNECTED");
}

#[tokio::test]
async fn what_is_too_long_for_a_number_is_not_kept_as_one() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    let body = json!({"status": "CONNECTED", "phoneNumber": "7".repeat(100_000)});
    scene.reports(&id, body).expect(200).await;
    let shown = scene.app.get(&format!("/api/v1/sessions/{id}"));
    let shown = shown.bearer(&scene.login.access).expect(200).await;
    assert_eq!(shown.data()["status"], "CONNECTED");
    assert!(
        shown.data()["phoneNumber"].is_null(),
        "{}",
        shown.text.len()
    );
}

#[tokio::test]
async fn a_workers_own_words_are_kept_as_far_as_512_characters() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let long = "ü".repeat(500_000);
    let body = json!({"status": "ERROR", "reason": long, "actionRequired": long});
    scene.reports(&id, body).expect(200).await;
    let status = scene.status(&id).await;
    for field in ["reason", "actionRequired"] {
        let kept = crate::app::text(&status[field]);
        assert_eq!(kept.chars().count(), 512, "{field}");
    }
    scene.publish().await;
    let events = scene.get("/api/v1/events").expect(200).await;
    assert!(events.text.len() < 20_000, "{}", events.text.len());
}

#[tokio::test]
async fn a_code_that_is_too_long_for_one_is_refused_and_changes_nothing() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    for (field, code) in [
        ("qrCode", json!("2".repeat(513))),
        ("pairingCode", json!("2".repeat(513))),
        (
            "passkeyChallenge",
            json!({"challenge": "2".repeat(16 * 1024)}),
        ),
    ] {
        let body = json!({"status": "QR_REQUIRED", field: code});
        let refused = scene.reports(&id, body).expect(400).await;
        assert_eq!(refused.is("validation_error").fields(), [field]);
    }
    assert_eq!(scene.status(&id).await["status"], "CONNECTING");
    let body = json!({"status": "QR_REQUIRED", "qrCode": "2".repeat(512)});
    scene.reports(&id, body).expect(200).await;
    assert_eq!(scene.status(&id).await["status"], "QR_REQUIRED");
}

#[tokio::test]
async fn an_unknown_status_needs_a_person() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene
        .reports(&id, json!({"status": "HIBERNATING", "moreOfTheFuture": 1}))
        .expect(200)
        .await;
    scene.settle().await;
    let status = scene.status(&id).await;
    assert_eq!(status["status"], "ERROR");
    assert!(status["actionRequired"].is_string(), "{status}");
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for (body, field) in [
        (json!({"status": 7}), "status"),
        (json!({"status": "CONNECTED", "epoch": -1}), "epoch"),
        (json!({"status": "CONNECTED", "epoch": "1"}), "epoch"),
        (
            json!({"status": "CONNECTED", "epoch": 1_u64 << 63}),
            "epoch",
        ),
        (
            json!({"status": "CONNECTED", "reportSeq": 1_u64 << 63}),
            "reportSeq",
        ),
        (
            json!({"status": "CONNECTED", "sessionId": "sales"}),
            "sessionId",
        ),
        (
            json!({"status": "CONNECTED", "qrIndex": 4_294_967_296_u64}),
            "qrIndex",
        ),
        (json!({"status": "CONNECTED", "until": "later"}), "until"),
        (json!({"status": "CONNECTED", "reason": "a\u{0}"}), "reason"),
    ] {
        let answer = scene.reports(&id, body).expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
}

#[tokio::test]
async fn a_code_that_cannot_be_kept_is_reported_again() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    scene.app.coord.set_available(false);
    let report = json!({"status": "QR_REQUIRED", "qrCode": "2@x", "qrIndex": 0});
    let answer = scene
        .reports(&id, report.clone())
        .expect(503)
        .await
        .is("connectivity_error");
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(
        scene.status(&id).await["status"],
        "CONNECTING",
        "nobody sees a code that is not there"
    );
    scene.app.coord.set_available(true);
    scene.reports(&id, report).expect(200).await;
}
