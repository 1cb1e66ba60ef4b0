//! A queue of things that the gateway must hear of, in order.
//!
//! Nothing in it may block what stands behind it, and nothing is repeated for ever: see
//! [`Line::not_taken`]. What each answer of the gateway means is said in `GatewayError::setback`.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::time::Uptime;

use crate::fact::Fact;

/// The most things in one call, and about how many bytes of facts.
pub(crate) const BATCH: usize = 200;
const BATCH_BYTES: usize = 512 * 1024;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often something is answered without a verdict, by a gateway that is there, before it is given up.
pub(crate) const MOST_DOUBTS: u32 = 10;

/// The pause between attempts, which doubles from a tenth of a second to five.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Uptime,
}

impl Backoff {
    pub(crate) fn failed(&mut self, now: Uptime, at_least: Option<Duration>) {
        let wait = FIRST_WAIT * 2u32.saturating_pow(self.failures.min(6));
        let wait = wait.min(LONGEST_WAIT).max(at_least.unwrap_or_default());
        self.failures += 1;
        self.not_before = now.plus(wait);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_over(&self, now: Uptime) -> bool {
        now >= self.not_before
    }

    pub(crate) const fn until(&self) -> Uptime {
        self.not_before
    }
}

/// What the gateway's answer means for a call that it did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The gateway asks for patience; the call is repeated as long as it does.
    Later(Option<Duration>),
    /// There is no verdict: no answer, or one that says nothing of what was sent. The call is repeated. It is
    /// held against what was sent only if the gateway is there, which its renewals say: their number so far.
    Doubt { renewals: u64 },
    /// The gateway will never take what was sent.
    Refusal,
}

/// How often something was answered without a verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts {
    count: u32,
    /// How many renewals there had been when the last one was counted.
    renewals: u64,
}

impl Doubts {
    /// Counts one, unless the gateway has granted no renewal since the last one. Returns whether it counts.
    pub(crate) const fn add(&mut self, renewals: u64) -> bool {
        let counts = renewals > self.renewals;
        if counts {
            self.renewals = renewals;
            self.count += 1;
        }
        counts
    }

    pub(crate) const fn are_too_many(&self) -> bool {
        self.count >= MOST_DOUBTS
    }
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    item: T,
    doubts: Doubts,
}

/// A queue of things in order, of which the first `flying` are on their way. See the module's page.
#[derive(Clone, Debug)]
pub(crate) struct Line<T> {
    waiting: VecDeque<Waiting<T>>,
    flying: usize,
    /// The most that one call carries; less than a batch while it is searched for what is not taken.
    most: usize,
    backoff: Backoff,
    /// Whether what is repeated may let others go first.
    yields: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            flying: 0,
            most: BATCH,
            backoff: Backoff::default(),
            yields: true,
        }
    }
}

impl<T> Line<T> {
    /// Makes a line in which nothing overtakes anything.
    pub(crate) fn in_order() -> Self {
        Self {
            yields: false,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T: Clone> Line<T> {
    pub(crate) fn push(&mut self, item: T) {
        let doubts = Doubts::default();
        self.waiting.push_back(Waiting { item, doubts });
    }

    pub(crate) fn any(&self, test: impl Fn(&T) -> bool) -> bool {
        self.waiting.iter().any(|waiting| test(&waiting.item))
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.waiting.front().map(|waiting| &waiting.item)
    }

    /// Returns the next things to send, if none are on their way.
    pub(crate) fn take(&mut self, most: usize, now: Uptime) -> Option<Vec<T>> {
        if self.flying > 0 || self.waiting.is_empty() || !self.backoff.is_over(now) {
            return None;
        }
        self.flying = most.min(self.most).min(self.waiting.len());
        let flying = self.waiting.iter().take(self.flying);
        Some(flying.map(|waiting| waiting.item.clone()).collect())
    }

    /// Removes and returns what was on its way: it has arrived, or will never be taken.
    pub(crate) fn settled(&mut self) -> Vec<T> {
        self.backoff.succeeded();
        self.most = BATCH.min(self.most * 2);
        let flying = std::mem::take(&mut self.flying);
        let settled = self.waiting.drain(..flying.min(self.waiting.len()));
        settled.map(|waiting| waiting.item).collect()
    }

    /// Notes that what was on its way was not taken. Returns what is given up for that.
    ///
    /// A call that carried several things is repeated in halves, so that one of them alone is found guilty.
    /// That one is given up if it is refused. If there is no verdict, it is tried again, behind the others where
    /// order does not matter, and given up the tenth time that it happens while the gateway grants renewals.
    pub(crate) fn not_taken(&mut self, setback: Setback, now: Uptime) -> Option<T> {
        match setback {
            Setback::Later(wait) => self.failed(now, wait),
            Setback::Refusal if self.halve() => {}
            Setback::Refusal => return self.settled().pop(),
            Setback::Doubt { .. } if self.halve() => self.failed(now, None),
            Setback::Doubt { renewals } => {
                let first = self.waiting.front_mut()?;
                let counts = first.doubts.add(renewals);
                if first.doubts.are_too_many() {
                    return self.settled().pop();
                }
                if counts && self.yields {
                    self.waiting.rotate_left(1);
                }
                self.failed(now, None);
            }
        }
        None
    }

    fn failed(&mut self, now: Uptime, at_least: Option<Duration>) {
        self.flying = 0;
        self.backoff.failed(now, at_least);
    }

    /// Puts back what was on its way and lets the next call carry half as much. Returns `false`, and changes
    /// nothing, if it was a single thing.
    fn halve(&mut self) -> bool {
        let several = self.flying > 1;
        if several {
            self.most = self.flying / 2;
            self.flying = 0;
        }
        several
    }

    /// Notes that nothing is on its way any more: what was will be sent again.
    pub(crate) fn ground(&mut self) {
        self.flying = 0;
        self.backoff = Backoff::default();
    }

    /// Removes what `test` finds; if that is on its way, its answer will be too late.
    pub(crate) fn forget(&mut self, test: impl Fn(&T) -> bool) {
        if self.first().is_some_and(&test) {
            self.ground();
        }
        self.waiting.retain(|waiting| !test(&waiting.item));
    }

    pub(crate) fn next_due(&self) -> Option<Uptime> {
        (self.flying == 0 && !self.waiting.is_empty()).then(|| self.backoff.until())
    }
}

impl<T: Clone> Line<Fact<T>> {
    /// Returns the next facts to send, as many as fit into one call, if none are on their way.
    pub(crate) fn take_facts(&mut self, now: Uptime) -> Option<Vec<T>> {
        let sizes = self.waiting.iter().scan(0, |sum, waiting| {
            *sum += waiting.item.bytes;
            Some(*sum)
        });
        let fitting = sizes.take_while(|sum| *sum <= BATCH_BYTES).take(BATCH);
        let fitting = fitting.count().max(1);
        let facts = self.take(fitting, now)?;
        Some(facts.into_iter().map(|fact| fact.content).collect())
    }
}
