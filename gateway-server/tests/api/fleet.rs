//! Simulated workers that speak the worker protocol to the routes of a test's server.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::event::sequence;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::state::{
    EPOCH_HEADER, STATE_MEDIA_TYPE, STATE_SEQ_HEADER, decode_state, encode_entries,
};
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::state::StoredState;
use gateway_testkit::worker::{Caller, GatewayApi, GatewayError, SimFleet};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::{BOOTSTRAP, TestAnswer, TestApp, TestRequest};

/// Between two looks at everything.
const STEP: Duration = Duration::from_millis(100);

/// Lets `seconds` pass for the server and its workers.
pub(crate) async fn pass(app: &TestApp, fleet: &SimFleet, seconds: u64) {
    for _ in 0..seconds * 10 {
        fleet.settle(app).await;
        let tick = app.app.orchestrator.tick().await.expect("a tick");
        app.app.effects.carry_out(tick.effects);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        sequence(&*app.app.store, 0, 1_000)
            .await
            .expect("published");
        app.clock.advance(STEP);
    }
}

fn written<T: Serialize + ?Sized>(body: &T) -> Value {
    serde_json::to_value(body).expect("JSON")
}

fn refusal(answer: &TestAnswer) -> GatewayError {
    let current = answer.body["current"].as_u64();
    match (answer.status.as_u16(), answer.kind()) {
        (401, _) | (409, "wrong_incarnation") => GatewayError::Unauthorized,
        (409, "stale_epoch") => GatewayError::StaleEpoch {
            current: current.map(Epoch),
        },
        (409, "seq_conflict") => GatewayError::SeqConflict {
            current: current.expect("the newest sequence"),
        },
        (500.., _) => GatewayError::Unavailable { retry_after: None },
        (status, kind) => GatewayError::Refused {
            status,
            kind: kind.to_owned(),
            message: answer.text.clone(),
        },
    }
}

async fn ask(request: TestRequest<'_>) -> Result<TestAnswer, GatewayError> {
    let answer = request.send().await;
    match answer.status.is_success() {
        true => Ok(answer),
        false => Err(refusal(&answer)),
    }
}

async fn data<T: DeserializeOwned>(request: TestRequest<'_>) -> Result<T, GatewayError> {
    let answer = ask(request).await?;
    let data = serde_json::from_value(answer.data().clone());
    Ok(data.unwrap_or_else(|error| panic!("{error}: {}", answer.text)))
}

fn state_path(caller: &Caller, session: SessionId, tail: &str) -> String {
    let worker = &caller.owner.worker;
    format!("/api/v1/workers/{worker}/sessions/{session}/state{tail}")
}

fn at(request: TestRequest<'_>, epoch: Epoch) -> TestRequest<'_> {
    request.header(EPOCH_HEADER, &epoch.to_string())
}

async fn seq(request: TestRequest<'_>, after: u64) -> Result<u64, GatewayError> {
    let request = request.header(STATE_SEQ_HEADER, &after.to_string());
    let answer: Value = data(request).await?;
    Ok(answer["seq"].as_u64().expect("a sequence"))
}

#[async_trait]
impl GatewayApi for TestApp {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        let request = self.post("/api/v1/workers/register").bearer(BOOTSTRAP);
        data(request.json(&written(body))).await
    }

    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError> {
        let path = format!("/api/v1/workers/{}/heartbeat", caller.owner.worker);
        data(self.put(&path).bearer(&caller.token).json(&written(body))).await
    }

    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError> {
        let path = format!("/api/v1/workers/{}", caller.owner.worker);
        ask(self.delete(&path).bearer(&caller.token))
            .await
            .map(drop)
    }

    async fn assigned(&self, caller: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        let path = format!("/api/v1/workers/{}/sessions/assigned", caller.owner.worker);
        data(self.get(&path).bearer(&caller.token)).await
    }

    async fn recovery_status(
        &self,
        caller: &Caller,
        body: &RecoveryReport,
    ) -> Result<(), GatewayError> {
        let worker = &caller.owner.worker;
        let path = format!("/api/v1/workers/{worker}/sessions/recovery-status");
        ask(self.post(&path).bearer(&caller.token).json(&written(body)))
            .await
            .map(drop)
    }

    async fn session_report(
        &self,
        caller: &Caller,
        body: &SessionReport,
    ) -> Result<(), GatewayError> {
        let request = self
            .post("/api/v1/webhooks/session-status")
            .bearer(&caller.token);
        ask(request.json(&written(body))).await.map(drop)
    }

    async fn message_reports(
        &self,
        caller: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError> {
        let request = self
            .post("/api/v1/webhooks/message-status")
            .bearer(&caller.token);
        let answer = ask(request.json(&written(body))).await?;
        assert_eq!(answer.data()["rejected"], json!([]), "{}", answer.text);
        Ok(())
    }

    async fn inbound(&self, caller: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError> {
        let request = self.post("/api/v1/webhooks/messages").bearer(&caller.token);
        let answer = ask(request.json(&written(body))).await?;
        assert_eq!(answer.data()["rejected"], json!([]), "{}", answer.text);
        Ok(())
    }

    async fn state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError> {
        let request = self.get(&state_path(caller, session, ""));
        let answer = ask(at(request.bearer(&caller.token), epoch)).await?;
        Ok(decode_state(epoch, &answer.bytes).expect("whole frames"))
    }

    async fn put_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError> {
        let request = self
            .put(&state_path(caller, session, ""))
            .bearer(&caller.token);
        let request = at(request, epoch).raw(STATE_MEDIA_TYPE, snapshot.to_vec());
        seq(request, after).await
    }

    async fn append_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError> {
        let request = self.post(&state_path(caller, session, "/journal"));
        let request = at(request.bearer(&caller.token), epoch);
        seq(
            request.raw(STATE_MEDIA_TYPE, encode_entries(entries)),
            after,
        )
        .await
    }
}
