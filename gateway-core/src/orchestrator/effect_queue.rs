//! Which effects to perform next: a bound on how many run at once, per worker and in all.
//!
//! A worker that dies with ten thousand sessions frees ten thousand rows at once. Every one is worth an
//! attempt, but ten thousand tasks would stand in line for the same few connections, and one slow worker
//! would keep all others waiting. So effects queue per worker and take turns; effects on one subject (a
//! session, or a worker itself) run one after the other, in the order in which they were added; and one that
//! is waiting already is not added again. Losing the queue loses nothing: rows fall due again.
//!
//! It only keeps the books. Whoever performs effects asks [`EffectQueue::take`] for one until there is none,
//! and tells [`EffectQueue::finish`] about each that has ended.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{SessionId, WorkerId};
use crate::session::Effect;

/// How many effects run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectLimits {
    /// The most effects that call one worker. As many of those that need the store alone, and as many of those
    /// that move files, run beside them.
    pub per_worker: usize,
    /// The most effects that call any worker.
    pub total: usize,
}

impl Default for EffectLimits {
    fn default() -> Self {
        Self {
            per_worker: 16,
            total: 256,
        }
    }
}

/// What an effect is about. Effects about the same run one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Session(SessionId),
    Worker(WorkerId),
    Everything,
}

/// What effects wait for. Workers that hang hold up neither placements nor files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Store,
    Files,
    Worker(WorkerId),
}

impl Lane {
    const fn calls_worker(&self) -> bool {
        matches!(self, Self::Worker(_))
    }
}

/// Effects that wait, and the count of those that run. See the module page.
#[derive(Debug, Default)]
pub struct EffectQueue {
    limits: EffectLimits,
    subjects: BTreeMap<Subject, Waiting>,
    lanes: BTreeMap<Lane, LaneState>,
    /// Lanes that have an effect and room to run it, the one whose turn is next first.
    turns: VecDeque<Lane>,
    running: usize,
    /// How many of those that run call a worker.
    calling: usize,
    waiting: usize,
}

/// The effects on one subject.
#[derive(Debug)]
struct Waiting {
    /// The first one: it runs, or its subject stands in a lane.
    first: Effect,
    is_running: bool,
    /// What comes after it, in order.
    then: VecDeque<Effect>,
}

#[derive(Debug, Default)]
struct LaneState {
    waiting: VecDeque<Subject>,
    running: usize,
    has_turn: bool,
}

impl EffectQueue {
    /// Creates an empty queue. Limits of zero count as one.
    #[must_use]
    pub fn new(limits: EffectLimits) -> Self {
        let limits = EffectLimits {
            per_worker: limits.per_worker.max(1),
            total: limits.total.max(1),
        };
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Adds an effect behind all others on its subject, unless it is waiting already.
    pub fn add(&mut self, effect: Effect) {
        let subject = subject(&effect);
        let Some(waiting) = self.subjects.get_mut(&subject) else {
            self.waiting += 1;
            self.enter(subject, effect, VecDeque::new());
            return;
        };
        let is_first = !waiting.is_running && waiting.first == effect;
        if !is_first && !waiting.then.contains(&effect) {
            waiting.then.push_back(effect);
            self.waiting += 1;
        }
    }

    /// Returns the next effect to perform; none if no effect waits or too many run. Lanes take turns.
    pub fn take(&mut self) -> Option<Effect> {
        let may_call = self.calling < self.limits.total;
        let may_run = |lane: &Lane| may_call || !lane.calls_worker();
        let turn = self.turns.iter().position(may_run)?;
        let key = self.turns.remove(turn)?;
        let lane = self.lanes.get_mut(&key)?;
        lane.has_turn = false;
        let subject = lane.waiting.pop_front()?;
        let waiting = self.subjects.get_mut(&subject)?;
        waiting.is_running = true;
        lane.running += 1;
        self.running += 1;
        self.calling += usize::from(key.calls_worker());
        self.waiting -= 1;
        let effect = waiting.first.clone();
        self.give_turn(key);
        Some(effect)
    }

    /// Notes that an effect which was taken has ended, and adds the effects that follow from it ahead of
    /// everything else that waits on its subject.
    pub fn finish(&mut self, effect: &Effect, followed_by: Vec<Effect>) {
        self.leave_lane(lane(effect));
        let ended = subject(effect);
        let former = self.subjects.remove(&ended);
        let mut then = former.map_or_else(VecDeque::new, |waiting| waiting.then);
        let (same, others): (Vec<_>, Vec<_>) = followed_by
            .into_iter()
            .partition(|next| subject(next) == ended);
        let waited = then.len();
        for next in same.into_iter().rev() {
            then.retain(|other| *other != next);
            then.push_front(next);
        }
        self.waiting = self.waiting - waited + then.len();
        if let Some(next) = then.pop_front() {
            self.enter(ended, next, then);
        }
        for other in others {
            self.add(other);
        }
    }

    /// Returns how many effects wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns how many effects run.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.running
    }

    fn enter(&mut self, subject: Subject, first: Effect, then: VecDeque<Effect>) {
        let key = lane(&first);
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.waiting.push_back(subject.clone());
        let waiting = Waiting {
            first,
            is_running: false,
            then,
        };
        self.subjects.insert(subject, waiting);
        self.give_turn(key);
    }

    fn leave_lane(&mut self, key: Lane) {
        self.running = self.running.saturating_sub(1);
        let called = usize::from(key.calls_worker());
        self.calling = self.calling.saturating_sub(called);
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.running = lane.running.saturating_sub(1);
        if lane.running == 0 && lane.waiting.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.give_turn(key);
        }
    }

    /// Puts a lane at the end of the turns, if it has something to run and may, and does not stand there.
    fn give_turn(&mut self, key: Lane) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        let has_room = lane.running < self.limits.per_worker;
        if !lane.has_turn && !lane.waiting.is_empty() && has_room {
            lane.has_turn = true;
            self.turns.push_back(key);
        }
    }
}

fn subject(effect: &Effect) -> Subject {
    match effect {
        Effect::Place(session) | Effect::Erase(session) | Effect::Archive(session, _) => {
            Subject::Session(*session)
        }
        Effect::Start(start) => Subject::Session(start.order.session),
        Effect::Release(order)
        | Effect::Logout(order)
        | Effect::Forget(order)
        | Effect::NotHeld(order) => Subject::Session(order.session),
        Effect::Cordon(order) => Subject::Worker(order.owner.worker.clone()),
        Effect::Disown(owner) => Subject::Worker(owner.worker.clone()),
        Effect::Nudge => Subject::Everything,
    }
}

/// Returns the lane that an effect stands in.
fn lane(effect: &Effect) -> Lane {
    let owner = match effect {
        Effect::Start(start) => &start.order.owner,
        Effect::Release(order) | Effect::Logout(order) | Effect::Forget(order) => &order.owner,
        Effect::Erase(_) | Effect::Archive(..) => return Lane::Files,
        Effect::Place(_)
        | Effect::Cordon(_)
        | Effect::NotHeld(_)
        | Effect::Disown(_)
        | Effect::Nudge => return Lane::Store,
    };
    Lane::Worker(owner.worker.clone())
}
