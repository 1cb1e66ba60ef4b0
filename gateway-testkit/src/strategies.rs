//! proptest strategies for fleets: workers, reports, requests and sequences of changes.
//!
//! The universe is small on purpose (a dozen slots, two regions, three protocol versions), so that
//! random requests meet workers that suit, tie, fill up and come back, instead of missing each other.
//! Values are realistic where it matters and hostile where a worker could send nonsense.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::balance::{Load, Request, WorkerSnapshot};
use gateway_core::id::{Incarnation, WorkerId};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

/// The number of worker slots that exist in this universe.
pub const SLOTS: usize = 12;

/// Returns the id of slot `number`: `worker-07`.
///
/// # Panics
/// Never: the text is a valid slug.
#[must_use]
pub fn slot(number: usize) -> WorkerId {
    WorkerId::parse(&format!("worker-{number:02}")).expect("letters, a hyphen and digits")
}

/// Returns an empty worker in slot `number` that reports nothing.
///
/// # Panics
/// Never: the incarnation is valid.
#[must_use]
pub fn blank_worker(number: usize, max_sessions: u32) -> WorkerSnapshot {
    let run = Incarnation::parse("0123456789abcdef").expect("letters and digits");
    WorkerSnapshot::new(slot(number), run, max_sessions)
}

/// Generates one of the slots.
pub fn slots() -> impl Strategy<Value = WorkerId> {
    (0..SLOTS).prop_map(slot)
}

/// Generates a share that a worker may report: mostly sensible, sometimes out of range or not a number.
fn share() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => 0.0..=1.0,
        1 => Just(-1.0),
        1 => Just(7.5),
        1 => Just(f64::NAN),
    ]
}

/// Generates the load that a worker reports.
pub fn loads() -> impl Strategy<Value = Load> {
    let sessions = (0..200u32, 0..20u32, 0..20u32, 0..20u32);
    let age = (0..10_000u64).prop_map(Duration::from_millis);
    let rest = (share(), option::of(0.0..5_000.0), age);
    (option::of(share()), option::of(share()), sessions, rest).prop_map(
        |(cpu, memory, sessions, (instability, latency_ms, report_age))| Load {
            cpu,
            memory,
            connected: sessions.0,
            disconnected: sessions.1,
            qr_required: sessions.2,
            error: sessions.3,
            instability,
            latency_ms,
            report_age,
        },
    )
}

fn region() -> impl Strategy<Value = BTreeMap<String, String>> {
    let region = prop_oneof![Just("eu"), Just("us")];
    option::of(region).prop_map(|region| {
        region
            .into_iter()
            .map(|name| ("region".to_owned(), name.to_owned()))
            .collect()
    })
}

fn state_format() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![
        Just("sim/1".to_owned()),
        Just("sim/2".to_owned())
    ])
}

/// Generates a worker in any slot, mostly open, with few places so that it fills up.
pub fn workers() -> impl Strategy<Value = WorkerSnapshot> {
    let counts = (0..8u32, 0..10u32, 0..3u32);
    let gates = (mostly(true), mostly(false), mostly(true));
    let kind = (region(), 1..4u32, state_format());
    (0..SLOTS, counts, gates, kind, option::of(loads())).prop_map(
        |(number, counts, gates, kind, load)| {
            let mut worker = blank_worker(number, counts.1);
            (worker.assigned, worker.reserved) = (counts.0, counts.2);
            (worker.active, worker.cordoned, worker.breaker_closed) = gates;
            (worker.labels, worker.protocol_version, worker.state_format) = kind;
            worker.load = load;
            worker
        },
    )
}

fn mostly(usual: bool) -> impl Strategy<Value = bool> {
    prop_oneof![9 => Just(usual), 1 => Just(!usual)]
}

/// Generates a fleet with at most one worker per slot.
pub fn fleets() -> impl Strategy<Value = Vec<WorkerSnapshot>> {
    vec(workers(), 0..SLOTS * 2).prop_map(|all| {
        let by_slot: BTreeMap<_, _> = all
            .into_iter()
            .map(|worker| (worker.worker.clone(), worker))
            .collect();
        by_slot.into_values().collect()
    })
}

/// Generates a request, often without any demand.
pub fn requests() -> impl Strategy<Value = Request> {
    let exclude = prop_oneof![
        2 => Just(BTreeSet::new()),
        1 => btree_set(slots(), 0..4),
    ];
    let spread = option::of(btree_map(slots(), 0..5u32, 0..6));
    let format = prop_oneof![3 => Just(None), 1 => state_format()];
    (exclude, region(), format, 0..3u32, spread).prop_map(
        |(exclude, labels, state_format, min_protocol_version, spread)| Request {
            exclude,
            labels,
            state_format,
            min_protocol_version,
            spread,
        },
    )
}

/// Something that happens to a fleet.
#[derive(Clone, Debug)]
pub enum Change {
    /// A worker appears or reports.
    Upsert(WorkerSnapshot),
    /// A worker is gone.
    Remove(WorkerId),
    /// A slot is promised.
    Reserve(WorkerId),
    /// A promise is taken back.
    Release(WorkerId),
    /// A promise was written to the store.
    Confirm(WorkerId),
    /// A worker is picked, and its slot promised.
    Place(Request),
}

/// Generates a sequence of up to `length` changes.
pub fn changes(length: usize) -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => workers().prop_map(Change::Upsert),
        1 => slots().prop_map(Change::Remove),
        2 => slots().prop_map(Change::Reserve),
        2 => slots().prop_map(Change::Release),
        1 => slots().prop_map(Change::Confirm),
        6 => requests().prop_map(Change::Place),
    ];
    vec(change, 0..length)
}
