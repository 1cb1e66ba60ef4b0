//! A channel without a runtime: a queue and the waker of the one who reads it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    waker: Option<Waker>,
    closed: bool,
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writing end. Dropping it ends the stream, after what was pushed before.
#[derive(Debug)]
pub(super) struct Queue<T>(Weak<Mutex<State<T>>>);

/// The reading end: a stream of the items.
#[derive(Debug)]
pub(super) struct Items<T>(Arc<Mutex<State<T>>>);

/// Makes a channel without a bound.
pub(super) fn subscribe<T>() -> (Queue<T>, Items<T>) {
    let state = Arc::new(Mutex::new(State {
        waiting: VecDeque::new(),
        waker: None,
        closed: false,
    }));
    (Queue(Arc::downgrade(&state)), Items(state))
}

impl<T> Queue<T> {
    /// Appends an item. Returns whether anybody is there to read it.
    pub(super) fn push(&self, item: T) -> bool {
        let Some(state) = self.0.upgrade() else {
            return false;
        };
        let waker = {
            let mut state = lock(&state);
            state.waiting.push_back(item);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        true
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let Some(state) = self.0.upgrade() else {
            return;
        };
        let waker = {
            let mut state = lock(&state);
            state.closed = true;
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Stream for Items<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.0);
        if let Some(item) = state.waiting.pop_front() {
            return Poll::Ready(Some(item));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
