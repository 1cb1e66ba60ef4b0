//! What every coordinator promises: codes that run out, counters with a window, numbers of every
//! replica, hints to everybody.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::{
    CoordError, Coordinator, Notice, Notices, PairingSecret, ReplicaNumbers,
};
use gateway_core::id::Epoch;
use gateway_core::session::ChallengeKind;
use gateway_core::time::Timestamp;

use super::fixture::{CROWD, at_once, session_id, tenant_id, worker_id};
use super::{Advance, Suite, Verdict, cases};

cases!(CoordinatorUnderTest, "coordinator":
    a_code_is_kept_by_session_and_kind,
    a_former_owners_code_never_replaces_a_newer_one,
    an_earlier_code_never_replaces_a_later_one,
    of_concurrent_codes_the_latest_stays,
    dropped_codes_are_gone,
    a_code_runs_out [MovableClock],
    a_newer_code_runs_out_in_its_own_time [MovableClock],
    a_counter_counts_what_all_add,
    concurrent_counts_are_all_counted,
    looking_at_a_counter_adds_nothing,
    a_counter_that_is_reset_begins_again,
    a_counters_window_is_not_extended [MovableClock],
    every_replicas_numbers_are_seen_by_all,
    a_silent_replica_is_not_listed_any_more [MovableClock],
    a_notice_reaches_every_subscriber,
);

/// All cases for a coordinator.
pub const COORDINATOR: Suite<CoordinatorUnderTest> = &[CASES];

