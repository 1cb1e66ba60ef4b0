//! The rules one by one: filters, factors, missing data, tenant spread, own factors and strategies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::balance::{
    BalancePolicy, Candidate, FACTORS, Factor, FactorScore, Field, FilterReason, Fleet, IndexOrder,
    Load, Request, Strategy, StrategyKind, Weights, WorkerSnapshot, choose,
};
use gateway_core::entropy::Entropy;
use gateway_testkit::strategies::{blank_worker, slot};

use super::{Dice, fleet_of};

fn loaded(number: usize, change: impl FnOnce(&mut Load)) -> WorkerSnapshot {
    let mut load = Load {
        cpu: Some(0.5),
        memory: Some(0.5),
        connected: 50,
        latency_ms: Some(100.0),
        instability: 0.1,
        report_age: Duration::from_secs(1),
        ..Load::default()
    };
    change(&mut load);
    WorkerSnapshot {
        load: Some(load),
        ..blank_worker(number, 100)
    }
}

fn winner(workers: impl IntoIterator<Item = WorkerSnapshot>, request: &Request) -> String {
    let choice = choose(BalancePolicy::default(), workers, request, &Dice::seeded(4));
    choice.map_or_else(
        |refusal| refusal.to_string(),
        |choice| choice.worker.to_string(),
    )
}

#[test]
fn each_filter_rules_out_with_its_own_reason() {
    let region = |name: &str| BTreeMap::from([("region".to_owned(), name.to_owned())]);
    let request = Request {
        exclude: BTreeSet::from([slot(0)]),
        labels: region("eu"),
        state_format: Some("sim/1".into()),
        min_protocol_version: 2,
        spread: None,
    };
    let suitable = WorkerSnapshot {
        labels: region("eu"),
        state_format: Some("sim/1".into()),
        protocol_version: 2,
        ..blank_worker(1, 10)
    };
    assert_eq!(winner([suitable.clone()], &request), "worker-01");

    type Spoil = fn(&mut WorkerSnapshot);
    let spoils: [(FilterReason, Spoil); 10] = [
        (FilterReason::Inactive, |w| w.active = false),
        (FilterReason::StateNotStored, |w| w.stores_state = false),
        (FilterReason::Cordoned, |w| w.cordoned = true),
        (FilterReason::BreakerOpen, |w| w.breaker_closed = false),
        (FilterReason::Full, |w| w.assigned = 10),
        (FilterReason::Full, |w| w.reserved = 10),
        (FilterReason::Labels, |w| w.labels = BTreeMap::new()),
        (FilterReason::ProtocolVersion, |w| w.protocol_version = 1),
        (FilterReason::StateFormat, |w| w.state_format = None),
        (FilterReason::Excluded, |w| w.worker = slot(0)),
    ];
    for (reason, spoil) in spoils {
        let mut worker = suitable.clone();
        spoil(&mut worker);
        let refusal = choose(
            BalancePolicy::default(),
            [worker],
            &request,
            &Dice::seeded(4),
        );
        let rejected = refusal.expect_err("spoilt").rejected;
        assert_eq!(rejected, BTreeMap::from([(reason, 1)]));
    }
}

#[test]
fn worse_in_one_factor_loses() {
    type Worsen = fn(&mut Load);
    let worsened: [(&str, Worsen); 8] = [
        ("cpu", |load| load.cpu = Some(0.6)),
        ("memory", |load| load.memory = Some(0.6)),
        ("health", |load| load.error = 1),
        ("health", |load| load.disconnected = 1),
        ("health", |load| load.qr_required = 1),
        ("stability", |load| load.instability = 0.2),
        ("latency", |load| load.latency_ms = Some(200.0)),
        ("report_age", |load| load.report_age *= 2),
    ];
    for (factor, worsen) in worsened {
        let workers = [loaded(0, worsen), loaded(1, |_| ())];
        assert_eq!(
            winner(workers, &Request::default()),
            "worker-01",
            "{factor}"
        );
    }
    let fuller = WorkerSnapshot {
        assigned: 1,
        ..loaded(0, |_| ())
    };
    assert_eq!(
        winner([fuller, loaded(1, |_| ())], &Request::default()),
        "worker-01"
    );
}

