//! Several replicas over one store: they race, and nothing is done twice or lost.

use gateway_core::orchestrator::Tick;
use gateway_core::session::{Command, Effect, Status};
use gateway_core::store::StoreError;
use gateway_core::worker::WorkerStatus;

use super::world::{World, seconds, worker};
use super::{Task, all_at_once};

#[test]
fn placements_race_and_never_overfill() {
    for seed in 0..40 {
        let world = World::interleaved(seed, 3).with_workers(1..=2, 3);
        let sessions: Vec<_> = (0..8)
            .map(|number| world.card(&format!("s{number}")))
            .collect();
        for session in &sessions {
            world.connect(*session);
        }
        // Every replica performs every placement, all at once.
        let mut tasks: Vec<Task<'_, _>> = Vec::new();
        for gateway in &world.gateways {
            gateway.local.take_effects();
            for session in &sessions {
                tasks.push(Box::pin(
                    gateway.orchestrator.perform(Effect::Place(*session)),
                ));
            }
        }
        for done in all_at_once(tasks) {
            // Whoever met others too often gives up; the row falls due again.
            world.gateway().local.carry_out(done.unwrap_or_default());
        }
        world.assert_counted(1..=2, &sessions);
        for session in &sessions {
            assert!(world.row(*session).epoch.0 <= 1, "placed once");
        }
        world.run(seconds(5));
        world.assert_counted(1..=2, &sessions);
        let placed = sessions
            .iter()
            .filter(|session| world.owner(**session).is_some());
        assert_eq!(
            placed.count(),
            6,
            "seed {seed}: every place is used in the end"
        );
        world.assert_safe();
    }
}

#[test]
fn ticks_share_what_is_due() {
    let world = World::interleaved(3, 4);
    let sessions: Vec<_> = (0..10)
        .map(|number| world.card(&format!("s{number}")))
        .collect();
    for session in &sessions {
        world.connect(*session);
    }
    for gateway in &world.gateways {
        gateway.local.take_effects();
    }
    let ticks: Vec<Task<'_, Result<Tick, StoreError>>> = world
        .gateways
        .iter()
        .map(|gateway| Box::pin(gateway.orchestrator.tick()) as Task<'_, _>)
        .collect();
    let ticks: Vec<_> = all_at_once(ticks)
        .into_iter()
        .map(|tick| tick.expect("a tick"))
        .collect();
    let claimed: usize = ticks.iter().map(|tick| tick.claimed).sum();
    assert_eq!(
        claimed,
        sessions.len(),
        "each row is claimed by one of them"
    );
    let mut placed: Vec<_> = ticks.into_iter().flat_map(|tick| tick.effects).collect();
    placed.sort_by_key(|effect| format!("{effect:?}"));
    placed.dedup();
    assert_eq!(placed.len(), sessions.len());
}

#[test]
fn commands_race_and_end_in_one_of_them() {
    for seed in 0..40 {
        let world = World::interleaved(seed, 2).with_workers(1..=2, 3);
        let session = world.connected("sales");
        let commands = [
            Command::Restart,
            Command::Disconnect,
            Command::Logout,
            Command::Restart,
        ];
        let tasks: Vec<Task<'_, bool>> = commands
            .into_iter()
            .map(|command| {
                let tenant = super::world::TENANT;
                let gateway = world.gateway();
                let asked = gateway.orchestrator.command(tenant, session, command);
                Box::pin(async move { asked.await.map(|done| gateway.keep(done)).is_ok() })
                    as Task<'_, _>
            })
            .collect();
        let taken = all_at_once(tasks).iter().filter(|taken| **taken).count();
        assert!(taken > 0);
        world.run(seconds(20));
        assert_eq!(
            world.status(session),
            Status::Disconnected,
            "logged out for good"
        );
        assert!(!world.row(session).paired);
        world.assert_counted(1..=2, &[session]);
        world.assert_safe();
    }
}

#[test]
fn every_replica_may_fence_and_one_does() {
    for seed in 0..10 {
        let world = World::interleaved(seed, 3).with_workers(1..=2, 5);
        let sessions: Vec<_> = (0..4)
            .map(|number| world.connected(&format!("s{number}")))
            .collect();
        world.fleet.crash(&worker(1));
        world.run(seconds(40));
        assert_eq!(world.worker(1).status, WorkerStatus::Offline);
        for session in &sessions {
            assert_eq!(world.status(*session), Status::Connected);
            assert_eq!(world.holder(*session), 2);
            assert!(world.row(*session).epoch.0 <= 2, "moved once at most");
        }
        world.assert_counted(1..=2, &sessions);
        world.assert_safe();
    }
}

#[test]
fn replicas_that_die_at_any_moment_leave_nothing_stuck() {
    for seed in 0..20 {
        let mut world = World::with_replicas(seed, 2).with_workers(1..=2, 5);
        let session = world.card("sales");
        world.connect(session);
        for step in 0..6 {
            world.run(std::time::Duration::from_millis(37 * (seed + step)));
            world.restart_gateways();
        }
        world.run_until(seconds(60), |world| {
            world.status(session) == Status::QrRequired
        });
        world.fleet.scan(session);
        world.run_until(seconds(60), |world| {
            world.status(session) == Status::Connected
        });
        world.assert_counted(1..=2, &[session]);
        world.assert_safe();
    }
}
