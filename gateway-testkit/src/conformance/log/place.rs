//! Places: taken before anybody is asked to do anything, given back when dropped.

use gateway_core::message::Fact;

use super::{LogUnderTest, a_send};
use crate::conformance::fixture::{message_id, poll_once, tenant_id};
use crate::conformance::{Verdict, cases};

cases!(LogUnderTest, "message_log::place":
    a_full_log_refuses_at_once,
    a_dropped_place_is_free_again,
    a_recorded_fact_gives_its_place_back,
    a_caller_who_hangs_up_does_not_take_the_fact_back,
);

async fn a_full_log_refuses_at_once(l: &LogUnderTest) -> Verdict {
    let mut held = Vec::new();
    for _ in 0..l.places {
        held.push(l.log.reserve()?);
    }
    assert!(l.log.reserve().is_err());
    Ok(())
}

async fn a_dropped_place_is_free_again(l: &LogUnderTest) -> Verdict {
    let mut held = Vec::new();
    for _ in 0..l.places {
        held.push(l.log.reserve()?);
    }
    held.pop();
    let again = l.log.reserve()?;
    assert!(l.log.reserve().is_err());
    drop((held, again));
    for _ in 0..l.places {
        drop(l.log.reserve()?);
    }
    Ok(())
}

async fn a_recorded_fact_gives_its_place_back(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let mut held = Vec::new();
    for _ in 1..l.places {
        held.push(l.log.reserve()?);
    }
    for n in 1..=3 {
        l.record(Fact::Outgoing(a_send(n))).await?;
    }
    Ok(())
}

async fn a_caller_who_hangs_up_does_not_take_the_fact_back(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let place = l.log.reserve()?;
    poll_once(l.log.record(place, Fact::Outgoing(a_send(1)))).await;
    // What is recorded later flushes it at the latest.
    l.record(Fact::Outgoing(a_send(2))).await?;
    while l.log.find(tenant_id(1), message_id(1)).await?.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(l.check_chains().await?, 2);
    Ok(())
}