#[test]
fn a_pressed_processor_outweighs_free_slots() {
    let pressed = loaded(0, |load| load.cpu = Some(0.85));
    let busy = WorkerSnapshot {
        assigned: 30,
        ..loaded(1, |load| load.cpu = Some(0.5))
    };
    assert_eq!(winner([pressed, busy], &Request::default()), "worker-01");
}

#[test]
fn a_worker_that_reports_nothing_stands_in_the_middle() {
    let workers = || {
        [
            loaded(0, |load| load.cpu = Some(0.2)),
            blank_worker(1, 100),
            loaded(2, |load| load.cpu = Some(0.5)),
            loaded(3, |load| load.cpu = Some(0.8)),
        ]
    };
    let mut fleet = fleet_of(StrategyKind::Weighted, workers());
    let mut request = Request::default();
    let mut order = Vec::new();
    while let Ok(choice) = fleet.pick(&request, &Dice::seeded(4)) {
        request.exclude.insert(choice.worker.clone());
        order.push(choice);
    }
    let names: Vec<_> = order.iter().map(|choice| choice.worker.as_str()).collect();
    assert_eq!(names[0], "worker-00");
    assert_eq!(names[3], "worker-03");

    let of = |name: &str| {
        order
            .iter()
            .find(|c| c.worker.as_str() == name)
            .expect("picked")
    };
    let (silent, median) = (&of("worker-01").explanation, &of("worker-02").explanation);
    assert!((silent.score - median.score).abs() < 0.001);
    assert!(
        silent.factors[1..].iter().all(|part| part.assumed),
        "all but the capacity"
    );
    assert!(median.factors.iter().all(|part| !part.assumed));
}

#[test]
fn a_report_that_is_not_a_number_is_no_report() {
    let nonsense = loaded(0, |load| {
        (load.cpu, load.memory) = (Some(f64::NAN), Some(f64::NAN));
        (load.latency_ms, load.instability) = (Some(f64::NAN), f64::NAN);
    });
    let choice = choose(
        BalancePolicy::default(),
        [nonsense],
        &Request::default(),
        &Dice::seeded(4),
    );
    let assumed = |factors: &[FactorScore]| -> Vec<String> {
        factors
            .iter()
            .filter(|part| part.assumed)
            .map(|part| part.name.to_string())
            .collect()
    };
    let explanation = choice.expect("open").explanation;
    assert_eq!(
        assumed(&explanation.factors),
        ["cpu", "memory", "stability", "latency"]
    );
}

#[test]
fn the_median_follows_the_fleet() {
    let mut fleet = fleet_of(StrategyKind::Weighted, [blank_worker(0, 100)]);
    let only = Request {
        exclude: BTreeSet::from([slot(1)]),
        ..Request::default()
    };
    let memory = |fleet: &mut Fleet| {
        let choice = fleet.pick(&only, &Dice::seeded(4)).expect("open");
        choice.explanation.factors[2].raw
    };
    assert_eq!(memory(&mut fleet), 0.5, "nobody knows");
    fleet.upsert(loaded(1, |load| load.memory = Some(0.97)));
    assert_eq!(memory(&mut fleet), 1.0);
    fleet.upsert(loaded(1, |load| load.memory = Some(0.0)));
    assert_eq!(memory(&mut fleet), 0.0);
    fleet.remove(&slot(1));
    assert_eq!(memory(&mut fleet), 0.5);
}

#[test]
fn a_tenant_is_spread_over_equals_and_not_at_any_price() {
    let spread = Some(BTreeMap::from([(slot(0), 3)]));
    let request = Request {
        spread,
        ..Request::default()
    };
    let equals = || [blank_worker(0, 100), blank_worker(1, 100)];
    assert_eq!(winner(equals(), &request), "worker-01");
    let [first, mut second] = equals();
    second.assigned = 60;
    assert_eq!(winner([first.clone(), second], &request), "worker-00");
    assert_eq!(winner([first], &request), "worker-00");
}

