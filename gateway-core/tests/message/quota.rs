//! Requests per hour: never over, whatever crashes.

use std::time::Duration;

use gateway_core::tenant::Drawn;
use gateway_core::tenant::quota::{Admit, MAX_CHUNK, RequestAccount, chunk};
use gateway_core::time::{Timestamp, Uptime};
use proptest::collection::vec;
use proptest::prelude::*;

const HOUR: Duration = Duration::from_secs(3_600);
const NOON: Timestamp = Timestamp::from_micros(1_700_006_400_000_000);

fn uptime(seconds: u64) -> Uptime {
    Uptime(Duration::from_secs(seconds))
}

/// The count in the store, as every adapter keeps it: one conditional update per draw.
#[derive(Debug, Default)]
struct Store {
    granted: std::collections::BTreeMap<Timestamp, u64>,
}

impl Store {
    fn draw(&mut self, now: Timestamp, limit: u64, replicas: u32) -> Drawn {
        let hour = now.start_of_hour();
        let total = self.granted.entry(hour).or_default();
        let granted = chunk(limit.saturating_sub(*total), replicas);
        *total += granted;
        Drawn {
            hour,
            now,
            granted,
            total: *total,
        }
    }

    fn give_back(&mut self, (hour, unused): (Timestamp, u64)) {
        let total = self.granted.entry(hour).or_default();
        *total = total.saturating_sub(unused);
    }
}

/// Serves one request, drawing when asked to; whether it was let in, and in which hour.
fn serve(
    account: &mut RequestAccount,
    store: &mut Store,
    (now, uptime): (Timestamp, Uptime),
    limit: u64,
    replicas: u32,
) -> Option<Timestamp> {
    for _ in 0..3 {
        match account.admit(uptime, limit) {
            Admit::Yes { hour, draw, .. } => {
                if draw {
                    account.credit(uptime, limit, &store.draw(now, limit, replicas));
                }
                return Some(hour);
            }
            Admit::No { .. } => return None,
            Admit::Draw => account.credit(uptime, limit, &store.draw(now, limit, replicas)),
        }
    }
    panic!("an account that was given a chunk must decide");
}

#[test]
fn a_chunk_is_a_sixteenth_of_what_remains_per_replica() {
    for (remaining, replicas, expected) in [
        (0, 1, 0),
        (1, 1, 1),
        (15, 1, 1),
        (160, 1, 10),
        (160, 10, 1),
        (10_000, 1, MAX_CHUNK),
        (10_000, 4, 156),
        (10_000, 0, MAX_CHUNK),
        (u64::MAX, u32::MAX, MAX_CHUNK),
    ] {
        assert_eq!(
            chunk(remaining, replicas),
            expected,
            "{remaining} {replicas}"
        );
    }
}

#[test]
fn exactly_the_limit_is_served_and_a_refusal_says_when_it_ends() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let now = NOON.plus(Duration::from_secs(600));
    let when = (now, uptime(5_000));
    let served = (0..150)
        .filter(|_| serve(&mut account, &mut store, when, 100, 1).is_some())
        .count();
    assert_eq!(served, 100);
    let resets_in = Duration::from_secs(3_000);
    assert_eq!(account.admit(when.1, 100), Admit::No { resets_in });
}

#[test]
fn what_remains_is_a_lower_bound_that_only_falls() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let mut last = 1_000;
    for served in 1..=1_000 {
        while account.clone().admit(uptime(0), 1_000) == Admit::Draw {
            account.credit(uptime(0), 1_000, &store.draw(NOON, 1_000, 2));
        }
        let Admit::Yes { remaining, .. } = account.admit(uptime(0), 1_000) else {
            panic!("refused after {served}")
        };
        assert!(remaining < last && remaining <= 1_000 - served);
        last = remaining;
    }
}

