//! Look-ups by id, made together.
//!
//! A send with an idempotency key reads the row of its id first. Whatever is asked for while one
//! statement runs is asked for in the next, so reads cost a statement per group, as writes do. A failed
//! read is an answer: nothing was promised yet, so nobody waits for the database to come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::message::{LogError, Message};
use gateway_core::store::retry_conflicts;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, MessageKey};
use crate::telemetry::ErrorChain;

pub(super) struct Question {
    pub(super) key: MessageKey,
    pub(super) answer: oneshot::Sender<Result<Option<Message>, LogError>>,
}

pub(super) struct LookupReader {
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) batch_size: usize,
}

impl LookupReader {
    /// Answers look-ups until `close` is cancelled, then those that are left.
    pub(super) async fn run(mut self, close: CancellationToken) {
        let mut asked = Vec::new();
        loop {
            let some = tokio::select! {
                biased;
                some = self.questions.recv_many(&mut asked, self.batch_size) => some,
                () = close.cancelled() => {
                    self.questions.close();
                    self.questions.recv_many(&mut asked, self.batch_size).await
                }
            };
            if some == 0 {
                return;
            }
            self.answer(&mut asked).await;
        }
    }

    async fn answer(&self, asked: &mut Vec<Question>) {
        // Whoever has gone meanwhile is not asked for.
        asked.retain(|question| !question.answer.is_closed());
        let mut keys: Vec<MessageKey> = asked.iter().map(|question| question.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let rows = retry_conflicts(3, || self.ledger.read(&keys)).await;
        let rows: BTreeMap<MessageKey, Message> = match rows {
            Ok(rows) => rows
                .into_iter()
                .map(|row| ((row.tenant, row.id), row))
                .collect(),
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "messages cannot be read");
                for question in asked.drain(..) {
                    let _ = question.answer.send(Err(LogError::Unavailable));
                }
                return;
            }
        };
        for question in asked.drain(..) {
            let _ = question.answer.send(Ok(rows.get(&question.key).cloned()));
        }
    }
}
