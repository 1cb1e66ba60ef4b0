//! The worker that a send is handed to: a fake that behaves as its script says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, MessageId, SessionId};
use gateway_core::message::SendLimits;
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::Order;
use gateway_core::worker::{LinkError, Target, WorkerLink};

use super::{SESSION, owner};

/// What becomes of one send.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The worker accepts the message.
    Accepts,
    /// The worker says that it has accepted this message instead.
    AcceptsAnother(MessageId),
    /// The worker does not accept it, or nobody knows.
    Fails(LinkError),
}

/// Runs of one worker that answer one send after the other.
///
/// As a real one does, a run only takes what was meant for it: its session under its epoch and incarnation,
/// at its address. A send beyond the script fails the test, and so does an answer that nobody asked for.
#[derive(Debug, Default)]
pub(crate) struct ScriptedWorker {
    script: Mutex<VecDeque<(u64, Answer)>>,
    seen: Arc<Mutex<Vec<SendMessage>>>,
}

impl ScriptedWorker {
    /// Adds that the run at `epoch` is asked next, and what it answers.
    pub(crate) fn answer(&self, epoch: u64, answer: Answer) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.push_back((epoch, answer));
    }

    /// Returns where the commands will be that it is given.
    pub(crate) fn seen(&self) -> Arc<Mutex<Vec<SendMessage>>> {
        Arc::clone(&self.seen)
    }

    fn next(&self) -> Option<(u64, Answer)> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.pop_front()
    }
}

impl Drop for ScriptedWorker {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left = self.next();
            assert!(left.is_none(), "the worker was not asked: {left:?}");
        }
    }
}

/// The good answer to `body`.
fn accepted(body: &SendMessage) -> Sent {
    Sent {
        message_id: body.message_id,
        wa_message_id: body.wa_message_id.clone(),
        status: "accepted".to_owned(),
        accepted_at: None,
    }
}

#[async_trait]
impl WorkerLink for ScriptedWorker {
    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError> {
        let (epoch, answer) = self.next().expect("the worker is asked once more");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(body.clone());
        let run = owner(epoch);
        assert_eq!(target.endpoint, format!("http://worker-{epoch}"));
        assert_eq!((session, limit), (SESSION, SendLimits::default().worker));
        assert_eq!(
            (body.epoch, &body.incarnation),
            (Epoch(epoch), &run.incarnation)
        );
        assert_eq!(target.owner, run);
        match answer {
            Answer::Accepts => Ok(accepted(body)),
            Answer::AcceptsAnother(message_id) => Ok(Sent {
                message_id,
                ..accepted(body)
            }),
            Answer::Fails(error) => Err(error),
        }
    }

    async fn start(
        &self,
        _: &Target,
        _: &StartSession,
        _: Duration,
    ) -> Result<Accepted, LinkError> {
        not_a_send()
    }

    async fn session(
        &self,
        _: &Target,
        _: SessionId,
        _: Duration,
    ) -> Result<SessionState, LinkError> {
        not_a_send()
    }

    async fn release(&self, _: &Target, _: &Order, _: Duration) -> Result<Released, LinkError> {
        not_a_send()
    }

    async fn logout(&self, _: &Target, _: &Order, _: Duration) -> Result<Released, LinkError> {
        not_a_send()
    }

    async fn forget(&self, _: &Target, _: &Order, _: Duration) -> Result<Released, LinkError> {
        not_a_send()
    }

    async fn passkey(
        &self,
        _: &Target,
        _: &Order,
        _: &Passkey,
        _: bool,
        _: Duration,
    ) -> Result<(), LinkError> {
        not_a_send()
    }

    async fn health(&self, _: &Target, _: Duration) -> Result<Health, LinkError> {
        not_a_send()
    }
}

fn not_a_send() -> ! {
    panic!("a send gives the worker no other command")
}
