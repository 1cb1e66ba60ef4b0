use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::poll_immediate;
use futures_util::stream::StreamExt;
use gateway_core::coord::{Coordinator, Notice, PairingSecret};
use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::ChallengeKind;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::fixture::START;
use gateway_testkit::memory::MemoryCoordinator;

const SESSION: SessionId = SessionId::from_u128(1);
const MINUTE: Duration = Duration::from_secs(60);

fn a_coordinator() -> (Arc<ManualClock>, MemoryCoordinator) {
    let clock = Arc::new(ManualClock::default());
    let coordinator = MemoryCoordinator::new(clock.clone());
    (clock, coordinator)
}

fn code(epoch: u64, index: u32) -> PairingSecret {
    PairingSecret {
        epoch: Epoch(epoch),
        kind: ChallengeKind::Qr,
        index,
        text: format!("code {epoch}.{index}"),
        expires_at: START,
    }
}

#[test]
fn an_older_code_never_replaces_a_newer_one_and_all_run_out() {
    block_on(async {
        let (clock, coordinator) = a_coordinator();
        for (epoch, index) in [(2, 1), (2, 0), (1, 5)] {
            let secret = code(epoch, index);
            coordinator
                .put_secret(SESSION, &secret, MINUTE)
                .await
                .expect("on");
        }
        let known = coordinator
            .secret(SESSION, ChallengeKind::Qr)
            .await
            .expect("on");
        assert_eq!(known, Some(code(2, 1)));
        clock.advance(MINUTE);
        let known = coordinator
            .secret(SESSION, ChallengeKind::Qr)
            .await
            .expect("on");
        assert_eq!(known, None);
    });
}

#[test]
fn a_window_begins_at_the_first_count() {
    block_on(async {
        let (clock, coordinator) = a_coordinator();
        coordinator.count("login", MINUTE).await.expect("on");
        clock.advance(MINUTE / 2);
        let second = coordinator.count("login", MINUTE).await.expect("on");
        assert_eq!((second.count, second.resets_in), (2, MINUTE / 2));
        clock.advance(MINUTE / 2);
        assert_eq!(coordinator.counted("login").await.expect("on"), None);
    });
}

#[test]
fn hints_reach_every_subscriber_and_end_with_the_coordinator() {
    block_on(async {
        let (_, coordinator) = a_coordinator();
        let mut first = coordinator.notices().await.expect("on");
        let mut second = coordinator.notices().await.expect("on");
        assert!(poll_immediate(first.next()).await.is_none(), "nothing yet");
        coordinator.notify(&Notice::Due).await.expect("on");
        assert_eq!(first.next().await, Some(Notice::Due));
        drop(coordinator);
        assert_eq!(second.next().await, Some(Notice::Due));
        assert_eq!(second.next().await, None);
    });
}

#[test]
fn a_coordinator_that_is_switched_off_ends_its_streams() {
    block_on(async {
        let (_, coordinator) = a_coordinator();
        let mut hints = coordinator.notices().await.expect("on");
        coordinator.set_available(false);
        assert_eq!(hints.next().await, None);
        assert!(coordinator.count("login", MINUTE).await.is_err());
        coordinator.set_available(true);
        assert!(coordinator.notices().await.is_ok());
    });
}
