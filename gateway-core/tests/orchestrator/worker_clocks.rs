//! Workers whose clocks are wrong: their times count as distances only.

use gateway_core::id::SessionId;
use gateway_core::session::{ChallengeKind, Owner, Status};
use gateway_core::time::{Clock, Timestamp};
use serde_json::json;

use super::block_on;
use super::hand_made::{join, live, say};
use super::world::{TENANT, World, seconds};

/// By how much the worker's clock is off.
#[derive(Clone, Copy, Debug)]
enum Off {
    Behind(u64),
    Ahead(u64),
}

const OFF: [Off; 4] = [
    Off::Behind(120),
    Off::Behind(1_000_000_000),
    Off::Ahead(120),
    Off::Ahead(1_000_000_000),
];

impl Off {
    /// The time that the worker's clock shows in so many seconds.
    fn in_seconds(self, world: &World, count: u64) -> Timestamp {
        let at = world.clock.now().plus(seconds(count));
        match self {
            Self::Behind(by) => at.minus(seconds(by)),
            Self::Ahead(by) => at.plus(seconds(by)),
        }
    }
}

fn started(world: &World) -> (Owner, SessionId) {
    let owner = join(world, 1, 1, 10);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    (owner, session)
}

#[test]
fn a_code_is_shown_as_long_as_it_lives_whatever_the_workers_clock_says() {
    for (off, named) in OFF
        .into_iter()
        .zip(["sentAt", "occurredAt"].into_iter().cycle())
    {
        let world = World::new(9);
        let (owner, session) = started(&world);
        let said = say(
            &world,
            session,
            &json!({
                "status": "QR_REQUIRED", "reportSeq": 1, "qrCode": "2@abc", "qrIndex": 0,
                "qrExpiresAt": off.in_seconds(&world, 60), named: off.in_seconds(&world, 0),
            }),
        );
        let orchestrator = &world.gateway().orchestrator;
        let _ = block_on(orchestrator.report(&owner, &said)).expect("folded");
        live(&world, &owner, 6);
        assert_eq!(world.status(session), Status::QrRequired, "{off:?}");
        let code = block_on(orchestrator.pairing_secret(TENANT, session, ChallengeKind::Qr));
        let left = code.expect("shown").expires_at.since(world.clock.now());
        assert_eq!(left, seconds(54), "{off:?}");
    }
}

#[test]
fn a_restriction_and_a_retry_last_as_long_as_the_worker_means() {
    for off in OFF {
        for (status, field) in [("RESTRICTED", "until"), ("ERROR", "retryAt")] {
            let world = World::new(10);
            let (owner, session) = started(&world);
            let said = say(
                &world,
                session,
                &json!({
                    "status": status, "reportSeq": 1,
                    field: off.in_seconds(&world, 600), "sentAt": off.in_seconds(&world, 0),
                }),
            );
            let orchestrator = &world.gateway().orchestrator;
            let _ = block_on(orchestrator.report(&owner, &said)).expect("folded");
            let retry_at = world.row(session).status().retry_at.expect("tried again");
            assert_eq!(
                retry_at.since(world.clock.now()),
                seconds(600),
                "{off:?} {status}"
            );
        }
    }
}

/// The worker says each time that it was over a second ago.
#[test]
fn a_restriction_that_is_over_does_not_log_in_again_and_again() {
    let world = World::new(11);
    let (owner, session) = started(&world);
    let mut epochs = Vec::new();
    for number in 0..600 {
        let row = world.row(session);
        if row.owner() == Some(&owner) {
            epochs.push(row.epoch);
            let said = say(
                &world,
                session,
                &json!({
                    "status": "RESTRICTED", "reportSeq": number + 1,
                    "until": Off::Behind(1).in_seconds(&world, 0),
                }),
            );
            let orchestrator = &world.gateway().orchestrator;
            let _ = block_on(orchestrator.report(&owner, &said)).expect("folded");
        }
        live(&world, &owner, 2);
    }
    // At 0, 30, 90, 210, 450 and 930 seconds.
    assert_eq!(epochs.len(), 6, "in twenty minutes");
}
