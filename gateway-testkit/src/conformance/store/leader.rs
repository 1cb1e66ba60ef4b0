//! One replica leads a job at a time, and nobody writes in a term that is over.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::ReplicaId;
use gateway_core::leader::LeaderTerm;
use gateway_core::store::StoreError;

use super::StoreUnderTest;
use super::change::later;
use crate::conformance::fixture::{CROWD, at_once};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "leader":
    one_replica_leads_at_a_time,
    one_of_many_concurrent_replicas_leads,
    a_lead_that_is_over_is_taken_in_a_new_term,
    a_lead_that_is_kept_stays_in_its_term,
    a_lead_that_is_resigned_is_free_at_once,
    a_term_that_is_over_holds_nothing,
    a_term_that_is_held_is_not_taken_before_the_transaction_ends,
    jobs_are_led_apart,
);

const JOB: &str = "sweep";
const LONG: Duration = Duration::from_secs(3_600);

fn replica(number: u128) -> ReplicaId {
    ReplicaId::from_u128(number)
}

impl StoreUnderTest {
    async fn lead(
        &self,
        job: &str,
        number: u128,
        lease: Duration,
    ) -> Result<Option<LeaderTerm>, StoreError> {
        let mut tx = self.begin().await?;
        let term = tx.lead(job, replica(number), lease).await?;
        tx.commit().await?;
        Ok(term)
    }

    async fn leads(&self, number: u128, lease: Duration) -> Result<LeaderTerm, Failure> {
        let term = self.lead(JOB, number, lease).await?;
        Ok(term.expect("the lead is free"))
    }
}

async fn one_replica_leads_at_a_time(s: &StoreUnderTest) -> Verdict {
    let term = s.leads(1, LONG).await?;
    assert_eq!((term.job.as_str(), term.holder), (JOB, replica(1)));
    assert_eq!(s.lead(JOB, 2, LONG).await?, None);
    let mut tx = s.begin().await?;
    assert!(tx.hold_term(&term).await?);
    Ok(())
}

async fn one_of_many_concurrent_replicas_leads(s: &StoreUnderTest) -> Verdict {
    let results = at_once(CROWD, |number| {
        let store = Arc::clone(&s.store);
        async move {
            let mut tx = store.begin_platform().await?;
            let term = tx.lead(JOB, replica(number as u128), LONG).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(term)
        }
    })
    .await;
    let mut leaders = 0;
    for result in results {
        leaders += usize::from(result?.is_some());
    }
    assert_eq!(leaders, 1);
    Ok(())
}

async fn a_lead_that_is_over_is_taken_in_a_new_term(s: &StoreUnderTest) -> Verdict {
    let first = s.leads(1, Duration::ZERO).await?;
    later(s).await?;
    let second = s.leads(2, LONG).await?;
    assert_eq!(second.number, first.number + 1);
    Ok(())
}

async fn a_lead_that_is_kept_stays_in_its_term(s: &StoreUnderTest) -> Verdict {
    let first = s.leads(1, Duration::ZERO).await?;
    later(s).await?;
    let kept = s.leads(1, LONG).await?;
    assert_eq!(kept, first);
    assert_eq!(s.lead(JOB, 2, LONG).await?, None, "it was renewed");
    Ok(())
}

async fn a_lead_that_is_resigned_is_free_at_once(s: &StoreUnderTest) -> Verdict {
    let first = s.leads(1, LONG).await?;
    let mut tx = s.begin().await?;
    tx.resign(&first).await?;
    tx.commit().await?;
    later(s).await?;
    let second = s.leads(2, LONG).await?;
    assert_eq!(second.number, first.number + 1);
    // Whoever is not the leader any more has nothing to resign.
    let mut tx = s.begin().await?;
    tx.resign(&first).await?;
    tx.commit().await?;
    assert_eq!(s.lead(JOB, 3, LONG).await?, None);
    Ok(())
}

async fn a_term_that_is_over_holds_nothing(s: &StoreUnderTest) -> Verdict {
    let first = s.leads(1, Duration::ZERO).await?;
    later(s).await?;
    let second = s.leads(2, LONG).await?;
    let mut tx = s.begin().await?;
    assert!(!tx.hold_term(&first).await?);
    assert!(tx.hold_term(&second).await?);
    let forged = LeaderTerm {
        number: second.number,
        ..first
    };
    assert!(!tx.hold_term(&forged).await?, "it is another holder's");
    Ok(())
}

async fn a_term_that_is_held_is_not_taken_before_the_transaction_ends(
    s: &StoreUnderTest,
) -> Verdict {
    let first = s.leads(1, Duration::ZERO).await?;
    later(s).await?;
    let mut writing = s.begin().await?;
    assert!(writing.hold_term(&first).await?);
    let store = Arc::clone(&s.store);
    let taking = async move {
        let mut tx = store.begin_platform().await?;
        let term = tx.lead(JOB, replica(2), LONG).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(term)
    };
    let writing = async move {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // Nobody has begun a later term meanwhile.
        let held = writing.hold_term(&first).await?;
        writing.commit().await?;
        Ok::<_, StoreError>(held)
    };
    let taking = tokio::spawn(taking);
    assert!(writing.await?);
    let taken = taking.await?;
    let taken = taken?.expect("the lease was over");
    assert_eq!(taken.number, 2);
    Ok(())
}

async fn jobs_are_led_apart(s: &StoreUnderTest) -> Verdict {
    s.leads(1, LONG).await?;
    let other = s.lead("another", 2, LONG).await?;
    assert_eq!(other.map(|term| term.holder), Some(replica(2)));
    Ok(())
}
