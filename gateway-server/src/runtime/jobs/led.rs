//! A job that one replica does at a time.
//!
//! Before each step the replica takes or keeps the lead; while another one has it, the job only asks again.
//! A replica that dies is followed by another one when its lease is over, one that stops gives it up.

use std::sync::Arc;

use gateway_core::id::ReplicaId;
use gateway_core::leader::LeaderTerm;
use gateway_core::store::PlatformStore;

use super::frame::{Job, JobError, Next, Pace};

/// How many paces a lead lasts: a step may fail or be late.
const PACES_LED: u32 = 3;

/// Work for the leader. Every transaction in which it writes begins with
/// [`hold_term`](gateway_core::leader::LeaderRepo::hold_term).
///
/// Archived credentials are the exception: they lie in the state store, which knows no terms, so a former leader
/// may still be forgetting them beside the present one. That is harmless: both forget only what is past its age
/// for ever, and forgetting it twice changes nothing. The same holds for what is given up in the message log.
pub(crate) trait LedJob: Send + 'static {
    /// What the job is called, and what is led.
    const NAME: &'static str;

    /// Returns how much time lies between two steps.
    fn pace(&self) -> Pace;

    /// Does one step in this term.
    fn step(&mut self, term: &LeaderTerm) -> impl Future<Output = Result<Next, JobError>> + Send;
}

/// Does a job while this replica leads it.
#[derive(Debug)]
pub(crate) struct Led<J> {
    store: Arc<dyn PlatformStore>,
    replica: ReplicaId,
    job: J,
    term: Option<LeaderTerm>,
}

impl<J> Led<J> {
    pub(crate) fn new(store: Arc<dyn PlatformStore>, replica: ReplicaId, job: J) -> Self {
        Self {
            store,
            replica,
            job,
            term: None,
        }
    }
}

impl<J: LedJob> Job for Led<J> {
    const NAME: &'static str = J::NAME;

    fn pace(&self) -> Pace {
        self.job.pace()
    }

    fn is_leader(&self) -> Option<bool> {
        Some(self.term.is_some())
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let lease = self.job.pace().longest * PACES_LED;
        // Whether the lead is kept is not known until it is committed.
        self.term = None;
        let mut tx = self.store.begin_platform().await?;
        let term = tx.lead(J::NAME, self.replica, lease).await?;
        tx.commit().await?;
        self.term = term;
        match &self.term {
            Some(term) => self.job.step(term).await,
            None => Ok(Next::AtPace),
        }
    }

    async fn stop(&mut self) -> Result<(), JobError> {
        let Some(term) = self.term.take() else {
            return Ok(());
        };
        let mut tx = self.store.begin_platform().await?;
        tx.resign(&term).await?;
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_testkit::clock::ManualClock;
    use gateway_testkit::memory::MemoryStore;

    use super::*;

    const PACE: Duration = Duration::from_secs(60);

    #[derive(Default)]
    struct Counted(u32);

    impl LedJob for Counted {
        const NAME: &'static str = "count";

        fn pace(&self) -> Pace {
            Pace::of(PACE)
        }

        async fn step(&mut self, _: &LeaderTerm) -> Result<Next, JobError> {
            self.0 += 1;
            Ok(Next::AtPace)
        }
    }

    fn two_replicas() -> (Arc<ManualClock>, [Led<Counted>; 2]) {
        let clock = Arc::new(ManualClock::default());
        let store: Arc<dyn PlatformStore> = Arc::new(MemoryStore::new(clock.clone()));
        let replica = |number| {
            let id = ReplicaId::from_u128(number);
            Led::new(Arc::clone(&store), id, Counted::default())
        };
        (clock, [replica(1), replica(2)])
    }

    #[tokio::test]
    async fn one_replica_does_the_job_until_it_stops() {
        let (_, [mut one, mut two]) = two_replicas();
        for _ in 0..3 {
            one.step().await.expect("a step");
            two.step().await.expect("a step");
        }
        assert_eq!((one.job.0, two.job.0), (3, 0));
        assert_eq!(
            (one.is_leader(), two.is_leader()),
            (Some(true), Some(false))
        );
        one.stop().await.expect("given up");
        two.step().await.expect("a step");
        assert_eq!((two.job.0, two.is_leader()), (1, Some(true)));
    }

    #[tokio::test]
    async fn a_replica_that_falls_silent_is_followed_when_its_lease_is_over() {
        let (clock, [mut one, mut two]) = two_replicas();
        one.step().await.expect("a step");
        clock.advance(PACE * 2);
        two.step().await.expect("a step");
        assert_eq!(two.job.0, 0);
        clock.advance(PACE);
        two.step().await.expect("a step");
        one.step().await.expect("a step");
        assert_eq!((one.job.0, two.job.0), (1, 1));
        assert_eq!(one.is_leader(), Some(false));
    }
}
