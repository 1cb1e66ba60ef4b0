//! Workers that do not answer: probed, suspected, spared, and trusted again.

use std::time::Duration;

use gateway_core::message::SendError;
use gateway_core::orchestrator::Probe;
use gateway_core::worker::{CommandOutcome, WorkerStatus};

use super::block_on;
use super::world::{World, seconds, worker};

/// Does what a server does about once a second; what the probes have found.
fn probe(world: &World) -> Vec<Probe> {
    let orchestrator = &world.gateways[0].orchestrator;
    let due = orchestrator.review_vitals();
    let found = due.iter().map(|owner| block_on(orchestrator.probe(owner)));
    found.collect::<Result<_, _>>().expect("the store answers")
}

fn status(world: &World) -> WorkerStatus {
    world.worker(1).status
}

#[test]
fn who_misses_a_heartbeat_and_fails_its_probe_is_suspected_until_the_next_heartbeat() {
    let world = World::new(1).with_workers(1..=1, 10);
    world.run(seconds(5));
    assert_eq!(probe(&world), [Probe::Answered]);
    world.fleet.freeze(&worker(1));
    let suspected = Probe::Failed { suspected: true };
    let took = world.run_until(seconds(6), |world| probe(world).contains(&suspected));
    assert!(took < seconds(6), "{took:?}");
    assert_eq!(status(&world), WorkerStatus::Suspect);

    world.fleet.thaw(&worker(1));
    world.run(seconds(3));
    assert_eq!(status(&world), WorkerStatus::Active);
}

#[test]
fn a_failed_probe_alone_suspects_nobody() {
    let world = World::new(2).with_workers(1..=1, 10);
    world.run(seconds(5));
    world.fleet.freeze(&worker(1));
    assert_eq!(probe(&world), [Probe::Failed { suspected: false }]);
    assert_eq!(status(&world), WorkerStatus::Active);
}

#[test]
fn a_run_that_has_ended_is_not_probed() {
    let world = World::new(3).with_workers(1..=1, 10);
    let orchestrator = &world.gateways[0].orchestrator;
    let former = world.worker(1).owner().expect("it has registered");
    world.fleet.restart(&worker(1));
    world.run(seconds(1));
    assert_ne!(world.worker(1).owner().as_ref(), Some(&former));
    assert_eq!(
        block_on(orchestrator.probe(&former)).ok(),
        Some(Probe::Gone)
    );
}

#[test]
fn sends_to_a_worker_whose_commands_fail_end_at_once_and_go_out_again_after_a_trial() {
    let world = World::new(4).with_workers(1..=1, 10);
    let sessions: Vec<_> = (0..6)
        .map(|number| world.connected(&format!("s{number}")))
        .collect();
    let send = |number: usize| {
        let request = world.text(sessions[number], None);
        block_on(world.gateways[0].send(&request))
    };
    world.fleet.change_script(&worker(1), |script| {
        script.faults.silent_every = Some(1);
    });
    for number in 0..5 {
        let outcome = send(number);
        assert!(
            matches!(outcome, Err(SendError::OutcomeUnknown { .. })),
            "{outcome:?}"
        );
    }
    let asked = world.fleet.network().shown_in_all();
    for number in 0..6 {
        let outcome = send(number);
        assert!(
            matches!(outcome, Err(SendError::SessionUnavailable)),
            "{outcome:?}"
        );
    }
    assert_eq!(
        world.fleet.network().shown_in_all(),
        asked,
        "nobody was asked"
    );
    let _ = world.gateways[0].orchestrator.review_vitals();
    let readings = world.gateways[0].orchestrator.vitals().readings();
    assert!(readings.iter().all(|(_, reading)| !reading.breaker_closed));

    world.fleet.change_script(&worker(1), |script| {
        script.faults.silent_every = None;
    });
    world.run(seconds(2));
    assert!(send(0).is_ok() && send(1).is_ok());
}

#[test]
fn a_worker_whose_breaker_is_open_gets_no_session() {
    let world = World::new(5).with_workers(1..=2, 10);
    let vitals = world.gateways[0].orchestrator.vitals();
    let sick = world.worker(1).owner().expect("it has registered");
    for _ in 0..5 {
        vitals.record(&sick, CommandOutcome::Unreachable, Duration::ZERO);
    }
    world.tick_now();
    let sessions: Vec<_> = (0..4)
        .map(|number| world.card(&format!("s{number}")))
        .collect();
    for session in &sessions {
        world.connect(*session);
    }
    world.settle();
    assert!(sessions.iter().all(|session| world.holder(*session) == 2));
}

#[test]
fn a_worker_that_nobody_asked_since_its_breaker_opened_is_placed_on_after_the_pause() {
    let world = World::new(6).with_workers(1..=1, 10);
    let vitals = world.gateways[0].orchestrator.vitals();
    let sick = world.worker(1).owner().expect("it has registered");
    for _ in 0..5 {
        vitals.record(&sick, CommandOutcome::Unreachable, Duration::ZERO);
    }
    world.tick_now();
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    assert_eq!(world.owner(session), None);
    world.run(seconds(40));
    assert_eq!(world.holder(session), 1, "its start is the trial");
}
