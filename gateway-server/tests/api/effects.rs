//! Effects in the background.

use std::collections::BTreeMap;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::{Effect, Order, Owner};
use gateway_testkit::fixture::a_worker;

use crate::app::TestApp;

fn release(session: u128, owner: &Owner) -> Effect {
    Effect::Release(Order {
        session: SessionId::from_u128(session),
        owner: owner.clone(),
        epoch: Epoch(1),
    })
}

/// Lets everything else happen until it is so.
async fn eventually(is_so: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never is so");
}

#[tokio::test]
async fn a_worker_that_loses_all_its_sessions_gets_a_few_orders_at_a_time() {
    let app = TestApp::with(|config| {
        config.orchestration.effects_per_worker = 4;
        config.orchestration.effects_total = 6;
    })
    .await;
    let (one, _) = app.a_worker(&a_worker("one").build()).await;
    let (two, _) = app.a_worker(&a_worker("two").build()).await;
    let held = app.link.hold_stops();
    let orders = (0..1_000).map(|session| release(session, &one));
    app.app.effects.carry_out(orders.collect());
    app.app.effects.carry_out(
        (2_000..2_010)
            .map(|session| release(session, &two))
            .collect(),
    );

    let running = |one_runs, two_runs| {
        let counts = [
            (one.worker.clone(), one_runs),
            (two.worker.clone(), two_runs),
        ];
        BTreeMap::from(counts)
    };
    eventually(|| app.link.running_stops() == running(4, 2)).await;
    let text = app.get("/metrics").expect(200).await.text;
    assert!(text.contains("gateway_effects_running 6"), "{text}");
    assert!(text.contains("gateway_effects_waiting 1004"), "{text}");

    // Whatever ends makes room for one other, until nothing is left.
    held.add_permits(1_010);
    eventually(|| app.link.stops().len() == 1_010).await;
    eventually(|| app.link.running_stops() == running(0, 0)).await;
}
