//! Suites that any implementation of a port must pass.
//!
//! A port's doc comments are promises; each promise is a case here, and every backend, the one in memory
//! too, runs all of them as separately named tests. The cases are private functions that a module lists
//! in its one registry, so a case that nobody runs is dead code and does not compile under our lints.
//!
//! A custom harness ([`libtest_mimic`]) is used for one reason: a backend that cannot be reached shows as
//! *ignored*, with the reason in its name, and never as passed. Where nothing may be passed over, it
//! shows as one failed test ([`Absent::Failed`]).
//!
//! A suite opens a fresh backend for every case, so cases never see each other and may run at once. They
//! wait for conditions, never for time; a case that hangs is ended after [`LIMIT`].

mod coord;
mod failure;
mod fixture;
mod link;
mod log;
mod state;
mod store;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::ManualClock;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Handle;

pub use coord::{COORDINATOR, CoordinatorUnderTest};
pub use failure::Failure;
pub use link::{LinkUnderTest, Phone, WORKER_LINK};
pub use log::{LogUnderTest, MESSAGE_LOG};
pub use state::{STATE_STORE, StateUnderTest};
pub use store::{MakeTenants, ORCHESTRATION_STORE, OrchestrationUnderTest, STORE, StoreUnderTest};

/// How long a case may take before it counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What a case says: nothing, or why the backend does not keep the promise.
pub type Verdict = Result<(), Failure>;

/// A case while it runs.
pub type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// A promise of a port, put to the test.
#[derive(Debug)]
pub struct Case<T> {
    /// `<part of the port>::<the fact>`.
    pub name: &'static str,
    /// What it needs beyond the port itself.
    pub needs: Option<Need>,
    /// Runs it on a fresh backend.
    pub run: for<'a> fn(&'a T) -> Running<'a>,
}

/// All cases of a port, by part.
pub type Suite<T> = &'static [&'static [Case<T>]];

/// Something that some cases need of a backend and not every backend can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Two transactions that write are open at the same time. A store with one writer makes the second
    /// one wait, so what such a case asks cannot come up.
    SecondWriter,
    /// The backend's clock can be moved by the test.
    MovableClock,
    /// A second replica on the same data.
    SecondReplica,
}

impl Need {
    const fn reason(self) -> &'static str {
        match self {
            Self::SecondWriter => "needs two writers at once",
            Self::MovableClock => "needs a clock that can be moved",
            Self::SecondReplica => "needs a second replica",
        }
    }
}

/// Moves a backend's clock.
pub trait Advance: Debug + Send + Sync {
    /// Lets `by` pass, on every clock of the backend.
    fn advance(&self, by: Duration);
}

impl Advance for ManualClock {
    fn advance(&self, by: Duration) {
        Self::advance(self, by);
    }
}

/// Makes fresh implementations of a port to be tested.
pub trait Backend: Send + Sync + 'static {
    /// The value that a case gets.
    type UnderTest;

    /// Returns the first part of the names of the backend's tests.
    fn name(&self) -> &'static str;

    /// Returns why the backend cannot be used on this machine, if it cannot. Asked once per suite.
    fn missing(&self) -> Option<String> {
        None
    }

    /// Returns whether the backend offers what some cases need.
    fn offers(&self, need: Need) -> bool;

    /// Makes a fresh implementation that shares nothing with any other.
    fn open(&self) -> impl Future<Output = Result<Self::UnderTest, Failure>>;
}

/// How a backend that cannot be reached is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Its tests are ignored.
    Ignored,
    /// One test fails, and its message has the reason.
    Failed,
}

/// Makes one test per case of `suite`, to be run on `runtime`, which must have several threads: the races
/// are between its tasks.
pub fn trials<B: Backend>(
    backend: B,
    suite: Suite<B::UnderTest>,
    runtime: &Handle,
    absent: Absent,
) -> Vec<Trial> {
    let missing = backend.missing();
    if let (Some(why), Absent::Failed) = (&missing, absent) {
        let (name, why) = (format!("{}::is_available", backend.name()), why.clone());
        return vec![Trial::test(name, move || Err(why.into()))];
    }
    let backend = Arc::new(backend);
    suite
        .iter()
        .copied()
        .flatten()
        .map(|case| trial(&backend, case, runtime, missing.as_deref()))
        .collect()
}

fn trial<B: Backend>(
    backend: &Arc<B>,
    case: &'static Case<B::UnderTest>,
    runtime: &Handle,
    missing: Option<&str>,
) -> Trial {
    let unmet = case.needs.filter(|need| !backend.offers(*need));
    let reason = missing.or(unmet.map(Need::reason));
    let name = format!("{}::{}", backend.name(), case.name);
    let (backend, runtime) = (Arc::clone(backend), runtime.clone());
    let test = move || runtime.block_on(attempt(&*backend, case));
    let trial = Trial::test(name, test).with_ignored_flag(reason.is_some());
    match reason {
        Some(reason) => trial.with_kind(reason),
        None => trial,
    }
}

async fn attempt<B: Backend>(backend: &B, case: &'static Case<B::UnderTest>) -> Result<(), Failed> {
    let under_test = backend.open().await?;
    match tokio::time::timeout(LIMIT, (case.run)(&under_test)).await {
        Ok(verdict) => Ok(verdict?),
        Err(_) => Err(format!("hangs: not finished after {LIMIT:?}").into()),
    }
}

/// Lists the cases of a part: `cases!(Store, "lease": a_fact, another_fact [SecondWriter])`.
macro_rules! cases {
    ($under_test:ty, $part:literal: $($case:ident $([$need:ident])?),* $(,)?) => {
        pub(super) const CASES: &[$crate::conformance::Case<$under_test>] = &[$(
            $crate::conformance::Case {
                name: concat!($part, "::", stringify!($case)),
                needs: $crate::conformance::cases!(@need $($need)?),
                run: |under_test| Box::pin($case(under_test)),
            }
        ),*];
    };
    (@need) => { None };
    (@need $need:ident) => { Some($crate::conformance::Need::$need) };
}
use cases;
