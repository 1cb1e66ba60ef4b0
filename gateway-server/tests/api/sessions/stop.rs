//! `POST /sessions/{id}/disconnect`, `…/restart` and `…/logout`

use gateway_core::worker::LinkError;

use crate::scene::{Scene, session_id};

#[tokio::test]
async fn disconnecting_keeps_the_account_and_repeats_without_harm() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let answer = scene.act(&id, "disconnect").expect(202).await;
    assert_eq!(answer.data()["desired"], "DISCONNECTED");
    scene.settle().await;
    assert_eq!(scene.app.link.stops(), [("release", session_id(&id))]);
    assert_eq!(scene.status(&id).await["status"], "DISCONNECTED");
    scene.act(&id, "disconnect").expect(200).await;

    scene.act(&id, "connect").expect(202).await;
    scene.settle().await;
    let starts = scene.app.link.starts();
    let modes: Vec<_> = starts
        .iter()
        .map(|start| (start.epoch.0, start.mode))
        .collect();
    assert_eq!(modes[1].0, 2);
    assert_eq!(
        modes[1].1,
        gateway_core::protocol::StartSessionMode::Restore
    );
}

#[tokio::test]
async fn a_restart_comes_back_at_the_next_epoch() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.act(&id, "restart").expect(202).await;
    scene.settle().await;
    let starts = scene.app.link.starts();
    assert_eq!(starts.last().map(|start| start.epoch.0), Some(2));
    assert_eq!(scene.status(&id).await["status"], "CONNECTING");
}

#[tokio::test]
async fn restarting_what_was_never_connected_is_refused() {
    let scene = Scene::set().await;
    let id = scene.card("sales").await;
    let refused = scene
        .act(&id, "restart")
        .expect(409)
        .await
        .is("invalid_transition");
    assert_eq!(refused.body["status"], "DISCONNECTED");
}

#[tokio::test]
async fn logging_out_unlinks_the_device() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.act(&id, "logout").expect(202).await;
    scene.settle().await;
    assert_eq!(scene.app.link.stops(), [("logout", session_id(&id))]);
    let status = scene.status(&id).await;
    assert_eq!(
        (&status["status"], &status["reason"]),
        (&"DISCONNECTED".into(), &"logged_out".into())
    );
    scene.act(&id, "connect").expect(202).await;
    scene.settle().await;
    let starts = scene.app.link.starts();
    assert_eq!(
        starts[1].mode,
        gateway_core::protocol::StartSessionMode::Qr,
        "a new scan is needed"
    );
}

#[tokio::test]
async fn while_a_worker_does_not_answer_the_answer_stays_202() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.app.link.fail_stops(LinkError::Unknown);
    scene.act(&id, "disconnect").expect(202).await;
    scene.settle().await;
    scene.act(&id, "disconnect").expect(202).await;
    scene.act(&id, "logout").expect(202).await;
    let status = scene.status(&id).await;
    assert_eq!(status["reason"], "logging_out", "{status}");
}
