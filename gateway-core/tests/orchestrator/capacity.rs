//! Room: none, some again, and never more than there is.

use std::future::Future;
use std::task::{Context, Waker};

use gateway_core::id::SessionId;
use gateway_core::orchestrator::CardPatch;
use gateway_core::session::{Command, Effect, Phase, Reason, Status};
use gateway_testkit::worker::Script;

use super::world::{TENANT, World, seconds};
use super::{Task, all_at_once};

#[test]
fn without_a_worker_a_session_waits_and_is_placed_at_once_when_one_registers() {
    let world = World::new(1);
    let session = world.card("sales");
    world.connect(session);
    world.settle();
    let view = world.row(session).status();
    assert_eq!(
        (view.status, view.reason),
        (Status::Connecting, Some(Reason::NoCapacity))
    );
    assert!(view.retry_at.is_some());

    world.run(seconds(7));
    let before = world.clock_now();
    world.add_worker(1, 10, Script::default());
    world.settle();
    world.tick_now();
    world.settle();
    assert_eq!(world.clock_now(), before, "no time has passed");
    assert_eq!(world.holder(session), 1);
}

#[test]
fn room_that_becomes_free_goes_to_whoever_waits() {
    let world = World::new(2).with_workers(1..=1, 1);
    let first = world.connected("first");
    let second = world.card("second");
    world.connect(second);
    world.settle();
    assert_eq!(world.owner(second), None);
    world.ask(first, gateway_core::session::Command::Disconnect);
    world.settle();
    world.tick_now();
    world.settle();
    assert_eq!(world.holder(second), 1);
    world.assert_counted(1..=1, &[first, second]);
}

#[test]
fn room_is_seen_at_once_although_no_worker_has_changed_for_minutes() {
    let world = World::new(2).with_workers(1..=1, 1);
    let first = world.connected("first");
    world.run(seconds(180));
    let second = world.card("second");
    world.connect(second);
    world.settle();
    assert_eq!(world.owner(second), None);
    world.ask(first, gateway_core::session::Command::Disconnect);
    world.settle();
    // What is due is claimed before anybody looks at the fleet again.
    world.claim_now();
    world.settle();
    assert_eq!(world.holder(second), 1);
}

/// An embedder gives a placement up, as a time limit does, and performs it again later.
#[test]
fn a_placement_that_is_given_up_takes_no_place_for_ever() {
    let world = World::interleaved(11, 1).with_workers(1..=1, 3);
    let session = world.card("sales");
    world.connect(session);
    let effects = world.gateways[0].local.take_effects();
    assert_eq!(effects, [Effect::Place(session)]);
    for polls in 0..60 {
        let orchestrator = &world.gateways[0].orchestrator;
        let mut placing = Box::pin(orchestrator.perform(Effect::Place(session)));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls % 20 {
            if placing.as_mut().poll(&mut context).is_ready() {
                break;
            }
        }
        drop(placing);
        if world.owner(session).is_some() {
            break;
        }
    }
    let others = ["a", "b"].map(|name| world.card(name));
    for other in others {
        world.connect(other);
    }
    world.run(seconds(120));
    let sessions = [session, others[0], others[1]];
    let waiting = sessions.map(|session| world.row(session).phase == Phase::Waiting);
    assert_eq!(waiting, [false; 3], "there are three places for them");
    world.assert_counted(1..=1, &sessions);
}

#[test]
fn no_worker_ever_gets_more_than_it_takes() {
    let world = World::new(3).with_workers(1..=3, 4);
    let sessions: Vec<_> = (0..15)
        .map(|number| world.card(&format!("s{number}")))
        .collect();
    for session in &sessions {
        world.connect(*session);
    }
    world.settle();
    world.assert_counted(1..=3, &sessions);
    let placed = sessions
        .iter()
        .filter(|session| world.owner(**session).is_some());
    assert_eq!(placed.count(), 12, "every place is used");
    world.add_worker(4, 4, Script::default());
    world.run(seconds(3));
    let placed = sessions
        .iter()
        .filter(|session| world.owner(**session).is_some());
    assert_eq!(placed.count(), 15);
    world.assert_counted(1..=4, &sessions);
}

/// Disconnects a session through the second replica and performs all that follows.
async fn free(world: &World, session: SessionId) {
    let orchestrator = &world.gateways[1].orchestrator;
    let done = orchestrator.command(TENANT, session, Command::Disconnect);
    let mut left = done.await.expect("taken").effects;
    while let Some(effect) = left.pop() {
        left.extend(orchestrator.perform(effect).await.unwrap_or_default());
    }
}

/// Lets `meanwhile` happen beside the end of a session that holds the only place, in many orders, and counts those
/// after which `waiting` sleeps beside the free place.
fn missed(meanwhile: fn(&World, SessionId, Vec<Effect>) -> Task<'_, ()>) -> usize {
    let mut missed = 0;
    for seed in 0..300 {
        let world = World::interleaved(seed, 2).with_workers(1..=1, 1);
        let (first, second) = (world.connected("first"), world.card("second"));
        world.connect(second);
        let gateways = world.gateways.iter();
        let effects = gateways.flat_map(|gateway| gateway.local.take_effects());
        let effects: Vec<Effect> = effects.collect();
        let beside = meanwhile(&world, second, effects);
        all_at_once(vec![beside, Box::pin(free(&world, first))]);
        world.run(seconds(6));
        let is_waiting = matches!(world.row(second).phase, Phase::Waiting);
        let worker = world.worker(1);
        missed += usize::from(is_waiting && worker.assigned < worker.max_sessions);
    }
    missed
}

fn performing(world: &World, _: SessionId, effects: Vec<Effect>) -> Task<'_, ()> {
    let orchestrator = &world.gateways[0].orchestrator;
    Box::pin(async move {
        for effect in effects {
            let _ = orchestrator.perform(effect).await;
        }
    })
}

#[test]
fn room_that_becomes_free_while_a_session_is_being_placed_is_not_missed() {
    assert_eq!(missed(performing), 0);
}

fn changing(world: &World, id: SessionId, effects: Vec<Effect>) -> Task<'_, ()> {
    Box::pin(async move {
        performing(world, id, effects).await;
        let patch = CardPatch {
            description: Some(Some("changed".to_owned())),
            ..CardPatch::default()
        };
        let orchestrator = &world.gateways[0].orchestrator;
        let changed = orchestrator.update(TENANT, id, &patch).await;
        assert_eq!(changed.expect("changed").id, id);
    })
}

#[test]
fn a_session_that_is_changed_while_it_is_woken_does_not_sleep_on() {
    assert_eq!(missed(changing), 0);
}
