//! Hints inside one process: told to whoever listens, and cut off all at once.
//!
//! A cut ends every stream, because a listener that missed something does not know what: it looks at the
//! store and listens again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use gateway_core::coord::{Notice, Notices};
use tokio::sync::broadcast;

#[derive(Debug)]
pub(super) struct Hints {
    /// How many notices a slow listener may be behind; then its stream ends.
    behind: usize,
    teller: Mutex<broadcast::Sender<Notice>>,
}

impl Hints {
    pub(super) fn new(behind: usize) -> Self {
        let behind = behind.max(1);
        Self {
            behind,
            teller: Mutex::new(broadcast::Sender::new(behind)),
        }
    }

    /// Sends a notice to every present listener. It is no error if there is none.
    pub(super) fn tell(&self, notice: Notice) {
        let _ = self.teller().send(notice);
    }

    /// Returns a stream of the notices sent from now on. Once it has ended it stays ended, however often
    /// it is polled.
    pub(super) fn listen(&self) -> Notices {
        let listener = self.teller().subscribe();
        let heard = stream::unfold(listener, |mut listener| async {
            let notice = listener.recv().await.ok()?;
            Some((notice, listener))
        });
        Box::pin(heard.fuse())
    }

    /// Ends every stream, after the notices that were sent before.
    pub(super) fn cut(&self) {
        *self.teller() = broadcast::Sender::new(self.behind);
    }

    fn teller(&self) -> MutexGuard<'_, broadcast::Sender<Notice>> {
        self.teller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_ends_streams_after_what_was_told() {
        let hints = Hints::new(4);
        let mut before = hints.listen();
        hints.tell(Notice::Due);
        hints.cut();
        let mut after = hints.listen();
        hints.tell(Notice::Outbox);
        assert_eq!(before.next().await, Some(Notice::Due));
        for _ in 0..2 {
            assert_eq!(before.next().await, None);
        }
        assert_eq!(after.next().await, Some(Notice::Outbox));
    }
}
