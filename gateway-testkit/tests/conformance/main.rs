//! The ports in memory keep every promise that a port makes.

mod workers;

use std::sync::Arc;

use gateway_core::time::Clock;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{
    Absent, Advance, Backend, COORDINATOR, CoordinatorUnderTest, Failure, LogUnderTest,
    MESSAGE_LOG, Need, STATE_STORE, STORE, StateUnderTest, StoreUnderTest, WORKER_LINK, trials,
};
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::{MemoryCoordinator, MemoryLog, MemoryState, MemoryStore};

use workers::Simulated;

const PLACES: usize = 32;

/// Returns a fresh clock, to read and to move.
fn clock() -> (Arc<dyn Clock>, Option<Arc<dyn Advance>>) {
    let clock = Arc::new(ManualClock::default());
    (clock.clone(), Some(clock))
}

/// In memory; with a seed, tasks also take turns in the middle of a transaction.
#[derive(Clone, Copy)]
struct Memory(&'static str, Option<u64>);

impl Memory {
    fn store(self, clock: Arc<dyn Clock>) -> MemoryStore {
        match self.1 {
            None => MemoryStore::new(clock),
            Some(seed) => MemoryStore::interleaved(clock, Arc::new(SeededEntropy::new(seed))),
        }
    }
}

macro_rules! in_memory {
    ($($backend:ident => $under_test:ty, |$memory:ident, $clock:ident, $advance:ident| $made:expr;)*) => {$(
        struct $backend(Memory);

        impl Backend for $backend {
            type UnderTest = $under_test;

            fn name(&self) -> &'static str {
                self.0.0
            }

            fn offers(&self, _: Need) -> bool {
                true
            }

            async fn open(&self) -> Result<$under_test, Failure> {
                let ($clock, $advance) = clock();
                let $memory = self.0;
                Ok($made)
            }
        }
    )*};
}

in_memory! {
    Stores => StoreUnderTest, |memory, clock, advance| StoreUnderTest {
        store: Arc::new(memory.store(clock)),
        clock: advance,
        keep: Box::new(()),
    };
    Logs => LogUnderTest, |memory, clock, _advance| {
        let store = memory.store(clock);
        LogUnderTest {
            log: Arc::new(MemoryLog::with_capacity(&store, PLACES)),
            other: Arc::new(MemoryLog::with_capacity(&store, PLACES)),
            places: PLACES,
            store: Arc::new(store),
            keep: Box::new(()),
        }
    };
    Coordinators => CoordinatorUnderTest, |_memory, clock, advance| {
        let coordinator = Arc::new(MemoryCoordinator::new(clock));
        CoordinatorUnderTest {
            coordinator: coordinator.clone(),
            other: coordinator,
            clock: advance,
            keep: Box::new(()),
        }
    };
    States => StateUnderTest, |memory, clock, _advance| {
        let store = memory.store(clock);
        let state = Arc::new(MemoryState::beside(&store));
        StateUnderTest::with_sessions(state, Arc::new(store), Box::new(())).await?
    };
}

fn main() -> std::io::Result<()> {
    let arguments = libtest_mimic::Arguments::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()?;
    let (plain, shuffled) = (Memory("memory", None), Memory("interleaved", Some(1)));
    let on = runtime.handle();
    let mut tests = trials(Coordinators(plain), COORDINATOR, on, Absent::Failed);
    tests.extend(trials(States(plain), STATE_STORE, on, Absent::Failed));
    tests.extend(trials(Simulated, WORKER_LINK, on, Absent::Failed));
    for memory in [plain, shuffled] {
        tests.extend(trials(Stores(memory), STORE, on, Absent::Failed));
        tests.extend(trials(Logs(memory), MESSAGE_LOG, on, Absent::Failed));
    }
    libtest_mimic::run(&arguments, tests).exit()
}
