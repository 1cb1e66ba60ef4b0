//! Leases as rows of the store, as the lease authority: death is hard.
//!
//! The clock that counts here is the authority's own; the store's is left alone.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::session::Owner;
use gateway_core::store::Store;
use gateway_core::worker::{
    Death, Evidence, LeaseAuthority, LeasePolicy, Renewal, Renewed, StoreLeases, WorkerReport,
    WorkerStatus,
};

use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::fixture::HandClock;
use crate::conformance::{Failure, Verdict};

orchestration_cases!("lease_authority":
    it_grants_to_the_newest_incarnation_only,
    it_refuses_who_is_fenced_or_disowned,
    silence_is_first_suspicious_and_then_deadly,
    a_renewal_starts_the_wait_afresh,
    what_was_never_looked_at_is_not_dead,
    a_lease_is_waited_for_as_long_as_it_was_granted,
    a_shorter_renewal_ends_no_longer_one_that_runs,
    a_restarted_authority_waits_afresh,
    a_death_by_silence_needs_the_silence_to_last,
    an_old_incarnation_dies_alone,
    two_authorities_fence_once,
);

struct Watch {
    authority: StoreLeases,
    clock: Arc<HandClock>,
}

impl Watch {
    fn over(s: &OrchestrationUnderTest) -> Self {
        Self::granting(s, LeasePolicy::default().lease)
    }

    /// An authority that is configured to grant leases of this length.
    fn granting(s: &OrchestrationUnderTest, lease: Duration) -> Self {
        let clock = Arc::new(HandClock::default());
        let store: Arc<dyn Store> = s.store.clone();
        let policy = LeasePolicy {
            lease,
            ..LeasePolicy::default()
        };
        let authority = StoreLeases::new(store, clock.clone(), policy);
        Self { authority, clock }
    }

    async fn renew(&self, owner: &Owner) -> Result<Renewal, Failure> {
        let report = WorkerReport::default();
        Ok(self.authority.renew(owner, &report).await?)
    }

    /// Lets `seconds` pass. Returns who is silent then, and for whom there is a death.
    async fn after(&self, seconds: u64) -> Result<(Vec<Owner>, Vec<Death>), Failure> {
        self.clock.advance(Duration::from_secs(seconds));
        let silent = self.authority.silent().await?;
        let owners = silent.iter().map(|silent| silent.owner.clone()).collect();
        let deaths = silent
            .into_iter()
            .filter_map(|silent| silent.death)
            .collect();
        Ok((owners, deaths))
    }
}

async fn fence(s: &OrchestrationUnderTest, death: &Death) -> Result<bool, Failure> {
    let mut tx = s.begin().await?;
    let fenced = tx.fence_lease(death).await?;
    tx.commit().await?;
    Ok(fenced)
}

async fn it_grants_to_the_newest_incarnation_only(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    let old = s.worker("w", 1).await?;
    let lease = watch.authority.policy().lease;
    let granted = Renewal::Granted {
        lease,
        renewed: Renewed {
            status: WorkerStatus::Active,
            room: 1,
            holds: vec![],
        },
    };
    assert_eq!(watch.renew(&old).await?, granted);
    let newest = s.restart_worker("w", 2).await?;
    assert_eq!(watch.renew(&old).await?, Renewal::Refused);
    assert_eq!(watch.renew(&newest).await?, granted);
    Ok(())
}

async fn it_refuses_who_is_fenced_or_disowned(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    let (fenced, disowned) = (s.worker("v", 1).await?, s.worker("w", 1).await?);
    assert!(fence(s, &Death::process_gone(fenced.clone())).await?);
    let mut tx = s.begin().await?;
    tx.disown_lease(&disowned).await?;
    tx.commit().await?;
    assert_eq!(watch.renew(&fenced).await?, Renewal::Refused);
    assert_eq!(watch.renew(&disowned).await?, Renewal::Refused);
    // Who is fenced is not looked at any more; who is disowned runs out.
    watch.after(0).await?;
    let (_, deaths) = watch.after(22).await?;
    let dead: Vec<_> = deaths.iter().map(|death| death.owner().clone()).collect();
    assert_eq!(dead, [disowned]);
    Ok(())
}

async fn silence_is_first_suspicious_and_then_deadly(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    let held = s.worker("w", 1).await?;
    assert_eq!(watch.after(0).await?, (vec![], vec![]));
    assert_eq!(watch.after(5).await?, (vec![], vec![]));
    assert_eq!(watch.after(1).await?, (vec![held.clone()], vec![]));
    assert_eq!(
        watch.after(15).await?,
        (vec![held.clone()], vec![]),
        "lease without guard"
    );
    let (_, deaths) = watch.after(1).await?;
    assert_eq!(deaths.len(), 1);
    assert_eq!(deaths[0].owner(), &held);
    assert_eq!(deaths[0].evidence(), Evidence::Silence { renewals: 0 });
    Ok(())
}

