//! A receipt for something that was handed over and is settled later.
//!
//! Channels of a runtime would do, but then the rules would need that runtime. A ticket can be awaited by
//! any executor, and merely looked at by code that has none.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

struct Slot<T> {
    outcome: Option<T>,
    wakers: Vec<Waker>,
}

/// The outcome of something that was handed to the runtime: await it, or ask for it.
///
/// Clones are the same ticket. A ticket that nobody awaits costs nothing.
pub struct Ticket<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

impl<T> Clone for Ticket<T> {
    fn clone(&self) -> Self {
        Self {
            slot: Arc::clone(&self.slot),
        }
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settled = self.lock().outcome.is_some();
        f.debug_struct("Ticket").field("settled", &settled).finish()
    }
}

impl<T> Ticket<T> {
    pub(crate) fn open() -> Self {
        Self::with(None)
    }

    pub(crate) fn already(outcome: T) -> Self {
        Self::with(Some(outcome))
    }

    fn with(outcome: Option<T>) -> Self {
        let wakers = Vec::new();
        Self {
            slot: Arc::new(Mutex::new(Slot { outcome, wakers })),
        }
    }

    /// Sets the outcome unless there is one, and wakes whoever waits for it.
    pub(crate) fn settle(&self, outcome: T) {
        let wakers = {
            let mut slot = self.lock();
            if slot.outcome.is_some() {
                return;
            }
            slot.outcome = Some(outcome);
            std::mem::take(&mut slot.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Ticket<T> {
    /// Returns the outcome, if it is known.
    #[must_use]
    pub fn outcome(&self) -> Option<T> {
        self.lock().outcome.clone()
    }
}

impl<T: Clone> Future for Ticket<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.lock();
        if let Some(outcome) = &slot.outcome {
            return Poll::Ready(outcome.clone());
        }
        let waker = context.waker();
        if !slot.wakers.iter().any(|known| known.will_wake(waker)) {
            slot.wakers.push(waker.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_who_waits_gets_the_first_outcome() {
        let ticket = Ticket::open();
        let mut waiting = ticket.clone();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut waiting).poll(&mut context).is_pending());
        assert_eq!(ticket.outcome(), None);
        ticket.settle(1);
        ticket.settle(2);
        assert_eq!(ticket.outcome(), Some(1));
        assert_eq!(Pin::new(&mut waiting).poll(&mut context), Poll::Ready(1));
    }
}