#[test]
fn one_kind_of_worker_per_host_is_still_right() {
    let worker = |number: usize| {
        let mut worker = blank_worker(number, 100);
        worker
            .labels
            .insert("host".into(), format!("host-{number}"));
        worker.assigned = 1;
        worker
    };
    let mut fleet = fleet_of(StrategyKind::Weighted, (0..90).map(worker));
    let wants = |host: &str| Request {
        labels: BTreeMap::from([("host".to_owned(), host.to_owned())]),
        ..Request::default()
    };
    let dice = Dice::seeded(4);
    let name = |fleet: &mut Fleet, request: &Request| {
        fleet
            .pick(request, &dice)
            .map(|choice| choice.worker.to_string())
            .ok()
    };
    assert_eq!(name(&mut fleet, &wants("host-3")), Some("worker-03".into()));
    assert_eq!(
        name(&mut fleet, &wants("host-88")),
        Some("worker-88".into())
    );
    assert_eq!(name(&mut fleet, &wants("host-90")), None);
    fleet.upsert(WorkerSnapshot {
        assigned: 0,
        ..worker(77)
    });
    assert_eq!(
        name(&mut fleet, &Request::default()),
        Some("worker-77".into())
    );
}

#[test]
fn reservations_outlive_a_report_and_a_confirmation_keeps_the_slot_taken() {
    let mut fleet = fleet_of(StrategyKind::Weighted, [blank_worker(0, 2)]);
    assert!(fleet.reserve(&slot(0)));
    fleet.upsert(blank_worker(0, 2));
    assert_eq!(
        fleet
            .get(&slot(0))
            .map(|worker| (worker.assigned, worker.reserved)),
        Some((0, 1))
    );
    assert!(fleet.confirm(&slot(0)));
    assert_eq!(
        fleet
            .get(&slot(0))
            .map(|worker| (worker.assigned, worker.reserved)),
        Some((1, 0))
    );
    assert!(!fleet.confirm(&slot(0)));
    assert!(!fleet.release(&slot(0)));
    assert!(!fleet.reserve(&slot(1)));
}

#[test]
fn an_embedder_adds_a_factor() {
    const FAR: Factor = Factor::new("far", 0.5, "not in our own building", |worker| {
        Some(if worker.labels.contains_key("remote") {
            1.0
        } else {
            0.0
        })
    });
    let mut factors = FACTORS.to_vec();
    factors.push(FAR);
    let policy = BalancePolicy::new(&factors, &Weights::default().with("cpu", 0.0)).expect("valid");
    let mut far = blank_worker(0, 100);
    far.labels.insert("remote".into(), "yes".into());
    let near = WorkerSnapshot {
        assigned: 90,
        ..blank_worker(1, 100)
    };
    let choice = choose(policy, [far, near], &Request::default(), &Dice::seeded(4)).expect("open");
    assert_eq!(choice.worker, slot(1));
    let last = choice.explanation.factors.last().expect("eight factors");
    assert_eq!((last.name.as_ref(), last.raw), ("far", 0.0));
}

#[test]
fn an_embedder_brings_a_strategy() {
    #[derive(Debug)]
    struct Anyone;
    impl Strategy for Anyone {
        fn name(&self) -> &'static str {
            "anyone"
        }
        fn choose<'a>(&self, field: &Field<'a>, entropy: &dyn Entropy) -> Option<Candidate<'a>> {
            field.draw(entropy).or_else(|| field.first())
        }
    }
    let strategy: Arc<dyn Strategy> = Arc::new(Anyone);
    let mut fleet = Fleet::new(BalancePolicy::default().with_strategy(strategy));
    for number in 0..4 {
        fleet.upsert(blank_worker(number, 100));
    }
    let dice = Dice::seeded(9);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let choice = fleet.pick(&Request::default(), &dice).expect("open");
        assert_eq!(choice.explanation.strategy, "anyone");
        assert_eq!(choice.explanation.runners_up, 3);
        seen.insert(choice.worker);
    }
    assert_eq!(seen.len(), 4, "a draw reaches everybody");
}

#[test]
fn each_reason_of_a_refusal_reads_differently() {
    let reasons = [
        FilterReason::Inactive,
        FilterReason::StateNotStored,
        FilterReason::Cordoned,
        FilterReason::BreakerOpen,
        FilterReason::Full,
        FilterReason::Labels,
        FilterReason::ProtocolVersion,
        FilterReason::StateFormat,
        FilterReason::Excluded,
    ];
    let words: BTreeSet<_> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), reasons.len());
    let old = winner([blank_worker(1, 10)], &{
        Request {
            min_protocol_version: 99,
            ..Request::default()
        }
    });
    assert_eq!(
        old,
        "none of 1 workers can take the session: 1 protocol too old"
    );
}

