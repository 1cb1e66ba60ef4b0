//! `DELETE /sessions/{id}`

use gateway_core::worker::LinkError;

use crate::scene::{Scene, session_id};

#[tokio::test]
async fn a_card_that_nobody_holds_is_gone_at_once() {
    let scene = Scene::without_workers().await;
    let id = scene.card("sales").await;
    let path = format!("/api/v1/sessions/{id}");
    let answer = scene.delete(&path).expect(200).await;
    assert_eq!(answer.data()["deleted"], true);
    scene.get(&path).expect(404).await;
    scene.delete(&path).expect(404).await;
    scene.card("sales").await;
}

#[tokio::test]
async fn a_held_session_is_gone_when_its_worker_has_let_go() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let path = format!("/api/v1/sessions/{id}");
    scene.app.link.fail_stops(LinkError::NotSent);
    let answer = scene.delete(&path).expect(202).await;
    assert_eq!(answer.data()["deleted"], false);
    scene.settle().await;
    scene.delete(&path).expect(202).await;
    assert_eq!(scene.status(&id).await["reason"], "deleting");

    scene.app.link.fail_stops(None);
    scene.app.advance(6);
    let tick = scene.app.app.orchestrator.tick().await.expect("a tick");
    scene.app.app.effects.carry_out(tick.effects);
    scene.settle().await;
    scene.get(&path).expect(404).await;
    assert!(
        scene
            .app
            .link
            .stops()
            .contains(&("forget", session_id(&id)))
    );
}
