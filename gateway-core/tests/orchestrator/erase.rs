//! The credentials of a deleted session are erased, whatever is lost on the way.

use gateway_core::session::{Command, Status};
use gateway_core::state::StateStore;
use gateway_core::store::Store;

use super::block_on;
use super::world::{World, seconds};

#[test]
fn credentials_of_a_deleted_session_are_erased_though_the_effect_was_lost() {
    let world = World::new(1).with_workers(1..=1, 10);
    let session = world.connected("one");
    world.ask(session, Command::Disconnect);
    world.run_until(seconds(30), |world| {
        world.status(session) == Status::Disconnected
    });
    let is_stored = || {
        let version = block_on(world.shared.state.version(session));
        version.expect("answered").seq > 0
    };
    world.loses_effects.set(true);
    world.ask(session, Command::Delete);
    world.settle();
    assert!(world.find(session).is_none() && is_stored());

    world.loses_effects.set(false);
    let erase = || block_on(world.gateway().orchestrator.erase_deleted());
    world.shared.state.set_available(false);
    world.clock.advance(seconds(60));
    assert!(
        !erase().expect("the store answers"),
        "nothing could be erased"
    );
    world.shared.state.set_available(true);
    assert!(is_stored());
    world.clock.advance(seconds(60));
    assert!(!erase().expect("the store answers"));
    assert!(!is_stored());
    let left = block_on(async {
        let mut tx = world.shared.store.read().await?;
        let far = tx.now().await?.plus(seconds(3_600));
        tx.sessions_to_erase(far, 10).await
    });
    assert_eq!(left.expect("answered"), []);
}
