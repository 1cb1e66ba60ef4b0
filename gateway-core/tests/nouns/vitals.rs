//! What a replica observes of workers: breakers, latency, steadiness.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{Epoch, Incarnation, SessionId, WorkerId};
use gateway_core::session::Owner;
use gateway_core::time::Uptime;
use gateway_core::worker::{
    Breaker, BreakerPolicy, CommandOutcome, Incident, LatencyAverage, LinkError, Reading,
    Stability, Vitals, VitalsPolicy,
};
use gateway_testkit::clock::ManualClock;
use proptest::collection::vec;
use proptest::prelude::*;

fn at(millis: u64) -> Uptime {
    Uptime(Duration::from_millis(millis))
}

fn session(number: u128) -> SessionId {
    SessionId::from_u128(number)
}

/// A step of a breaker's life: time passes, then a command is let out or ends.
#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    End(CommandOutcome),
}

fn steps(sessions: u128) -> impl Strategy<Value = Vec<(u64, Step)>> {
    let outcome = prop_oneof![
        1 => Just(CommandOutcome::Answered),
        2 => Just(CommandOutcome::Unreachable),
        4 => (0..sessions).prop_map(|number| CommandOutcome::Unanswered(session(number))),
    ];
    let step = prop_oneof![Just(Step::Admit), outcome.prop_map(Step::End)];
    vec((0..5_000u64, step), 0..60)
}

/// Lives through steps; the breaker and the time at the end.
fn lived(steps: &[(u64, Step)], policy: &BreakerPolicy) -> (Breaker, u64) {
    let (mut breaker, mut now) = (Breaker::default(), 0);
    for (passed, step) in steps {
        now += passed;
        match step {
            Step::Admit => {
                let _ = breaker.admit(at(now), policy);
            }
            Step::End(outcome) => {
                breaker.record(*outcome, at(now), policy);
            }
        }
    }
    (breaker, now)
}

proptest! {
    #[test]
    fn one_session_opens_no_breaker(steps in steps(1)) {
        let policy = BreakerPolicy::default();
        let own = |step: &(u64, Step)| !matches!(step.1, Step::End(CommandOutcome::Unreachable));
        let steps: Vec<_> = steps.into_iter().filter(own).collect();
        prop_assert!(lived(&steps, &policy).0.is_closed());
    }

    #[test]
    fn an_open_breaker_lets_one_trial_through_after_its_longest_pause_at_the_latest(steps in steps(9)) {
        let policy = BreakerPolicy::default();
        let (mut breaker, now) = lived(&steps, &policy);
        let later = at(now).plus(policy.longest_pause);
        prop_assert_eq!(breaker.admit(later, &policy), Ok(()));
        if !breaker.is_closed() {
            prop_assert!(breaker.admit(later, &policy).is_err());
        }
    }

    #[test]
    fn any_answer_closes_a_breaker(steps in steps(9)) {
        let policy = BreakerPolicy::default();
        let (mut breaker, now) = lived(&steps, &policy);
        breaker.record(CommandOutcome::Answered, at(now), &policy);
        prop_assert!(breaker.is_closed());
    }

    #[test]
    fn the_average_latency_lies_between_the_shortest_and_the_longest(
        samples in vec((0..60_000u64, 0..20_000u64), 1..50),
    ) {
        let (mut average, mut now) = (LatencyAverage::default(), 0);
        for (passed, took) in &samples {
            now += passed;
            average.add(Duration::from_millis(*took), at(now));
        }
        let millis = average.millis().expect("there are samples");
        let took = || samples.iter().map(|(_, took)| *took as f64);
        let (least, most) = (took().fold(f64::MAX, f64::min), took().fold(0.0, f64::max));
        prop_assert!(least - 1e-6 <= millis && millis <= most + 1e-6, "{millis}");
    }

    #[test]
    fn instability_stays_below_one_grows_with_incidents_and_fades(
        incidents in vec((0..3_600_000u64, 0..3u8, 1..100u32), 1..40),
        rest in 1..86_400_000u64,
    ) {
        let (mut stability, mut now) = (Stability::default(), 0);
        for (passed, kind, beats) in incidents {
            now += passed;
            let before = stability.instability(at(now));
            let incident = match kind {
                0 => Incident::MissedBeats(beats),
                1 => Incident::Return,
                _ => Incident::Restart,
            };
            stability.note(incident, at(now));
            let after = stability.instability(at(now));
            prop_assert!((0.0..1.0).contains(&after) && after > before, "{before} {after}");
        }
        let later = stability.instability(at(now + rest));
        prop_assert!((0.0..1.0).contains(&later) && later < stability.instability(at(now)));
    }
}

