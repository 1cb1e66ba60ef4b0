//! No sequence of inputs gives two owners, and every state is left again.
//!
//! One row, three workers and a network that delays, repeats, reorders and loses every order and
//! every report. Workers behave as the protocol says (they refuse lower epochs and remember closed
//! ones), and die at any moment; the shell does what the orchestrator does (it checks owner and epoch of
//! what is reported and answered). The model is the set of (run, epoch) that hold the session: it never
//! has two members, and its member is always the row's owner at the row's epoch.

use std::collections::BTreeMap;

use gateway_core::session::{Closure, Order};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What the adversary does next. An index picks one of the things there are.
#[derive(Clone, Debug)]
enum Step {
    Ask(Command),
    /// Time passes, and whatever is due is claimed.
    Tick(u64),
    /// A placement found this worker, or nobody.
    Place(Option<u32>),
    /// An order arrives; it may arrive again.
    Order(Index),
    /// A report arrives; it may arrive again.
    Report(Index),
    /// A worker that holds the session says something of it.
    Say(Index, Observation),
    /// A worker sends a heartbeat with all that it holds, and drops what the answer says.
    Beat(u32),
    /// A process dies; its next run starts at once.
    Die(u32),
    /// A dead run is fenced.
    Fence(Index),
}

fn steps() -> impl Strategy<Value = Step> {
    let some = any::<Index>;
    prop_oneof![
        2 => sequences::commands().prop_map(Step::Ask),
        3 => (0..90u64).prop_map(Step::Tick),
        4 => proptest::option::weighted(0.9, 1..4u32).prop_map(Step::Place),
        6 => some().prop_map(Step::Order),
        4 => some().prop_map(Step::Report),
        4 => (some(), sequences::observations()).prop_map(|(who, what)| Step::Say(who, what)),
        3 => (1..4u32).prop_map(Step::Beat),
        1 => (1..4u32).prop_map(Step::Die),
        2 => some().prop_map(Step::Fence),
    ]
}

/// One run of a worker.
#[derive(Clone, Debug, Default)]
struct Run {
    holds: Option<Epoch>,
    /// The highest epoch it has closed.
    tomb: Epoch,
    dead: bool,
    said: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Start,
    Stop,
}

#[derive(Debug)]
struct World {
    policy: SessionPolicy,
    now: Timestamp,
    row: Option<Session>,
    runs: BTreeMap<Owner, Run>,
    newest: BTreeMap<u32, u32>,
    orders: Vec<(Kind, Order)>,
    reports: Vec<(Owner, Epoch, Report)>,
    wants_place: bool,
    /// What was to be dropped according to the last answer to a heartbeat.
    told: Option<Order>,
    /// What the last heartbeat did not name although it should.
    missing: Option<Order>,
    given: Vec<(Owner, Epoch)>,
}

impl World {
    fn new() -> Self {
        let newest: BTreeMap<u32, u32> = (1..4).map(|number| (number, 1)).collect();
        Self {
            policy: SessionPolicy::default(),
            now: START,
            row: Some(card()),
            runs: (1..4)
                .map(|number| (owner(number), Run::default()))
                .collect(),
            newest,
            orders: Vec::new(),
            reports: Vec::new(),
            wants_place: false,
            told: None,
            missing: None,
            given: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Ask(command) => self.apply(&Input::Command(command.clone())),
            Step::Tick(wait) => {
                self.now = self.now.plus(seconds(*wait));
                self.tick();
            }
            Step::Place(Some(number)) => self.place(*number),
            Step::Place(None) if self.wants_place => self.apply(&Input::NoCapacity),
            Step::Place(None) => {}
            Step::Order(which) if !self.orders.is_empty() => {
                let (kind, order) = which.get(&self.orders).clone();
                self.deliver(kind, &order);
            }
            Step::Report(which) if !self.reports.is_empty() => {
                let (who, epoch, report) = which.get(&self.reports).clone();
                self.hear(&who, epoch, report);
            }
            Step::Order(_) | Step::Report(_) => {}
            Step::Say(which, what) => {
                let holders = self.holders();
                if !holders.is_empty() {
                    let (who, epoch) = which.get(&holders).clone();
                    self.say(&who, epoch, what.clone());
                }
            }
            Step::Beat(number) => self.beat(*number),
            Step::Die(number) => self.die(*number),
            Step::Fence(which) => {
                let dead: Vec<Owner> = self.dead();
                if !dead.is_empty() {
                    self.fence(&which.get(&dead).clone());
                }
            }
        }
        self.check();
    }

