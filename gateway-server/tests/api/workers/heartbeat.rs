//! `PUT /workers/{id}/heartbeat`, `GET …/sessions/assigned`, `POST …/sessions/recovery-status`

use serde_json::json;

use crate::scene::{INCARNATION, Scene, WORKER, registration};

#[tokio::test]
async fn a_heartbeat_renews_and_repeats_orders() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    for base in ["/api/v1/workers", "/api/workers", "/api/v1/admin/workers"] {
        let path = format!("{base}/{WORKER}/heartbeat");
        let body = json!({
            "incarnation": INCARNATION, "cpuUsage": 0.5, "memoryUsage": 40, "sessionCount": 1,
            "unknownField": {"later": true},
        });
        let answer = scene
            .as_worker(scene.app.put(&path))
            .json(&body)
            .expect(200)
            .await;
        let data = answer.data();
        assert_eq!(data["start"][0]["sessionId"], id);
        assert_eq!(
            (&data["leaseSeconds"], &data["drain"]),
            (&json!(20), &json!(false))
        );
        assert_eq!(
            (&data["drop"], &data["sendHeld"]),
            (&json!([]), &json!(false))
        );
    }
}

#[tokio::test]
async fn what_a_worker_holds_without_right_it_is_told_to_drop() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let path = format!("/api/v1/workers/{WORKER}/heartbeat");
    let held = json!([
        {"sessionId": id, "epoch": 1, "status": "CONNECTED"},
        {"sessionId": "ses_01j0000000e008000000000001", "epoch": 4, "status": "CONNECTED"},
    ]);
    let beat = scene
        .as_worker(scene.app.put(&path))
        .json(&json!({ "held": held }));
    let answer = beat.expect(200).await;
    let dropped = json!([{"sessionId": "ses_01j0000000e008000000000001", "epoch": 4}]);
    assert_eq!(answer.data()["drop"], dropped);
}

#[tokio::test]
async fn a_worker_speaks_only_for_itself() {
    let scene = Scene::set().await;
    scene
        .register(&registration("worker-2", "incarnation-2"))
        .expect(200)
        .await;
    for path in ["worker-2", "nobody", "___"] {
        let beat = scene.app.put(&format!("/api/v1/workers/{path}/heartbeat"));
        scene.as_worker(beat).json(&json!({})).expect(404).await;
        let path = format!("/api/v1/workers/{path}/sessions/assigned");
        scene.as_worker(scene.app.get(&path)).expect(404).await;
    }
    let other = scene
        .app
        .put(&format!("/api/v1/workers/{WORKER}/heartbeat"));
    let body = json!({"incarnation": "incarnation-2"});
    let answer = scene
        .as_worker(other)
        .json(&body)
        .expect(409)
        .await
        .is("wrong_incarnation");
    assert_eq!(answer.body["current"], INCARNATION);
}

#[tokio::test]
async fn wrong_fields_of_a_heartbeat_are_named() {
    let scene = Scene::set().await;
    let path = format!("/api/v1/workers/{WORKER}/heartbeat");
    for (body, field) in [
        (json!({"cpuUsage": "high"}), "cpuUsage"),
        (json!({"uptimeSeconds": -1}), "uptimeSeconds"),
        (json!({"sessions": {"total": 1.5}}), "sessions.total"),
        (
            json!({"held": [{"sessionId": "x", "epoch": 1, "status": ""}]}),
            "held[0].sessionId",
        ),
        (
            json!({"held": [{"epoch": 1, "status": ""}]}),
            "held[0].sessionId",
        ),
        (json!({"sentAt": "now"}), "sentAt"),
    ] {
        let beat = scene.as_worker(scene.app.put(&path)).json(&body);
        let answer = beat.expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
}

#[tokio::test]
async fn a_worker_reads_what_it_should_hold() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let path = format!("/api/v1/workers/{WORKER}/sessions/assigned");
    let answer = scene.as_worker(scene.app.get(&path)).expect(200).await;
    let expected = json!([{
        "sessionId": id, "epoch": 1, "desired": "CONNECTED", "stateVersion": 0, "paired": true,
    }]);
    assert_eq!(answer.data(), &expected);
}

#[tokio::test]
async fn results_of_a_recovery_are_taken_and_foreign_ones_ignored() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let path = format!("/api/v1/workers/{WORKER}/sessions/recovery-status");
    let results = json!({"results": [
        {"sessionId": id, "epoch": 1, "status": "FAILED", "error": "corrupt_state"},
        {"sessionId": "ses_01j0000000e008000000000001", "epoch": 1, "status": "RECOVERED"},
        {"sessionId": id, "epoch": 1, "status": "SOMETHING_NEW"},
    ]});
    let sent = scene.as_worker(scene.app.post(&path)).json(&results);
    assert_eq!(sent.expect(200).await.data()["accepted"], 3);
    let status = scene.status(&id).await;
    assert_eq!(
        (&status["status"], &status["reason"]),
        (&json!("ERROR"), &json!("corrupt_state"))
    );
    let bad = scene
        .as_worker(scene.app.post(&path))
        .json(&json!({"results": [{}]}));
    assert_eq!(bad.expect(400).await.fields(), ["results[0].sessionId"]);
}
