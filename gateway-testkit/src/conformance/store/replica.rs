//! The replicas that count as there.

use std::time::Duration;

use gateway_core::change::REPLICA_LIFE;
use gateway_core::id::ReplicaId;

use super::StoreUnderTest;
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "replica":
    replicas_are_those_that_renewed,
    a_replica_that_stops_is_gone_at_once,
    a_replica_that_falls_silent_is_not_counted [MovableClock],
);

const ONE: ReplicaId = ReplicaId::from_u128(1);
const TWO: ReplicaId = ReplicaId::from_u128(2);

async fn renew(s: &StoreUnderTest, id: ReplicaId) -> Verdict {
    let mut tx = s.begin().await?;
    tx.renew_replica(id).await?;
    Ok(tx.commit().await?)
}

async fn count(s: &StoreUnderTest) -> Result<u32, Failure> {
    Ok(s.read().await?.replicas().await?)
}

async fn replicas_are_those_that_renewed(s: &StoreUnderTest) -> Verdict {
    assert_eq!(count(s).await?, 0);
    for id in [ONE, TWO, ONE] {
        renew(s, id).await?;
    }
    assert_eq!(count(s).await?, 2);
    Ok(())
}

async fn a_replica_that_stops_is_gone_at_once(s: &StoreUnderTest) -> Verdict {
    renew(s, ONE).await?;
    renew(s, TWO).await?;
    let mut tx = s.begin().await?;
    tx.remove_replica(ONE).await?;
    tx.commit().await?;
    assert_eq!(count(s).await?, 1);
    Ok(())
}

async fn a_replica_that_falls_silent_is_not_counted(s: &StoreUnderTest) -> Verdict {
    let clock = s.clock.as_ref();
    let clock = clock.ok_or_else(|| Failure::new("the clock cannot be moved"))?;
    renew(s, ONE).await?;
    clock.advance(Duration::from_secs(1));
    renew(s, TWO).await?;
    clock.advance(REPLICA_LIFE - Duration::from_secs(1));
    assert_eq!(count(s).await?, 1);
    clock.advance(Duration::from_secs(2 * 3600));
    renew(s, ONE).await?;
    assert_eq!(count(s).await?, 1);
    Ok(())
}
