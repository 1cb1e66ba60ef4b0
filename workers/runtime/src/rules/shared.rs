//! The rules behind a lock, shared by a worker and the sessions its engine runs.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::Rules;

type Wake = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Shared {
    rules: Mutex<Rules>,
    wake: OnceLock<Wake>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules: Mutex::new(rules),
            wake: OnceLock::new(),
        }
    }

    /// Calls `wake` whenever an engine has said something. Only the first caller is heard.
    pub(crate) fn on_push(&self, wake: Wake) {
        // A worker is driven by one loop; a second one would take calls away from the first.
        let _ = self.wake.set(wake);
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&Rules) -> T) -> T {
        look(&lock(&self.rules))
    }

    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        act(&mut lock(&self.rules))
    }

    /// Makes a change that comes from the engine, and wakes whoever drives the worker.
    pub(crate) fn push<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        let value = self.change(act);
        if let Some(wake) = self.wake.get() {
            wake();
        }
        value
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
