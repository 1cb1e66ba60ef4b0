//! Which effects run, how many of them, and in which order.

use std::collections::BTreeMap;

use gateway_core::entropy::Entropy;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::orchestrator::{EffectLimits, EffectQueue};
use gateway_core::session::{Effect, Order};
use gateway_testkit::entropy::SeededEntropy;

use super::membership::registration;

const LIMITS: EffectLimits = EffectLimits {
    per_worker: 3,
    total: 5,
};

fn order(session: u64, on: u32, epoch: u64) -> Order {
    Order {
        session: session_id(session),
        owner: registration(on, 1).owner,
        epoch: Epoch(epoch),
    }
}

fn session_id(number: u64) -> SessionId {
    SessionId::from_u128(u128::from(number))
}

fn release(session: u64, on: u32) -> Effect {
    Effect::Release(order(session, on, 1))
}

fn place(session: u64) -> Effect {
    Effect::Place(session_id(session))
}

fn queue(effects: impl IntoIterator<Item = Effect>) -> EffectQueue {
    let mut queue = EffectQueue::new(LIMITS);
    effects.into_iter().for_each(|effect| queue.add(effect));
    queue
}

fn take_all(queue: &mut EffectQueue) -> Vec<Effect> {
    std::iter::from_fn(|| queue.take()).collect()
}

#[test]
fn a_worker_with_ten_thousand_sessions_gets_a_few_at_a_time_and_leaves_room_for_others() {
    let mut queue = queue((0..10_000).map(|session| release(session, 1)));
    let running = take_all(&mut queue);
    assert_eq!(running, [release(0, 1), release(1, 1), release(2, 1)]);
    assert_eq!((queue.running(), queue.waiting()), (3, 9_997));

    queue.add(release(20_000, 2));
    assert_eq!(take_all(&mut queue), [release(20_000, 2)]);

    queue.finish(&running[1], Vec::new());
    assert_eq!(take_all(&mut queue), [release(3, 1)]);
}

#[test]
fn workers_take_turns_up_to_the_limit_of_all() {
    let both = (0..4).flat_map(|session| [release(session, 1), release(10 + session, 2)]);
    let mut queue = queue(both);
    let expected = [(0, 1), (10, 2), (1, 1), (11, 2), (2, 1)];
    let expected = expected.map(|(session, on)| release(session, on));
    assert_eq!(take_all(&mut queue), expected);
}

#[test]
fn workers_that_hang_hold_up_neither_placements_nor_files() {
    let orders = (0..10).map(|session| release(session, u32::try_from(session).expect("small")));
    let mut queue = queue(orders);
    assert_eq!(take_all(&mut queue).len(), LIMITS.total);
    let erase = |session| Effect::Erase(session_id(session));
    for session in 20..30 {
        queue.add(place(session));
        queue.add(erase(100 + session));
    }
    let taken = take_all(&mut queue);
    let of_kind =
        |wanted: fn(&Effect) -> bool| taken.iter().filter(|effect| wanted(effect)).count();
    let placements = of_kind(|effect| matches!(effect, Effect::Place(_)));
    let files = of_kind(|effect| matches!(effect, Effect::Erase(_)));
    assert_eq!((placements, files), (LIMITS.per_worker, LIMITS.per_worker));
    assert_eq!(taken.len(), placements + files);
}

#[test]
fn effects_on_one_session_run_one_after_the_other_and_what_follows_comes_first() {
    let erase = Effect::Erase(session_id(1));
    let mut queue = queue([place(1), erase.clone(), place(2)]);
    assert_eq!(take_all(&mut queue), [place(1), place(2)]);
    queue.finish(&place(1), vec![release(1, 1), Effect::Nudge]);
    assert_eq!(take_all(&mut queue), [release(1, 1), Effect::Nudge]);
    queue.finish(&release(1, 1), Vec::new());
    assert_eq!(take_all(&mut queue), [erase]);
}

#[test]
fn what_waits_is_not_added_again_but_what_runs_is() {
    let mut queue = queue([place(1), place(1)]);
    assert_eq!(queue.waiting(), 1);
    assert_eq!(take_all(&mut queue), [place(1)]);
    // Something may have changed since it began.
    queue.add(place(1));
    queue.add(place(1));
    assert_eq!((queue.running(), queue.waiting()), (1, 1));
    queue.finish(&place(1), Vec::new());
    assert_eq!(take_all(&mut queue), [place(1)]);
}

#[test]
fn whatever_happens_limits_and_order_are_kept_and_nothing_is_lost() {
    for seed in 0..50 {
        let random = SeededEntropy::new(seed);
        let (mut queue, mut running) = (EffectQueue::new(LIMITS), Vec::<(u64, Effect)>::new());
        let (mut added, mut ended) = (0_u64, 0);
        // The epoch of an order tells when it was added.
        let mut last_run: BTreeMap<SessionId, u64> = BTreeMap::new();
        while added < 300 || !running.is_empty() || queue.waiting() > 0 {
            if added < 300 && random.below(3) > 0 {
                added += 1;
                let (session, on) = (random.below(8), random.below(3));
                let on = u32::try_from(on).expect("small") + 1;
                queue.add(Effect::Release(order(session, on, added)));
            } else if let Some(next) = queue.take() {
                let Effect::Release(order) = &next else {
                    unreachable!("nothing else was added")
                };
                let before = last_run.insert(order.session, order.epoch.0);
                assert!(
                    before.is_none_or(|before| before < order.epoch.0),
                    "seed {seed}"
                );
                running.push((order.epoch.0, next));
            } else if !running.is_empty() {
                let which = random.below(running.len() as u64);
                let (_, effect) = running.swap_remove(usize::try_from(which).expect("small"));
                queue.finish(&effect, Vec::new());
                ended += 1;
            }
            assert!(running.len() <= LIMITS.total && queue.running() == running.len());
            let waiting = usize::try_from(added - ended).expect("small") - running.len();
            assert_eq!(queue.waiting(), waiting, "seed {seed}");
            let mut per_worker = BTreeMap::new();
            let mut sessions = BTreeMap::new();
            for (_, effect) in &running {
                let Effect::Release(order) = effect else {
                    continue;
                };
                *per_worker.entry(&order.owner.worker).or_insert(0) += 1;
                *sessions.entry(order.session).or_insert(0) += 1;
            }
            assert!(per_worker.values().all(|count| *count <= LIMITS.per_worker));
            assert!(sessions.values().all(|count| *count == 1), "seed {seed}");
        }
        assert_eq!((added, ended), (300, 300), "seed {seed}");
    }
}
