//! `POST /sessions/{id}/connect`

use gateway_core::protocol::StartSessionMode;
use serde_json::json;

use crate::app::text;
use crate::scene::Scene;

#[tokio::test]
async fn the_wish_is_stored_and_a_worker_is_told() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    let answer = scene.act(&id, "connect").expect(202).await;
    assert_eq!(answer.data()["status"], "CONNECTING");
    assert_eq!(answer.data()["desired"], "CONNECTED");
    scene.settle().await;
    let starts = scene.app.link.starts();
    assert_eq!(
        (starts.len(), starts[0].epoch.0, starts[0].mode),
        (1, 1, StartSessionMode::Qr)
    );
    scene.act("sales", "connect").expect(202).await;
    scene
        .reports(&id, json!({"status": "CONNECTED"}))
        .expect(200)
        .await;
    let answer = scene.act(&id, "connect").expect(200).await;
    assert_eq!(answer.data()["status"], "CONNECTED");
}

#[tokio::test]
async fn without_the_coordinator_the_wish_is_stored_all_the_same() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    scene.app.coord.set_available(false);
    scene.act(&id, "connect").expect(202).await;
    scene.settle().await;
    assert_eq!(scene.app.link.starts().len(), 1);
}

#[tokio::test]
async fn a_phone_number_asks_for_a_pairing_code() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    let body = json!({"mode": "PAIRING_CODE", "phoneNumber": "+49 170 1234567"});
    scene.act(&id, "connect").json(&body).expect(202).await;
    scene.settle().await;
    let starts = scene.app.link.starts();
    assert_eq!(starts[0].mode, StartSessionMode::PairingCode);
    assert_eq!(starts[0].phone_number.as_deref(), Some("491701234567"));

    let report = json!({
        "status": "QR_REQUIRED", "pairingCode": "ABCD-1234",
        "pairingExpiresAt": "2033-01-01T00:00:00.000Z",
    });
    scene.reports(&id, report).expect(200).await;
    assert_eq!(
        scene.status(&id).await["actionRequired"],
        "enter_pairing_code"
    );
    let answer = scene
        .act(&id, "connect?wait=1")
        .json(&body)
        .expect(202)
        .await;
    assert_eq!(answer.data()["qr"]["pairingCode"], "ABCD-1234");
    let code = scene
        .get(&format!("/api/v1/sessions/{id}/qr"))
        .expect(200)
        .await;
    assert_eq!(code.data()["pairingCode"], "ABCD-1234");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_there_is_a_code() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    let waiting = scene.act(&id, "connect?wait=30").expect(202);
    let reporting = async {
        scene.settle().await;
        let report = json!({
            "status": "QR_REQUIRED", "qrCode": "2@text", "qrIndex": 0,
            "qrExpiresAt": "2033-01-01T00:00:00.000Z",
        });
        scene.reports(&id, report).expect(200).await;
    };
    let (answer, ()) = tokio::join!(waiting, reporting);
    assert_eq!(answer.data()["status"], "QR_REQUIRED");
    assert_eq!(answer.data()["qr"]["qrCode"], "2@text");
    assert_eq!(
        text(&answer.data()["qr"]["expiresAt"]),
        "2033-01-01T00:00:00.000Z"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_the_connection_stands_and_when_it_fails() {
    let scene = Scene::set().await;
    for (name, report, status) in [
        ("a", json!({"status": "CONNECTED"}), 200),
        ("b", json!({"status": "ERROR", "reason": "banned"}), 202),
    ] {
        let id = scene.card(name).await;
        let waiting = scene.act(&id, "connect?wait=30").expect(status);
        let reporting = async {
            scene.settle().await;
            scene.reports(&id, report.clone()).expect(200).await;
        };
        let (answer, ()) = tokio::join!(waiting, reporting);
        assert_eq!(answer.data()["status"], report["status"]);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_its_time() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    let answer = scene.act(&id, "connect?wait=2").expect(202).await;
    assert_eq!(answer.data()["status"], "CONNECTING");
    assert!(answer.data().get("qr").is_none());
}

#[tokio::test(start_paused = true)]
async fn without_room_waiting_says_so_and_keeps_the_wish() {
    let scene = Scene::without_workers().await;
    let id = scene.card("sales").await;
    let answer = scene
        .act(&id, "connect?wait=1")
        .expect(503)
        .await
        .is("no_capacity");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    let status = scene.status(&id).await;
    assert_eq!(
        (&status["desired"], &status["reason"]),
        (&json!("CONNECTED"), &json!("no_capacity"))
    );

    let worker = crate::scene::registration("late", "incarnation-9");
    scene.register(&worker).expect(200).await;
    let tick = scene.app.app.orchestrator.tick().await.expect("a tick");
    scene.app.app.effects.carry_out(tick.effects);
    scene.settle().await;
    assert_eq!(
        scene.app.link.starts().len(),
        1,
        "placed as soon as there is room"
    );
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    for (body, field) in [
        (json!({"mode": "QRCODE"}), "mode"),
        (json!({"mode": 1}), "mode"),
        (json!({"mode": "PAIRING_CODE"}), "phoneNumber"),
        (
            json!({"mode": "PAIRING_CODE", "phoneNumber": "abc"}),
            "phoneNumber",
        ),
        (
            json!({"mode": "PAIRING_CODE", "phoneNumber": 49}),
            "phoneNumber",
        ),
        (json!({"phoneNumber": "+491701234567"}), "phoneNumber"),
    ] {
        let answer = scene.act(&id, "connect").json(&body).expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
    for wait in ["0", "31", "x", "", "-1", "1e3"] {
        let answer = scene
            .act(&id, &format!("connect?wait={wait}"))
            .expect(400)
            .await;
        assert_eq!(answer.fields(), ["wait"]);
    }
    scene
        .act(&id, "connect")
        .raw("text/plain", "x")
        .expect(415)
        .await;
    scene
        .act(&id, "connect")
        .raw("application/json", "{")
        .expect(400)
        .await;
    assert_eq!(
        scene.status(&id).await["desired"],
        "DISCONNECTED",
        "nothing of this connected it"
    );
}
