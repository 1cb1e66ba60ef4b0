//! The orchestrator over stores in memory and a simulated fleet: no server, no network, no runtime, and
//! a clock that is moved by hand.

mod capacity;
mod cards;
mod codes;
mod commands;
mod crash;
mod effects;
mod elsewhere;
mod erase;
mod facts;
mod fleet;
mod flow;
mod gateway;
mod hand_made;
mod held;
mod leases;
mod links;
mod membership;
mod operators;
mod persons;
mod replicas;
mod reports;
mod sends;
mod silence;
mod stuck;
mod vitals;
mod words;
mod worker_clocks;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

pub(crate) use futures_executor::block_on;

/// A future among others.
pub(crate) type Task<'w, T> = Pin<Box<dyn Future<Output = T> + 'w>>;

/// Runs futures side by side on this thread, each in turn, until all have ended.
pub(crate) fn all_at_once<T>(futures: Vec<Task<'_, T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(Some).collect();
    let mut ended: Vec<Option<T>> = running.iter().map(|_| None).collect();
    block_on(std::future::poll_fn(move |cx| {
        for (slot, end) in running.iter_mut().zip(&mut ended) {
            let Some(future) = slot else { continue };
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                *end = Some(value);
                *slot = None;
            }
        }
        if running.iter().any(Option::is_some) {
            return Poll::Pending;
        }
        Poll::Ready(ended.iter_mut().filter_map(Option::take).collect())
    }))
}
