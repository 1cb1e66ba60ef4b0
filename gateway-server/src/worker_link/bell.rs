//! A waker for parts that are polled together by one task.
//!
//! Such parts talk to each other: a connection hands an answer to the future that asked for it, and wakes
//! it. Their task would be woken for what it is just doing itself, and polled once more from its top for
//! nothing. Here what rings during a poll only repeats the poll, and what rings between two polls wakes
//! whoever waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// So many polls in a row; whoever has more to say says it to the task. A runtime that wants its turn back
/// lets its parts wake themselves until they are left alone.
const ROUNDS: usize = 4;

/// The bell of one waiter at a time.
pub(super) struct Bell {
    inner: Arc<Inner>,
    waker: Waker,
}

#[derive(Default)]
struct Inner {
    waiting: AtomicWaker,
    is_polled: AtomicBool,
    has_rung: AtomicBool,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if !self.is_polled.load(Ordering::SeqCst) {
            self.waiting.wake();
        }
    }
}

impl Bell {
    /// Nobody waits yet.
    pub(super) fn new() -> Self {
        let inner = Arc::<Inner>::default();
        let waker = Waker::from(Arc::clone(&inner));
        Self { inner, waker }
    }

    /// Polls until nothing rings any more; afterwards a ring wakes the task of `context`.
    pub(super) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.inner.waiting.register(context.waker());
        for _ in 0..ROUNDS {
            // Swapped, so that this poll sees what was done before a ring that it makes forgotten.
            self.inner.has_rung.swap(false, Ordering::SeqCst);
            self.inner.is_polled.store(true, Ordering::SeqCst);
            let polled = part(&mut Context::from_waker(&self.waker));
            self.inner.is_polled.store(false, Ordering::SeqCst);
            // Another thread either sees that the poll is over and wakes the task, or is seen here.
            if polled.is_ready() || !self.inner.has_rung.load(Ordering::SeqCst) {
                return polled;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// A ring wakes nobody from now on.
    pub(super) fn leave(&self) {
        drop(self.inner.waiting.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn task() -> (Arc<Woken>, Waker) {
        let woken = Arc::<Woken>::default();
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn a_ring_during_the_poll_repeats_it_and_wakes_nobody() {
        let (bell, (woken, waker)) = (Bell::new(), task());
        let mut polls = 0;
        let polled = bell.poll(&mut Context::from_waker(&waker), |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 2 {
                Poll::Ready("done")
            } else {
                Poll::Pending
            }
        });
        assert_eq!((polled, polls), (Poll::Ready("done"), 2));
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_ring_between_two_polls_wakes_the_task_that_polled_last() {
        let (bell, (first, one), (second, two)) = (Bell::new(), task(), task());
        let mut inside = None;
        for waker in [&one, &two] {
            let polled = bell.poll(&mut Context::from_waker(waker), |context| {
                inside = Some(context.waker().clone());
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        }
        inside.as_ref().expect("a waker").wake_by_ref();
        let woken = |task: &Woken| task.0.load(Ordering::SeqCst);
        assert_eq!((woken(&first), woken(&second)), (0, 1));
        bell.leave();
        inside.expect("a waker").wake();
        assert_eq!(woken(&second), 1);
    }

    #[test]
    fn what_rings_for_ever_gives_the_runtime_its_turn() {
        let (bell, (woken, waker)) = (Bell::new(), task());
        let mut polls = 0;
        let polled = bell.poll(&mut Context::from_waker(&waker), |context| {
            polls += 1;
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((polls, woken.0.load(Ordering::SeqCst)), (ROUNDS, 1));
    }
}
