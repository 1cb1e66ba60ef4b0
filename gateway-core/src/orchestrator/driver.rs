//! The pump: what a program with a loop of its own calls to keep an orchestrator going.
//!
//! An [`Orchestrator`] does nothing by itself. Somebody has to tick, perform every effect, perform what follows
//! from those, look after workers that do not answer, and know when to come back. [`Driver::pump`] is one round
//! of all that; it works over any ports, spawns nothing and never sleeps. The loop around it has four lines:
//!
//! ```
//! # use gateway_core::orchestrator::Driver;
//! # use gateway_core::store::StoreError;
//! # use std::time::Duration;
//! # async fn sleep_or_nudge(_: Duration) {}
//! # async fn example(driver: Driver) -> Result<(), StoreError> {
//! loop {
//!     let pumped = driver.pump().await?;
//!     // Ends early when an operation has effects, or when another replica says `Notice::Due`.
//!     sleep_or_nudge(pumped.next).await;
//! }
//! # }
//! ```
//!
//! Operations go to [`Driver::orchestrator`], and what they return to [`Driver::keep`]:
//! `driver.keep(driver.orchestrator().report(&owner, &report).await?)`.
//!
//! One pump performs as many effects at once as [`EffectLimits`] allow, and lets a worker that hangs hold it up for
//! no more than one time limit of a command before it ticks again. A program with a runtime can tick and perform
//! in tasks of their own instead: [`Driver::tick`] in one, and [`Driver::take`] for as many as it likes.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::{Done, EffectLimits, EffectQueue, Orchestrator, Tick};
use crate::session::Effect;
use crate::store::StoreError;
use crate::time::Uptime;

/// How often [`Driver::pump`] reviews what is observed of workers.
const REVIEW_EVERY: Duration = Duration::from_secs(1);

/// How often [`Driver::pump`] looks for deleted sessions that are still to be erased.
const ERASE_EVERY: Duration = Duration::from_secs(30);

/// Drives an orchestrator. Clones share the queue of effects. The module page says how.
#[derive(Clone)]
pub struct Driver {
    orchestrator: Arc<Orchestrator>,
    effects: Arc<Mutex<EffectQueue>>,
    chores: Arc<Mutex<Chores>>,
}

/// When something was last done that is done now and then.
#[derive(Debug, Default)]
struct Chores {
    reviewed: Option<Uptime>,
    erased: Option<Uptime>,
}

/// What a round of [`Driver::pump`] has done.
#[must_use = "`next` says when to pump again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pumped {
    /// The time until the next round. Zero if this one has done anything: what it has done may be due again by
    /// now. Never more than [`crate::worker::LeasePolicy::heartbeat`].
    pub next: Duration,
    /// How many due rows were claimed.
    pub claimed: usize,
    /// How many incarnations were fenced.
    pub fenced: usize,
    /// How many effects were performed.
    pub performed: usize,
}

impl Driver {
    /// Drives `orchestrator`, with the default limits.
    #[must_use]
    pub fn new(orchestrator: Arc<Orchestrator>) -> Self {
        Self::with_limits(orchestrator, EffectLimits::default())
    }

    /// Drives `orchestrator`, and performs no more effects at once than these.
    #[must_use]
    pub fn with_limits(orchestrator: Arc<Orchestrator>, limits: EffectLimits) -> Self {
        Self {
            orchestrator,
            effects: Arc::new(Mutex::new(EffectQueue::new(limits))),
            chores: Arc::default(),
        }
    }

    /// Returns the orchestrator.
    #[must_use]
    pub const fn orchestrator(&self) -> &Arc<Orchestrator> {
        &self.orchestrator
    }

    /// Queues the effects of an operation, and returns its value.
    pub fn keep<T>(&self, done: Done<T>) -> T {
        self.add(done.effects);
        done.value
    }

    /// Queues effects.
    pub fn add(&self, effects: impl IntoIterator<Item = Effect>) {
        let mut queue = self.queue();
        for effect in effects {
            queue.add(effect);
        }
    }