/// A fresh coordinator and what moves its clock.
#[derive(Debug)]
pub struct CoordinatorUnderTest {
    pub coordinator: Arc<dyn Coordinator>,
    /// Another replica's view of it; where there can be none, the same one again.
    pub other: Arc<dyn Coordinator>,
    /// Moves its clock, where that can be done.
    pub clock: Option<Arc<dyn Advance>>,
    /// What must live as long as these.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl CoordinatorUnderTest {
    fn pass(&self, by: Duration) {
        if let Some(clock) = &self.clock {
            clock.advance(by);
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const QR: ChallengeKind = ChallengeKind::Qr;

fn a_code(epoch: u64, index: u32) -> PairingSecret {
    PairingSecret {
        epoch: Epoch(epoch),
        kind: QR,
        index,
        text: format!("2@{epoch}/{index},ü=="),
        expires_at: Timestamp::from_micros(1_700_000_000_123_000),
    }
}

async fn a_code_is_kept_by_session_and_kind(c: &CoordinatorUnderTest) -> Verdict {
    let pairing = PairingSecret {
        kind: ChallengeKind::PairingCode,
        ..a_code(2, 0)
    };
    let (one, two) = (session_id(1), session_id(2));
    c.coordinator.put_secret(one, &a_code(1, 0), MINUTE).await?;
    c.coordinator.put_secret(one, &pairing, MINUTE).await?;
    c.other.put_secret(two, &a_code(5, 5), MINUTE).await?;
    assert_eq!(c.other.secret(one, QR).await?, Some(a_code(1, 0)));
    assert_eq!(c.other.secret(one, pairing.kind).await?, Some(pairing));
    assert_eq!(c.coordinator.secret(two, QR).await?, Some(a_code(5, 5)));
    assert_eq!(
        c.coordinator.secret(one, ChallengeKind::Passkey).await?,
        None
    );
    assert_eq!(c.coordinator.secret(session_id(3), QR).await?, None);
    Ok(())
}

async fn a_former_owners_code_never_replaces_a_newer_one(c: &CoordinatorUnderTest) -> Verdict {
    let session = session_id(1);
    c.coordinator
        .put_secret(session, &a_code(2, 0), MINUTE)
        .await?;
    c.other.put_secret(session, &a_code(1, 9), MINUTE).await?;
    assert_eq!(c.coordinator.secret(session, QR).await?, Some(a_code(2, 0)));
    // A new owner begins with the first code again.
    c.other.put_secret(session, &a_code(10, 0), MINUTE).await?;
    assert_eq!(
        c.coordinator.secret(session, QR).await?,
        Some(a_code(10, 0))
    );
    c.other.put_secret(session, &a_code(9, 0), MINUTE).await?;
    assert_eq!(
        c.coordinator.secret(session, QR).await?,
        Some(a_code(10, 0))
    );
    Ok(())
}

async fn an_earlier_code_never_replaces_a_later_one(c: &CoordinatorUnderTest) -> Verdict {
    let session = session_id(1);
    for (index, expected) in [(0, 0), (2, 2), (1, 2), (10, 10), (9, 10), (11, 11)] {
        c.coordinator
            .put_secret(session, &a_code(1, index), MINUTE)
            .await?;
        assert_eq!(
            c.other.secret(session, QR).await?,
            Some(a_code(1, expected))
        );
    }
    Ok(())
}

async fn of_concurrent_codes_the_latest_stays(c: &CoordinatorUnderTest) -> Verdict {
    let results = at_once(CROWD, |index| {
        let coordinator = Arc::clone(if index % 2 == 0 {
            &c.coordinator
        } else {
            &c.other
        });
        let code = a_code(1 + (index % 3) as u64, index as u32);
        async move { coordinator.put_secret(session_id(1), &code, MINUTE).await }
    })
    .await;
    for result in results {
        result?;
    }
    let newest = CROWD - 1 - (CROWD - 1 - 2) % 3;
    let kept = c.coordinator.secret(session_id(1), QR).await?;
    assert_eq!(kept, Some(a_code(3, newest as u32)));
    Ok(())
}

async fn dropped_codes_are_gone(c: &CoordinatorUnderTest) -> Verdict {
    let (one, two) = (session_id(1), session_id(2));
    let pairing = PairingSecret {
        kind: ChallengeKind::PairingCode,
        ..a_code(9, 9)
    };
    for code in [&a_code(9, 9), &pairing] {
        c.coordinator.put_secret(one, code, MINUTE).await?;
    }
    c.coordinator.put_secret(two, &a_code(9, 9), MINUTE).await?;
    c.other.drop_secrets(one).await?;
    c.other.drop_secrets(one).await?;
    assert_eq!(c.coordinator.secret(one, QR).await?, None);
    assert_eq!(c.coordinator.secret(one, pairing.kind).await?, None);
    assert_eq!(c.coordinator.secret(two, QR).await?, Some(a_code(9, 9)));
    Ok(())
}

async fn a_code_runs_out(c: &CoordinatorUnderTest) -> Verdict {
    let session = session_id(1);
    c.coordinator
        .put_secret(session, &a_code(3, 3), MINUTE)
        .await?;
    c.pass(MINUTE - Duration::from_secs(1));
    assert_eq!(c.coordinator.secret(session, QR).await?, Some(a_code(3, 3)));
    c.pass(Duration::from_secs(2));
    assert_eq!(c.coordinator.secret(session, QR).await?, None);
    Ok(())
}

async fn a_newer_code_runs_out_in_its_own_time(c: &CoordinatorUnderTest) -> Verdict {
    let session = session_id(1);
    c.coordinator
        .put_secret(session, &a_code(1, 0), MINUTE)
        .await?;
    c.pass(MINUTE / 2);
    c.coordinator
        .put_secret(session, &a_code(1, 1), MINUTE)
        .await?;
    // An earlier one that comes late does not extend it.
    c.coordinator
        .put_secret(session, &a_code(1, 0), 9 * MINUTE)
        .await?;
    c.pass(MINUTE - Duration::from_secs(1));
    assert_eq!(c.coordinator.secret(session, QR).await?, Some(a_code(1, 1)));
    c.pass(Duration::from_secs(2));
    assert_eq!(c.coordinator.secret(session, QR).await?, None);
    Ok(())
}

async fn a_counter_counts_what_all_add(c: &CoordinatorUnderTest) -> Verdict {
    for count in 1..=4 {
        let coordinator = if count % 2 == 0 {
            &c.coordinator
        } else {
            &c.other
        };
        let counted = coordinator.count("login:ü", MINUTE).await?;
        assert_eq!(counted.count, count);
        assert!(!counted.resets_in.is_zero() && counted.resets_in <= MINUTE);
    }
    assert_eq!(c.coordinator.count("login:other", MINUTE).await?.count, 1);
    Ok(())
}

async fn concurrent_counts_are_all_counted(c: &CoordinatorUnderTest) -> Verdict {
    let results = at_once(CROWD, |index| {
        let coordinator = Arc::clone(if index % 2 == 0 {
            &c.coordinator
        } else {
            &c.other
        });
        async move {
            coordinator
                .count("key", MINUTE)
                .await
                .map(|counted| counted.count)
        }
    })
    .await;
    let mut counts: Vec<u64> = results.into_iter().collect::<Result<_, CoordError>>()?;
    counts.sort_unstable();
    let expected: Vec<u64> = (1..=CROWD as u64).collect();
    assert_eq!(counts, expected, "each count is given once");
    Ok(())
}

async fn looking_at_a_counter_adds_nothing(c: &CoordinatorUnderTest) -> Verdict {
    assert_eq!(c.coordinator.counted("key").await?, None);
    c.coordinator.count("key", MINUTE).await?;
    for _ in 0..2 {
        let counted = c.other.counted("key").await?;
        assert_eq!(counted.map(|counted| counted.count), Some(1));
    }
    Ok(())
}

async fn a_counter_that_is_reset_begins_again(c: &CoordinatorUnderTest) -> Verdict {
    for key in ["key", "key", "other"] {
        c.coordinator.count(key, MINUTE).await?;
    }
    c.other.reset_counter("key").await?;
    c.other.reset_counter("key").await?;
    assert_eq!(c.coordinator.counted("key").await?, None);
    assert_eq!(c.coordinator.count("key", MINUTE).await?.count, 1);
    assert_eq!(c.coordinator.count("other", MINUTE).await?.count, 2);
    Ok(())
}

async fn a_counters_window_is_not_extended(c: &CoordinatorUnderTest) -> Verdict {
    c.coordinator.count("key", MINUTE).await?;
    c.pass(MINUTE / 2);
    let counted = c.coordinator.count("key", 9 * MINUTE).await?;
    assert_eq!(counted.count, 2);
    assert!(counted.resets_in <= MINUTE / 2);
    c.pass(MINUTE / 2 + Duration::from_secs(1));
    assert_eq!(c.coordinator.counted("key").await?, None);
    assert_eq!(c.coordinator.count("key", MINUTE).await?.count, 1);
    Ok(())
}

fn numbers_of(replica: &str, requests: u64) -> ReplicaNumbers {
    let numbers = [("requests", requests), ("zero", 0), ("most", u64::MAX)];
    ReplicaNumbers {
        replica: replica.to_owned(),
        numbers: numbers.map(|(name, n)| (name.to_owned(), n)).into(),
    }
}

async fn every_replicas_numbers_are_seen_by_all(c: &CoordinatorUnderTest) -> Verdict {
    assert_eq!(c.coordinator.replica_numbers().await?, []);
    let (a, b) = (numbers_of("a", 1), numbers_of("b", 2));
    c.other.publish_numbers(&b, MINUTE).await?;
    c.coordinator.publish_numbers(&a, MINUTE).await?;
    assert_eq!(c.coordinator.replica_numbers().await?, [a, b.clone()]);
    let later = numbers_of("a", 0);
    c.coordinator.publish_numbers(&later, MINUTE).await?;
    assert_eq!(c.other.replica_numbers().await?, [later, b]);
    Ok(())
}

async fn a_silent_replica_is_not_listed_any_more(c: &CoordinatorUnderTest) -> Verdict {
    let (a, b) = (numbers_of("a", 1), numbers_of("b", 2));
    c.coordinator.publish_numbers(&a, MINUTE).await?;
    c.coordinator.publish_numbers(&b, 2 * MINUTE).await?;
    c.pass(MINUTE + Duration::from_secs(1));
    assert_eq!(c.coordinator.replica_numbers().await?, [b]);
    c.coordinator.publish_numbers(&a, MINUTE).await?;
    assert_eq!(c.coordinator.replica_numbers().await?.len(), 2);
    Ok(())
}

async fn next(notices: &mut Notices) -> Option<Notice> {
    std::future::poll_fn(|context| notices.as_mut().poll_next(context)).await
}

async fn a_notice_reaches_every_subscriber(c: &CoordinatorUnderTest) -> Verdict {
    let mut subscribers = [
        c.coordinator.notices().await?,
        c.coordinator.notices().await?,
        c.other.notices().await?,
    ];
    let notices = [
        Notice::Session {
            session: session_id(1),
        },
        Notice::Worker {
            worker: worker_id("alpha"),
        },
        Notice::Due,
        Notice::Outbox,
        Notice::Published,
        Notice::Tenant {
            tenant: tenant_id(1),
        },
    ];
    for notice in &notices {
        c.other.notify(notice).await?;
    }
    for subscriber in &mut subscribers {
        for notice in &notices {
            assert_eq!(next(subscriber).await.as_ref(), Some(notice));
        }
    }
    // Who is gone is in nobody's way, and who comes later hears what comes later.
    drop(subscribers);
    let mut late = c.coordinator.notices().await?;
    c.coordinator.notify(&Notice::Due).await?;
    assert_eq!(next(&mut late).await, Some(Notice::Due));
    Ok(())
}
