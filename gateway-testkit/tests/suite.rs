//! The suite for an embedder's store finds what is wrong with one, and names it.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gateway_core::session::Owner;
use gateway_core::store::{OrchestrationTx, Store, StoreError};
use gateway_core::worker::{Renewed, WorkerReport};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Case, ORCHESTRATION_STORE, OrchestrationUnderTest};
use gateway_testkit::fault::{FaultyStore, Statement, When};
use gateway_testkit::memory::MemoryStore;

/// Runs a case alone. Returns whether the store has kept the promise.
async fn holds(case: &Case<OrchestrationUnderTest>, under_test: &OrchestrationUnderTest) -> bool {
    let running = (case.run)(under_test);
    let verdict = std::panic::AssertUnwindSafe(running).catch_unwind().await;
    verdict.is_ok_and(|verdict| verdict.is_ok())
}

/// The cases of some parts that a store fails which is made anew for each.
fn failed(parts: &[&str], make: impl Fn(MemoryStore) -> Arc<dyn Store>) -> Vec<&'static str> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build();
    let runtime = runtime.expect("a runtime");
    let cases = ORCHESTRATION_STORE.iter().copied().flatten();
    let cases = cases.filter(|case| parts.iter().any(|part| case.name.starts_with(part)));
    let fails = |case: &&Case<OrchestrationUnderTest>| {
        let clock = Arc::new(ManualClock::default());
        let store = make(MemoryStore::new(clock.clone()));
        let under_test = OrchestrationUnderTest::new(store).with_clock(clock);
        !runtime.block_on(holds(case, &under_test))
    };
    cases.filter(fails).map(|case| case.name).collect()
}

/// A store whose renewals are not what they should be.
#[derive(Debug)]
struct Forgetful {
    store: MemoryStore,
    /// Whether it answers, and then forgets to commit.
    answers: bool,
}

#[async_trait]
impl Store for Forgetful {
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.store.begin().await
    }

    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.store.read().await
    }

    async fn renew(
        &self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<Renewed>, StoreError> {
        if !self.answers {
            return Ok(None);
        }
        renew_uncommitted(self.store.begin().await?, owner, lasts, report).await
    }
}

async fn renew_uncommitted(
    mut tx: Box<dyn OrchestrationTx>,
    owner: &Owner,
    lasts: Duration,
    report: &WorkerReport,
) -> Result<Option<Renewed>, StoreError> {
    if tx.renew_lease(owner, lasts, report).await?.is_none() {
        return Ok(None);
    }
    let Some(worker) = tx.worker(&owner.worker).await? else {
        return Ok(None);
    };
    Ok(Some(Renewed {
        status: worker.status,
        room: worker.max_sessions.saturating_sub(worker.assigned),
        holds: tx.held_by(owner).await?,
    }))
}

#[test]
fn a_right_store_of_an_embedder_passes() {
    let failed = failed(&["tx::", "slot::", "erase::"], |store| Arc::new(store));
    assert_eq!(failed, Vec::<&str>::new());
}

#[test]
fn a_store_that_renews_nothing_or_forgets_to_commit_is_found() {
    for answers in [false, true] {
        let failed = failed(&["lease::"], |store| Arc::new(Forgetful { store, answers }));
        let named = "lease::a_renewal_in_one_exchange_says_what_is_held";
        assert!(failed.contains(&named), "{failed:?}");
    }
}

#[test]
fn a_store_whose_saves_fail_is_found() {
    let failed = failed(&["session::"], |store| {
        let fault = |statement: Statement| match statement.name {
            "save_sessions" => Err(StoreError::Conflict),
            _ => Ok(()),
        };
        Arc::new(FaultyStore::over(Arc::new(store), fault))
    });
    assert!(
        failed.contains(&"session::a_card_is_kept_as_it_is"),
        "{failed:?}"
    );
}

#[test]
fn a_fault_is_shown_before_and_after_each_statement() {
    let seen: Arc<Mutex<Vec<Statement>>> = Arc::default();
    let noting = Arc::clone(&seen);
    let memory = MemoryStore::new(Arc::new(ManualClock::default()));
    let store = FaultyStore::over(Arc::new(memory), move |statement| {
        noting.lock().expect("unpoisoned").push(statement);
        Ok(())
    });
    let mut reading = pin!(async {
        let mut tx = store.begin().await?;
        tx.now().await?;
        tx.commit().await
    });
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(matches!(
        reading.as_mut().poll(&mut context),
        Poll::Ready(Ok(()))
    ));
    let seen: Vec<_> = seen
        .lock()
        .expect("unpoisoned")
        .iter()
        .map(|at| (at.name, at.when))
        .collect();
    let names = ["begin", "now", "commit"];
    let both = names
        .iter()
        .flat_map(|name| [(*name, When::Before), (*name, When::After)]);
    assert_eq!(seen, both.collect::<Vec<_>>());
}