    /// The model: who holds the session.
    fn holders(&self) -> Vec<(Owner, Epoch)> {
        let live = self.runs.iter().filter(|(_, run)| !run.dead);
        live.filter_map(|(owner, run)| Some((owner.clone(), run.holds?)))
            .collect()
    }

    fn check(&self) {
        let holders = self.holders();
        assert!(holders.len() < 2, "two owners: {holders:?}");
        let assigned = self.row.as_ref().and_then(Session::order);
        for (who, epoch) in holders {
            let assigned = assigned.as_ref().map(|order| (&order.owner, order.epoch));
            assert_eq!(assigned, Some((&who, epoch)), "held without a right");
        }
        assert!(
            self.given.is_sorted_by(|a, b| a.1 < b.1),
            "{:?}",
            self.given
        );
    }

    fn apply(&mut self, input: &Input) {
        let Some(row) = &self.row else { return };
        let decided = decide(&self.policy, row, input, self.now);
        invariants::check(row, input, &decided, self.now);
        let Ok(decision) = decided else { return };
        self.row = decision.row;
        if let (Input::Placed { owner, .. }, Some(row)) = (input, &self.row) {
            self.given.push((owner.clone(), row.epoch));
        }
        for effect in decision.effects {
            match effect {
                Effect::Place(_) => self.wants_place = true,
                Effect::Start(start) => self.orders.push((Kind::Start, start.order)),
                Effect::Release(order) | Effect::Logout(order) | Effect::Forget(order) => {
                    self.orders.push((Kind::Stop, order));
                }
                Effect::Cordon(_)
                | Effect::NotHeld(_)
                | Effect::Disown(_)
                | Effect::Erase(_)
                | Effect::Archive(..)
                | Effect::Nudge => {}
            }
        }
    }

    fn tick(&mut self) {
        let due = self.row.as_ref().and_then(|row| row.due_at);
        if let (Some(row), true) = (&mut self.row, due.is_some_and(|due| due <= self.now)) {
            claim(row, &self.policy, self.now);
            self.apply(&Input::Due);
        }
    }

    /// A placement goes to the newest run and only while the row waits: the reservation says so.
    fn place(&mut self, number: u32) {
        let waits = self
            .row
            .as_ref()
            .is_some_and(|row| row.phase == Phase::Waiting);
        if self.wants_place && waits {
            self.wants_place = false;
            let who = run_of(number, self.newest[&number]);
            self.apply(&placed_on(&who));
        }
    }

    /// What a worker does with an order, and what the shell does with its answer.
    fn deliver(&mut self, kind: Kind, order: &Order) {
        let Some(run) = self.runs.get_mut(&order.owner).filter(|run| !run.dead) else {
            return;
        };
        let refused = order.epoch <= run.tomb || run.holds.is_some_and(|held| held > order.epoch);
        match kind {
            Kind::Start if refused => self.answer(order),
            Kind::Start => run.holds = Some(order.epoch),
            Kind::Stop if run.holds.is_some_and(|held| held > order.epoch) => {}
            Kind::Stop => {
                run.holds = None;
                run.tomb = run.tomb.max(order.epoch);
                self.answer(order);
            }
        }
    }

    /// "It is closed here" counts for the very order it answers.
    fn answer(&mut self, order: &Order) {
        let named = self.row.as_ref().and_then(Session::order);
        if named.as_ref() == Some(order) {
            self.apply(&Input::Stopped);
        }
    }

    /// A worker says something; a closure is true from the moment it is said.
    fn say(&mut self, who: &Owner, epoch: Epoch, what: Observation) {
        let Some(run) = self.runs.get_mut(who) else {
            return;
        };
        run.said += 1;
        if matches!(what, Observation::Closed(_)) {
            run.holds = None;
            run.tomb = run.tomb.max(epoch);
        }
        let linked = matches!(what, Observation::Live(Observed::Connected));
        let report = Report {
            seq: Some(run.said),
            observation: what,
            retry_at: None,
            phone_number: linked.then(|| "491701234567".to_owned()),
        };
        self.reports.push((who.clone(), epoch, report));
    }

    fn hear(&mut self, who: &Owner, epoch: Epoch, report: Report) {
        let named = self.row.as_ref().and_then(Session::order);
        if named.is_some_and(|order| order.owner == *who && order.epoch == epoch) {
            self.apply(&Input::Reported(report));
        }
    }