#[test]
fn the_rest_of_a_chunk_ends_with_its_hour() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let late = NOON.plus(HOUR - Duration::from_secs(1));
    assert!(serve(&mut account, &mut store, (late, uptime(100)), 1_000, 1).is_some());
    assert!(!account.unused().is_empty());
    assert_eq!(account.admit(uptime(101), 1_000), Admit::Draw);
    let next = (NOON.plus(HOUR), uptime(101));
    let hour = serve(&mut account, &mut store, next, 1_000, 1);
    assert_eq!(hour, Some(NOON.plus(HOUR)));
}

#[test]
fn what_is_drawn_ahead_waits_for_its_hour_and_is_given_back_with_the_rest() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let late = NOON.plus(HOUR - Duration::from_secs(30));
    account.credit(uptime(100), 100, &store.draw(late, 100, 1));
    let mut next = store.draw(NOON.plus(HOUR), 100, 1);
    next.now = late;
    account.credit_ahead(uptime(100), uptime(102), 100, &next);
    assert!(account.is_ahead());
    assert_eq!(account.unused(), [(NOON, 6), (NOON.plus(HOUR), 6)]);
    while let Admit::Yes { hour, .. } = account.admit(uptime(129), 100) {
        assert_eq!(hour, NOON, "not before its hour");
    }
    // This hour ends no later than in the store, and the next begins no earlier.
    assert_eq!(account.admit(uptime(131), 100), Admit::Draw);
    let Admit::Yes { hour, .. } = account.admit(uptime(132), 100) else {
        panic!("the chunk is there");
    };
    assert_eq!(hour, NOON.plus(HOUR));
    assert!(!account.is_ahead());
}

#[test]
fn a_draw_in_the_next_hour_finds_what_was_drawn_ahead() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let late = NOON.plus(HOUR - Duration::from_secs(1));
    let mut next = store.draw(NOON.plus(HOUR), 100, 1);
    next.now = late;
    account.credit_ahead(uptime(100), uptime(110), 100, &next);
    account.credit(uptime(102), 100, &store.draw(NOON.plus(HOUR), 100, 1));
    assert_eq!(account.unused(), [(NOON.plus(HOUR), 11)], "both chunks");
}

#[test]
fn a_store_whose_clock_goes_back_is_believed() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    account.credit(uptime(1), 100, &store.draw(NOON.plus(HOUR), 100, 1));
    let when = (NOON.plus(HOUR - Duration::from_secs(1)), uptime(2));
    for _ in 0..50 {
        assert!(serve(&mut account, &mut store, when, 100, 1).is_some());
    }
}

#[test]
fn a_slow_answer_of_a_former_hour_is_dropped() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let old = store.draw(NOON, 1_000, 1);
    account.credit(uptime(3_601), 1_000, &store.draw(NOON.plus(HOUR), 1_000, 1));
    let before = account.unused();
    account.credit(uptime(1), 1_000, &old);
    assert_eq!(account.unused(), before);
}

#[test]
fn a_higher_tier_counts_at_once() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let when = (NOON, uptime(0));
    while serve(&mut account, &mut store, when, 100, 1).is_some() {}
    assert!(matches!(account.admit(uptime(0), 100), Admit::No { .. }));
    assert_eq!(account.admit(uptime(0), 1_000), Admit::Draw);
    let more = (0..2_000)
        .filter(|_| serve(&mut account, &mut store, when, 1_000, 1).is_some())
        .count();
    assert_eq!(more, 900);
}

#[test]
fn a_lower_tier_grants_nothing_more() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let when = (NOON, uptime(0));
    for _ in 0..500 {
        serve(&mut account, &mut store, when, 1_000, 1);
    }
    let granted = store.granted[&NOON];
    while serve(&mut account, &mut store, when, 100, 1).is_some() {}
    assert_eq!(store.granted[&NOON], granted);
}