    /// Returns how many effects wait, and how many are taken.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let queue = self.queue();
        (queue.waiting(), queue.running())
    }

    /// Takes the effect whose turn it is; none if no effect waits or too many are taken.
    #[must_use]
    pub fn take(&self) -> Option<Turn> {
        let effect = self.queue().take()?;
        let driver = self.clone();
        Some(Turn {
            driver,
            effect,
            followed_by: Vec::new(),
        })
    }

    /// Ticks once and queues the effects. Returns the rest of the tick.
    ///
    /// # Errors
    /// The store fails; nothing is lost by calling again.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        let mut tick = self.orchestrator.tick().await?;
        self.add(std::mem::take(&mut tick.effects));
        Ok(tick)
    }

    /// Does one round of everything: ticks, performs what is queued and what follows from it, and now and then
    /// asks workers for their health and erases what a crash has left.
    ///
    /// An effect that fails is logged and dropped, because the row that it came from falls due again.
    ///
    /// # Errors
    /// The store fails in the tick. Nothing is lost: pump again after [`crate::worker::LeasePolicy::heartbeat`].
    pub async fn pump(&self) -> Result<Pumped, StoreError> {
        let vitals = self.orchestrator.vitals();
        let heartbeat = self.orchestrator.lease_policy().heartbeat;
        let began = vitals.now();
        let tick = self.tick().await?;
        let mut performed = 0;
        loop {
            let count = self.perform_together().await;
            performed += count;
            // Leases are looked at in time, however long the workers take to answer.
            if count == 0 || vitals.now().since(began) >= heartbeat {
                break;
            }
        }
        self.do_chores().await;
        let is_quiet = tick.claimed + tick.fenced + performed == 0;
        Ok(Pumped {
            next: if is_quiet { tick.next } else { Duration::ZERO },
            claimed: tick.claimed,
            fenced: tick.fenced,
            performed,
        })
    }

    /// Performs at once all effects that may be taken now. Returns how many those were.
    async fn perform_together(&self) -> usize {
        let turns: Vec<Turn> = std::iter::from_fn(|| self.take()).collect();
        let count = turns.len();
        together(turns.into_iter().map(Turn::perform)).await;
        count
    }

    async fn do_chores(&self) {
        let now = self.orchestrator.vitals().now();
        let (review, erase) = {
            let mut chores = self.chores.lock().unwrap_or_else(PoisonError::into_inner);
            (
                is_due(&mut chores.reviewed, now, REVIEW_EVERY),
                is_due(&mut chores.erased, now, ERASE_EVERY),
            )
        };
        if review {
            let owners = self.orchestrator.review_vitals();
            together(owners.iter().map(|owner| async move {
                if let Err(error) = self.orchestrator.probe(owner).await {
                    tell("a worker's health is not known", &error);
                }
            }))
            .await;
        }
        if erase && let Err(error) = self.orchestrator.erase_deleted().await {
            tell("credentials are erased later", &error);
        }
    }

    fn queue(&self) -> MutexGuard<'_, EffectQueue> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("effects", &self.load())
            .finish_non_exhaustive()
    }
}

/// An effect whose turn it is. Dropped, it counts as ended without an answer: its row falls due again.
#[must_use]
#[derive(Debug)]
pub struct Turn {
    driver: Driver,
    effect: Effect,
    followed_by: Vec<Effect>,
}

impl Turn {
    /// Returns what is to be performed.
    #[must_use]
    pub const fn effect(&self) -> &Effect {
        &self.effect
    }

    /// Performs the effect, and queues what follows from it.
    pub async fn perform(self) {
        match self.driver.orchestrator.perform(self.effect.clone()).await {
            Ok(followed_by) => self.finish(followed_by),
            Err(error) => tell("an effect is tried again when it is due", &error),
        }
    }

    /// Notes that the effect has been performed, and queues what follows from it.
    pub fn finish(mut self, followed_by: Vec<Effect>) {
        self.followed_by = followed_by;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let followed_by = std::mem::take(&mut self.followed_by);
        self.driver.queue().finish(&self.effect, followed_by);
    }
}

fn tell(what: &str, error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "{what}");
}

/// Returns whether something is due that is done every so often, and takes note that it is being done.
fn is_due(last: &mut Option<Uptime>, now: Uptime, every: Duration) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}

/// Waits for all of these futures, which run in turns in the present task.
async fn together<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    poll_fn(|context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}
