//! A transaction, and how its statements wait.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use gateway_core::entropy::Entropy;
use gateway_core::store::{OrchestrationTx, StoreError};
use gateway_core::time::Timestamp;

use super::table::{Halt, Me};
use super::world::World;

/// The test has switched the store off.
#[derive(Debug, thiserror::Error)]
#[error("the store is switched off; see MemoryStore::set_available")]
struct SwitchedOff;

/// What the store, its transactions and the message log share.
pub(super) struct Shared {
    world: Mutex<World>,
    turns: Option<Arc<dyn Entropy>>,
}

impl Shared {
    pub(super) fn new(world: World, turns: Option<Arc<dyn Entropy>>) -> Self {
        let world = Mutex::new(world);
        Self { world, turns }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets other tasks go first now and then, if the store was made by
    /// [`super::MemoryStore::interleaved`].
    pub(super) async fn take_turns(&self) {
        if self.turns.as_ref().is_some_and(|turns| turns.below(2) == 0) {
            let mut asked = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut asked, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }

    pub(super) fn end(&self, me: Me, commit: bool) {
        let waiting = self.world().end(me, commit);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Runs `op` in a transaction of its own that never waits, and commits it.
    pub(super) fn at_once<T>(
        &self,
        op: impl FnOnce(&mut World, Me) -> Result<T, Halt>,
    ) -> Result<T, StoreError> {
        let mut world = self.world();
        let me = world.begin(true);
        let done = checked(&world).and_then(|()| op(&mut world, me));
        let waiting = world.end(me, done.is_ok());
        drop(world);
        waiting.into_iter().for_each(Waker::wake);
        done.map_err(|halt| match halt {
            Halt::Wait(_) => StoreError::Conflict,
            Halt::Fail(error) => error,
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn checked(world: &World) -> Result<(), Halt> {
    if world.available {
        return Ok(());
    }
    Err(StoreError::Unavailable(Box::new(SwitchedOff)).into())
}

/// A transaction of a [`super::MemoryStore`]. Dropping it rolls it back.
pub struct MemoryTx {
    shared: Arc<Shared>,
    me: Me,
}

impl std::fmt::Debug for MemoryTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MemoryTx").field(&self.me.id).finish()
    }
}

impl Drop for MemoryTx {
    fn drop(&mut self) {
        self.shared.end(self.me, false);
    }
}

/// Removes the note that a statement waits when it is dropped, which happens with the statement's future,
/// too.
struct Waiting<'a>(&'a MemoryTx);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.shared.world().stop_waiting(self.0.me);
    }
}

impl MemoryTx {
    pub(super) fn begin(shared: &Arc<Shared>, writes: bool) -> Result<Self, StoreError> {
        let mut world = shared.world();
        if let Err(Halt::Fail(error)) = checked(&world) {
            return Err(error);
        }
        let me = world.begin(writes);
        drop(world);
        let shared = Arc::clone(shared);
        Ok(Self { shared, me })
    }

    /// Runs one statement: `op` is evaluated, from its beginning, as often as it has to wait.
    ///
    /// So `op` must take all its locks before it changes anything.
    pub(super) async fn run<T: Send>(
        &mut self,
        mut op: impl FnMut(&mut World, Me) -> Result<T, Halt> + Send,
    ) -> Result<T, StoreError> {
        self.shared.take_turns().await;
        let waiting = Waiting(self);
        let tx = waiting.0;
        poll_fn(|cx| tx.evaluate(cx, &mut op)).await
    }

    fn evaluate<T>(
        &self,
        cx: &mut Context<'_>,
        op: &mut impl FnMut(&mut World, Me) -> Result<T, Halt>,
    ) -> Poll<Result<T, StoreError>> {
        let mut world = self.shared.world();
        world.stop_waiting(self.me);
        let halt = match checked(&world).and_then(|()| op(&mut world, self.me)) {
            Ok(value) => return Poll::Ready(Ok(value)),
            Err(halt) => halt,
        };
        match halt {
            Halt::Fail(error) => Poll::Ready(Err(error)),
            Halt::Wait(other) => match world.wait(self.me, other, cx.waker()) {
                Ok(()) => Poll::Pending,
                Err(_deadlock) => Poll::Ready(Err(StoreError::Conflict)),
            },
        }
    }
}

#[async_trait]
impl OrchestrationTx for MemoryTx {
    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        self.run(|world, _| Ok(world.now())).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.run(|_, _| Ok(())).await?;
        self.shared.end(self.me, true);
        Ok(())
    }
}