async fn a_renewal_starts_the_wait_afresh(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    let held = s.worker("w", 1).await?;
    watch.after(0).await?;
    watch.after(20).await?;
    watch.renew(&held).await?;
    assert_eq!(watch.after(1).await?, (vec![], vec![]));
    assert_eq!(watch.after(21).await?, (vec![held], vec![]));
    assert_eq!(watch.after(1).await?.1.len(), 1);
    Ok(())
}

async fn what_was_never_looked_at_is_not_dead(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    s.worker("w", 1).await?;
    assert_eq!(watch.after(3_600).await?, (vec![], vec![]));
    Ok(())
}

async fn a_lease_is_waited_for_as_long_as_it_was_granted(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let minute = Duration::from_secs(60);
    Watch::granting(s, minute).renew(&held).await?;
    for (own, case) in [(20, "shorter"), (60, "the same"), (3_600, "longer")] {
        let watch = Watch::granting(s, Duration::from_secs(own));
        watch.after(0).await?;
        assert_eq!(watch.after(61).await?.1, [], "its own is {case}");
        assert_eq!(watch.after(1).await?.1.len(), 1, "its own is {case}");
    }
    Ok(())
}

/// The store's clock stands nearly still meanwhile: what the row says is what this very replica has seen.
async fn a_shorter_renewal_ends_no_longer_one_that_runs(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let longer = Watch::granting(s, Duration::from_secs(60));
    let shorter = Watch::granting(s, Duration::from_secs(20));
    longer.renew(&held).await?;
    shorter.after(0).await?;
    shorter.renew(&held).await?;
    shorter.after(0).await?;
    assert_eq!(shorter.after(58).await?.1, []);
    assert_eq!(shorter.after(4).await?.1.len(), 1);
    Ok(())
}

async fn a_restarted_authority_waits_afresh(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    s.worker("w", 1).await?;
    watch.after(0).await?;
    assert_eq!(watch.after(60).await?.1.len(), 1);
    let restarted = Watch::over(s);
    restarted.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(restarted.after(0).await?, (vec![], vec![]));
    assert_eq!(restarted.after(21).await?.1, []);
    assert_eq!(restarted.after(1).await?.1.len(), 1);
    Ok(())
}

async fn a_death_by_silence_needs_the_silence_to_last(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    let held = s.worker("w", 1).await?;
    watch.renew(&held).await?;
    watch.after(0).await?;
    let (_, deaths) = watch.after(30).await?;
    assert_eq!(deaths[0].evidence(), Evidence::Silence { renewals: 1 });
    // It was only slow: another replica renewed it before the fence.
    watch.renew(&held).await?;
    assert!(!fence(s, &deaths[0]).await?);
    assert!(matches!(watch.renew(&held).await?, Renewal::Granted { .. }));
    watch.after(0).await?;
    let (_, deaths) = watch.after(30).await?;
    assert!(fence(s, &deaths[0]).await?);
    assert_eq!(watch.renew(&held).await?, Renewal::Refused);
    Ok(())
}

async fn an_old_incarnation_dies_alone(s: &OrchestrationUnderTest) -> Verdict {
    let watch = Watch::over(s);
    let old = s.worker("w", 1).await?;
    let newest = s.restart_worker("w", 2).await?;
    watch.after(0).await?;
    for _ in 0..6 {
        watch.renew(&newest).await?;
        watch.after(5).await?;
    }
    watch.renew(&newest).await?;
    let (silent, deaths) = watch.after(1).await?;
    assert_eq!(silent, [old]);
    assert!(fence(s, &deaths[0]).await?);
    assert!(matches!(
        watch.renew(&newest).await?,
        Renewal::Granted { .. }
    ));
    assert_eq!(watch.after(1).await?, (vec![], vec![]));
    Ok(())
}

async fn two_authorities_fence_once(s: &OrchestrationUnderTest) -> Verdict {
    let watches = [Watch::over(s), Watch::over(s)];
    s.worker("w", 1).await?;
    let mut fenced = 0;
    let mut deaths = Vec::new();
    for watch in &watches {
        watch.after(0).await?;
        deaths.extend(watch.after(22).await?.1);
    }
    assert_eq!(deaths.len(), 2);
    for death in &deaths {
        fenced += u32::from(fence(s, death).await?);
    }
    assert_eq!(fenced, 1);
    Ok(())
}
