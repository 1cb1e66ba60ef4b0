//! A worker that nobody simulates: it joins, renews and reports as the test says, and no order reaches it.

use gateway_core::id::SessionId;
use gateway_core::identity::Origin;
use gateway_core::orchestrator::{BeatError, Join};
use gateway_core::protocol::{Beat, BeatAnswer, HeldSession, SessionReport};
use gateway_core::session::Owner;
use serde_json::Value;

use super::block_on;
use super::membership::registration;
use super::world::{World, seconds};

/// Run `run` of worker `number` registers, with room for so many sessions.
pub(crate) fn join(world: &World, number: u32, run: u32, room: u32) -> Owner {
    let mut registration = registration(number, run);
    registration.max_sessions = room;
    let gateway = world.gateway();
    let (orchestrator, origin) = (&gateway.orchestrator, Origin::default());
    let registering = orchestrator.register(&origin, Join::Bootstrap, &registration);
    gateway.keep(block_on(registering).expect("let in"));
    registration.owner
}

/// It sends one heartbeat, with what it holds in full or without.
pub(crate) fn beat(
    world: &World,
    owner: &Owner,
    held: Option<Vec<HeldSession>>,
) -> Result<BeatAnswer, BeatError> {
    let beat = Beat {
        held,
        ..Beat::default()
    };
    let gateway = world.gateway();
    block_on(gateway.orchestrator.heartbeat(owner, &beat)).map(|done| gateway.keep(done))
}

/// It sends heartbeats for so many seconds, whatever they come to.
pub(crate) fn live(world: &World, owner: &Owner, count: u64) {
    for _ in 0..count / 2 {
        let _ = beat(world, owner, None);
        world.run(seconds(2));
    }
}

/// A report of a session at its present epoch, with these fields.
pub(crate) fn say(world: &World, session: SessionId, fields: &Value) -> SessionReport {
    let mut report = serde_json::json!({
        "sessionId": session, "epoch": world.row(session).epoch,
    });
    for (name, value) in fields.as_object().expect("fields") {
        report[name] = value.clone();
    }
    serde_json::from_value(report).expect("a report")
}
