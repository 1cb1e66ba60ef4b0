//! The worker that a send is handed to: a fake that behaves as its script says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, MessageId, SessionId};
use gateway_core::message::SendLimits;
use gateway_core::protocol::{SendMessage, Sent};
use gateway_core::worker::{LinkError, Target, WorkerLink};
use gateway_testkit::delegate::DelegateLink;

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

#[async_trait]
impl DelegateLink for ScriptedWorker {
    fn below(&self) -> &dyn WorkerLink {
        panic!("a send gives the worker no other command")
    }

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
            Answer::Accepts => Ok(Sent::of(body)),
            Answer::AcceptsAnother(message_id) => {
                let mut sent = Sent::of(body);
                sent.message_id = message_id;
                Ok(sent)
            }
            Answer::Fails(error) => Err(error),
        }
    }
}