/// Workers of one tenant's sessions: all ten on the first of two that are otherwise alike.
fn crowded(spread: f64) -> String {
    let policy = BalancePolicy::default().with_spread(spread);
    let mut busier = blank_worker(2, 100);
    busier.assigned = 5;
    let request = Request {
        spread: Some(BTreeMap::from([(slot(1), 10)])),
        ..Request::default()
    };
    let workers = [blank_worker(1, 100), busier];
    let choice = choose(policy, workers, &request, &Dice::seeded(4)).expect("both are open");
    choice.worker.to_string()
}

#[test]
fn the_price_of_a_crowded_tenant_is_the_operators() {
    assert_eq!(crowded(0.0), "worker-01", "only the load counts");
    assert_eq!(
        crowded(1.0),
        "worker-02",
        "the tenant is spread at any load"
    );
}

#[test]
fn a_strategy_that_ranks_nobody_lets_all_take_turns() {
    #[derive(Debug)]
    struct Fair;
    impl Strategy for Fair {
        fn name(&self) -> &'static str {
            "fair"
        }
        fn order(&self) -> IndexOrder {
            IndexOrder::Rank
        }
    }
    let strategy: Arc<dyn Strategy> = Arc::new(Fair);
    let mut fleet = Fleet::new(BalancePolicy::default().with_strategy(strategy));
    let mut loaded = blank_worker(0, 100);
    loaded.assigned = 90;
    for worker in [loaded, blank_worker(1, 100), blank_worker(2, 100)] {
        fleet.upsert(worker);
    }
    let mut seen = BTreeMap::new();
    for _ in 0..9 {
        let choice = fleet
            .pick(&Request::default(), &Dice::seeded(1))
            .expect("open");
        fleet.reserve(&choice.worker);
        *seen.entry(choice.worker).or_insert(0) += 1;
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [3, 3, 3]);
}

#[test]
fn a_strategy_sees_who_suits_and_what_is_known_of_them() {
    /// The one with the fewest free places that still suits.
    #[derive(Debug)]
    struct Tight;
    impl Strategy for Tight {
        fn name(&self) -> &'static str {
            "tight"
        }
        fn choose<'a>(&self, field: &Field<'a>, entropy: &dyn Entropy) -> Option<Candidate<'a>> {
            assert!(!field.is_empty(), "nobody is asked to choose among none");
            let drawn = (0..64).filter_map(|_| field.draw(entropy));
            drawn.min_by_key(|candidate| candidate.worker().max_sessions)
        }
    }
    let strategy: Arc<dyn Strategy> = Arc::new(Tight);
    let mut fleet = Fleet::new(BalancePolicy::default().with_strategy(strategy));
    for (number, room) in [(0, 50), (1, 5), (2, 20)] {
        fleet.upsert(blank_worker(number, room));
    }
    let pick = |fleet: &mut Fleet, request: &Request| {
        let choice = fleet.pick(request, &Dice::seeded(3));
        choice.map(|choice| choice.worker).ok()
    };
    assert_eq!(pick(&mut fleet, &Request::default()), Some(slot(1)));
    let without = Request {
        exclude: BTreeSet::from([slot(1)]),
        ..Request::default()
    };
    assert_eq!(pick(&mut fleet, &without), Some(slot(2)));
}

#[test]
fn a_factor_is_called_what_it_is_called_and_measures_alone() {
    let names: BTreeSet<_> = FACTORS.iter().map(Factor::name).collect();
    assert_eq!(names.len(), FACTORS.len());
    let half = loaded(1, |load| load.latency_ms = None);
    let of = |name| {
        let factor = FACTORS.iter().find(|factor| factor.name() == name);
        factor.map(|factor| factor.measure(&half))
    };
    assert_eq!(of("latency"), Some(None), "unknown stays unknown");
    assert!(matches!(of("cpu"), Some(Some(value)) if value > 0.0 && value < 1.0));
}
