//! A client that hangs up in the middle of a send.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use serde_json::json;

use crate::scene::{Scene, a_text};

#[tokio::test]
async fn a_message_that_went_out_stays_in_the_history() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let held = scene.app.link.hold_sends();
    {
        let body = a_text("gone");
        let mut request = pin!(scene.send(&id, &body).send());
        while scene.app.link.sends().is_empty() {
            let pending = request
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(pending.is_pending(), "the worker has not answered");
            tokio::task::yield_now().await;
        }
        // The connection is closed: the request's future is dropped here.
    }
    held.add_permits(1);
    scene.settle().await;
    let all = scene.get("/api/v1/messages").expect(200).await;
    assert_eq!(all.data()[0]["content"], json!({"text": "gone"}));
    assert_eq!(all.data()[0]["status"], "sending");
}