    /// What the gateway makes of a full list, and the worker of the answer to it.
    fn beat(&mut self, number: u32) {
        let who = run_of(number, self.newest[&number]);
        let Some((order, phase)) = self.row.as_ref().and_then(|row| {
            let order = row.order().filter(|order| order.owner == who)?;
            Some((order, row.phase.name()))
        }) else {
            return;
        };
        let holds = self.runs.get(&who).and_then(|run| run.holds);
        let is_named = holds == Some(order.epoch);
        let heard_before = match phase {
            "STOPPING" => self.told.replace(order.clone()),
            "ACTIVE" => self.missing.take(),
            _ => return,
        };
        if phase == "ACTIVE" && !is_named {
            self.missing = Some(order.clone());
        }
        if phase == "STOPPING"
            && let Some(run) = self.runs.get_mut(&who)
        {
            run.holds = run.holds.filter(|held| *held > order.epoch);
            run.tomb = run.tomb.max(order.epoch);
        }
        if !is_named && heard_before == Some(order) {
            self.apply(&Input::NotHeld);
        }
    }

    fn die(&mut self, number: u32) {
        let run = self.newest[&number];
        if let Some(run) = self.runs.get_mut(&run_of(number, run)) {
            run.dead = true;
        }
        self.newest.insert(number, run + 1);
        self.runs.insert(run_of(number, run + 1), Run::default());
    }

    fn dead(&self) -> Vec<Owner> {
        let dead = self.runs.iter().filter(|(_, run)| run.dead);
        dead.map(|(owner, _)| owner.clone()).collect()
    }

    fn fence(&mut self, who: &Owner) {
        if self.row.as_ref().and_then(Session::owner) == Some(who) {
            self.apply(&Input::OwnerGone);
        }
    }

    /// What the tenant wants is so, or a person has to act.
    fn is_settled(&self) -> bool {
        let Some(row) = &self.row else { return true };
        match (&row.phase, row.desired) {
            (Phase::Idle, Desired::Disconnected) => true,
            (Phase::Active { observed, .. }, Desired::Connected) => {
                *observed == Observed::Connected && self.holders().len() == 1
            }
            (Phase::Parked { parked }, _) => parked.until.is_none_or(|end| end > at(100_000_000)),
            (
                Phase::Idle
                | Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Active { .. }
                | Phase::Stopping { .. },
                Desired::Connected | Desired::Disconnected,
            ) => false,
        }
    }

    /// One round in which everything works: the dead are fenced, orders are answered, a worker that
    /// holds the session connects, and time moves to whatever is due.
    fn fair_round(&mut self) {
        for who in self.dead() {
            self.fence(&who);
        }
        self.place(1);
        for (kind, order) in std::mem::take(&mut self.orders) {
            self.deliver(kind, &order);
        }
        for (who, epoch) in self.holders() {
            self.say(&who, epoch, Observation::Live(Observed::Connected));
        }
        for (who, epoch, report) in std::mem::take(&mut self.reports) {
            self.hear(&who, epoch, report);
        }
        if let Some(due) = self.row.as_ref().and_then(|row| row.due_at) {
            self.now = self.now.max(due);
        }
        self.tick();
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_inputs_gives_two_owners_and_a_fair_one_reaches_what_is_wanted(
        first in sequences::commands(),
        steps in vec(steps(), 1..120),
    ) {
        let mut world = World::new();
        world.apply(&Input::Command(first));
        for step in &steps {
            world.step(step);
        }
        for _ in 0..60 {
            if world.is_settled() {
                return Ok(());
            }
            world.fair_round();
        }
        prop_assert!(false, "stuck: {:#?}", world);
    }
}

#[test]
fn a_start_that_arrives_after_its_release_is_refused_and_harmless() {
    let mut world = World::new();
    world.apply(&Input::Command(connect()));
    world.place(1);
    let (_, start) = world.orders[0].clone();
    world.apply(&Input::Command(Command::Restart));
    let (_, stop) = world.orders[1].clone();
    world.deliver(Kind::Stop, &stop);
    world.place(2);
    world.deliver(Kind::Start, &start);
    world.check();
    assert!(world.holders().is_empty());
}

#[test]
fn a_closure_that_the_worker_said_of_a_former_epoch_ends_nothing() {
    let mut world = World::new();
    world.apply(&Input::Command(connect()));
    world.place(1);
    let start = world.orders[0].1.clone();
    world.deliver(Kind::Start, &start);
    let closed = Observation::Closed(Closure::Disconnected { reason: None });
    world.say(&start.owner, start.epoch, closed);
    world.die(1);
    world.fence(&start.owner);
    world.place(1);
    let (who, epoch, late) = world.reports[0].clone();
    world.hear(&who, epoch, late);
    assert_eq!(world.row.map(|row| row.phase.name()), Some("STARTING"));
}