#[test]
fn a_breaker_opens_at_the_fifth_session_in_a_row_and_pauses_longer_each_time() {
    let policy = BreakerPolicy::default();
    let mut breaker = Breaker::default();
    for number in 1..=5 {
        assert!(breaker.is_closed());
        let unanswered = CommandOutcome::Unanswered(session(number));
        assert_eq!(breaker.record(unanswered, at(0), &policy), number == 5);
    }
    let mut now = 0;
    for pause in [2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        assert_eq!(
            breaker.admit(at(now), &policy),
            Err(Duration::from_millis(pause))
        );
        now += pause;
        assert_eq!(breaker.admit(at(now), &policy), Ok(()));
        assert!(!breaker.record(CommandOutcome::Unreachable, at(now), &policy));
    }
}

#[test]
fn failures_that_lie_far_apart_do_not_count_together() {
    let policy = BreakerPolicy::default();
    let mut breaker = Breaker::default();
    for minute in 0..20 {
        breaker.record(CommandOutcome::Unreachable, at(minute * 61_000), &policy);
    }
    assert!(breaker.is_closed());
}

#[test]
fn a_refusal_proves_that_the_worker_works() {
    let of = |error: LinkError| CommandOutcome::of::<()>(&Err(error), session(1));
    for error in [
        LinkError::UnknownSession,
        LinkError::StaleEpoch { current: Epoch(2) },
        LinkError::WrongIncarnation { current: None },
        LinkError::NotConnected,
        LinkError::BodyMismatch,
        LinkError::Busy { retry_after: None },
    ] {
        assert_eq!(of(error), Some(CommandOutcome::Answered));
    }
    assert_eq!(of(LinkError::NotSent), Some(CommandOutcome::Unreachable));
    let unanswered = Some(CommandOutcome::Unanswered(session(1)));
    assert_eq!(of(LinkError::Unknown), unanswered);
    assert_eq!(of(LinkError::Rubbish), unanswered);
    let retry_after = Duration::ZERO;
    assert_eq!(of(LinkError::BreakerOpen { retry_after }), None);
}

fn owner(run: u32) -> Owner {
    Owner {
        worker: WorkerId::parse("worker-1").expect("a slug"),
        incarnation: Incarnation::parse(&format!("incarnation-{run}")).expect("a token"),
    }
}

fn seen(vitals: &Vitals, run: u32, active: bool) -> Reading {
    vitals.observe(&owner(run), active)
}

fn vitals() -> (Arc<ManualClock>, Vitals) {
    let clock = Arc::new(ManualClock::default());
    let vitals = Vitals::new(Arc::clone(&clock) as _, VitalsPolicy::default());
    (clock, vitals)
}

#[test]
fn a_new_run_of_a_worker_begins_with_a_closed_breaker_and_a_restart() {
    let (_, vitals) = vitals();
    seen(&vitals, 1, true);
    for _ in 0..5 {
        vitals.record(&owner(1), CommandOutcome::Unreachable, Duration::ZERO);
    }
    let sick = seen(&vitals, 1, true);
    assert!(!sick.breaker_closed && vitals.admit(&owner(1)).is_err());
    assert_eq!(sick.instability, 0.0);
    let fresh = seen(&vitals, 2, true);
    assert!(fresh.breaker_closed && vitals.admit(&owner(2)).is_ok());
    assert!(fresh.instability > 0.0);
    // What the former run is still asked says nothing about the present one.
    for _ in 0..5 {
        vitals.record(&owner(1), CommandOutcome::Unreachable, Duration::ZERO);
    }
    assert!(seen(&vitals, 2, true).breaker_closed);
}

#[test]
fn missed_heartbeats_and_a_return_count_once_each() {
    let (_, vitals) = vitals();
    seen(&vitals, 1, true);
    let silent = |seconds| BTreeMap::from([(owner(1), Duration::from_secs(seconds))]);
    vitals.note_late(&silent(4));
    let two = seen(&vitals, 1, true).instability;
    assert!(two > 0.0);
    vitals.note_late(&silent(5));
    assert_eq!(seen(&vitals, 1, true).instability, two);
    vitals.note_late(&silent(6));
    let three = seen(&vitals, 1, false).instability;
    assert!(three > two);
    vitals.note_late(&BTreeMap::new());
    let back = seen(&vitals, 1, true).instability;
    assert!(back > three);
    assert_eq!(seen(&vitals, 1, true).instability, back);
}

#[test]
fn a_probe_is_due_now_and_then_and_at_every_heartbeat_of_who_is_late() {
    let (clock, vitals) = vitals();
    seen(&vitals, 1, true);
    assert_eq!(vitals.due_probes(), [owner(1)]);
    clock.advance(Duration::from_secs(29));
    assert_eq!(vitals.due_probes(), []);
    clock.advance(Duration::from_secs(1));
    assert_eq!(vitals.due_probes(), [owner(1)]);
    clock.advance(Duration::from_secs(2));
    vitals.note_late(&BTreeMap::from([(owner(1), Duration::from_secs(3))]));
    assert_eq!(vitals.due_probes(), [owner(1)]);
    assert_eq!(vitals.due_probes(), []);
    clock.advance(Duration::from_secs(2));
    assert_eq!(vitals.due_probes(), [owner(1)]);
}