#[test]
fn a_refund_goes_to_the_hour_it_came_from_and_to_no_other() {
    let (mut account, mut store) = (RequestAccount::default(), Store::default());
    let hour = serve(&mut account, &mut store, (NOON, uptime(0)), 100, 1).expect("served");
    let left = |account: &RequestAccount| account.unused().first().map_or(0, |(_, left)| *left);
    let before = left(&account);
    account.refund(hour);
    assert_eq!(left(&account), before + 1);

    account.credit(uptime(3_600), 100, &store.draw(NOON.plus(HOUR), 100, 1));
    let before = left(&account);
    account.refund(hour);
    assert_eq!(left(&account), before, "that hour is over");
}

/// What happens to one of the replicas.
#[derive(Clone, Copy, Debug)]
enum Step {
    Serve(usize),
    /// Served and answered 401 or 429.
    Free(usize),
    /// Draws, and dies before the answer arrives.
    CrashWhileDrawing(usize),
    DrawAhead(usize),
    Crash(usize),
    ShutDown(usize),
    Wait(u64),
    Limit(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    let replica = 0..4usize;
    prop_oneof![
        60 => replica.clone().prop_map(Step::Serve),
        4 => replica.clone().prop_map(Step::Free),
        1 => replica.clone().prop_map(Step::CrashWhileDrawing),
        1 => replica.clone().prop_map(Step::Crash),
        4 => replica.clone().prop_map(Step::DrawAhead),
        1 => replica.prop_map(Step::ShutDown),
        2 => (0..900u64).prop_map(Step::Wait),
        1 => prop_oneof![Just(20), Just(100), Just(300)].prop_map(Step::Limit),
    ]
}

proptest! {
    #[test]
    fn no_hour_serves_more_than_its_limit_whatever_crashes(
        steps in vec(steps(), 1..800),
        start in 0..3_600u64,
    ) {
        let mut store = Store::default();
        let mut accounts = vec![RequestAccount::default(); 4];
        let (mut seconds, mut limit) = (start, 100);
        let mut highest = limit;
        let mut served = std::collections::BTreeMap::<Timestamp, u64>::new();
        for step in steps {
            let now = NOON.plus(Duration::from_secs(seconds));
            let when = (now, uptime(10_000 + seconds));
            match step {
                Step::Serve(at) => {
                    if let Some(hour) = serve(&mut accounts[at], &mut store, when, limit, 4) {
                        prop_assert_eq!(hour, now.start_of_hour(), "counted where it was served");
                        *served.entry(hour).or_default() += 1;
                    }
                }
                Step::Free(at) => {
                    if let Some(hour) = serve(&mut accounts[at], &mut store, when, limit, 4) {
                        accounts[at].refund(hour);
                    }
                }
                Step::CrashWhileDrawing(at) => {
                    store.draw(now, limit, 4);
                    accounts[at] = RequestAccount::default();
                }
                Step::Crash(at) => accounts[at] = RequestAccount::default(),
                Step::DrawAhead(at) if accounts[at].is_ahead() => {}
                Step::DrawAhead(at) => {
                    let mut drawn = store.draw(now.plus(HOUR), limit, 4);
                    drawn.now = now;
                    accounts[at].credit_ahead(when.1, when.1, limit, &drawn);
                }
                Step::ShutDown(at) => {
                    let unused = accounts[at].unused();
                    accounts[at] = RequestAccount::default();
                    unused.into_iter().for_each(|unused| store.give_back(unused));
                }
                Step::Wait(more) => {
                    seconds += more;
                    if NOON.plus(Duration::from_secs(seconds)).start_of_hour() != now.start_of_hour() {
                        highest = limit;
                    }
                }
                Step::Limit(next) => {
                    limit = next;
                    highest = highest.max(next);
                }
            }
            let now = NOON.plus(Duration::from_secs(seconds)).start_of_hour();
            let count = served.get(&now).copied().unwrap_or_default();
            prop_assert!(count <= highest, "{} of {} in one hour", count, highest);
        }
    }
}
