//! The contract written down naively: scan all workers, in plain floating point.
//!
//! Shares no code with the index; only the factors' own functions are taken from the crate.

use std::collections::BTreeMap;

use gateway_core::balance::{Choice, FACTORS, NoWorker, Request, WorkerSnapshot};
use gateway_core::id::WorkerId;

const WEIGHTS: [f64; 7] = [0.30, 0.20, 0.15, 0.15, 0.10, 0.05, 0.05];
const SPREAD: f64 = 0.05;
const TOLERANCE: f64 = 1e-6;

/// The workers as they should be in the fleet.
#[derive(Debug, Default)]
pub(super) struct Model(pub(super) BTreeMap<WorkerId, WorkerSnapshot>);

impl Model {
    pub(super) fn upsert(&mut self, mut worker: WorkerSnapshot) {
        if let Some(known) = self.0.get(&worker.worker) {
            worker.reserved = known.reserved;
        }
        self.0.insert(worker.worker.clone(), worker);
    }

    fn values(&self, worker: &WorkerSnapshot) -> Vec<Option<f64>> {
        let measure = FACTORS.iter().map(|factor| factor.measure(worker));
        measure
            .map(|value| value.filter(|v| !v.is_nan()).map(|v| v.clamp(0.0, 1.0)))
            .collect()
    }

    /// The lower median of each factor over the fleet, to a thousandth (of whole billionths, so that
    /// both sides agree on what lies halfway).
    fn medians(&self) -> Vec<f64> {
        let all: Vec<_> = self.0.values().map(|worker| self.values(worker)).collect();
        let median = |factor: usize| {
            let mut known: Vec<f64> = all.iter().filter_map(|values| values[factor]).collect();
            known.sort_by(f64::total_cmp);
            let middle = known.get(known.len().saturating_sub(1) / 2);
            middle.map_or(0.5, |value| ((value * 1e9).round() / 1e6).round() / 1000.0)
        };
        (0..FACTORS.len()).map(median).collect()
    }

    /// The value of every factor, the median where the worker has none.
    pub(super) fn filled(&self, worker: &WorkerSnapshot) -> Vec<f64> {
        let values = self.values(worker).into_iter().zip(self.medians());
        values
            .map(|(value, median)| value.unwrap_or(median))
            .collect()
    }

    fn score(&self, worker: &WorkerSnapshot) -> f64 {
        self.filled(worker)
            .iter()
            .zip(WEIGHTS)
            .map(|(value, weight)| value * weight)
            .sum()
    }

    pub(super) fn suits(&self, worker: &WorkerSnapshot, request: &Request) -> bool {
        let mut labels = request.labels.iter();
        worker.active
            && worker.breaker_closed
            && !worker.cordoned
            && worker.assigned + worker.reserved < worker.max_sessions
            && labels.all(|(name, value)| worker.labels.get(name).is_some_and(|v| v == value))
            && worker.protocol_version >= request.min_protocol_version
            && request
                .state_format
                .as_ref()
                .is_none_or(|f| worker.state_format.as_ref() == Some(f))
            && !request.exclude.contains(&worker.worker)
    }

    pub(super) fn suitable(&self, request: &Request) -> Vec<&WorkerSnapshot> {
        self.0
            .values()
            .filter(|worker| self.suits(worker, request))
            .collect()
    }

    /// Checks an answer that any strategy may give: a suitable worker or a counted refusal.
    pub(super) fn check(&self, request: &Request, answer: &Result<Choice, NoWorker>) {
        match answer {
            Ok(choice) => self.check_choice(request, choice),
            Err(refusal) => {
                let suitable = self.suitable(request);
                assert!(
                    suitable.is_empty(),
                    "refused although these suit: {suitable:?}"
                );
                let counted: u32 = refusal.rejected.values().sum();
                assert_eq!(refusal.considered, self.0.len());
                assert_eq!(
                    counted as usize,
                    self.0.len(),
                    "each worker counts once: {refusal}"
                );
            }
        }
    }

    fn check_choice(&self, request: &Request, choice: &Choice) {
        let worker = &self.0[&choice.worker];
        assert!(self.suits(worker, request), "does not suit: {worker:?}");
        assert_eq!(choice.incarnation, worker.incarnation);
        let raw: Vec<f64> = choice
            .explanation
            .factors
            .iter()
            .map(|part| part.raw)
            .collect();
        for (found, expected) in raw.iter().zip(self.filled(worker)) {
            assert!(
                (found - expected).abs() < TOLERANCE,
                "{raw:?} {:?}",
                self.filled(worker)
            );
        }
    }

    /// Checks that no suitable worker beats the chosen one by score and tenant spread.
    pub(super) fn check_best(&self, request: &Request, answer: &Result<Choice, NoWorker>) {
        self.check(request, answer);
        let Ok(choice) = answer else {
            return;
        };
        let total = |worker: &WorkerSnapshot| self.score(worker) + spread(request, &worker.worker);
        let chosen = total(&self.0[&choice.worker]);
        let explained = choice.explanation.score + choice.explanation.spread;
        assert!(
            (chosen - explained).abs() < TOLERANCE,
            "{chosen} {explained}"
        );
        for other in self.suitable(request) {
            assert!(
                chosen < total(other) + TOLERANCE,
                "{} beats {}",
                other.worker,
                choice.worker
            );
        }
    }
}

fn spread(request: &Request, worker: &WorkerId) -> f64 {
    let Some(holders) = &request.spread else {
        return 0.0;
    };
    let held = holders.get(worker).copied().unwrap_or(0);
    let total: u32 = holders.values().sum();
    SPREAD * f64::from(held) / f64::from(total.max(1))
}
