//! What workers did, written down for assertions.
//!
//! The recorder sees every worker of a fleet on one clock, which no worker does; so the promise of
//! R-36, that a session is never live twice, is checked here and not believed of anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::Owner;
use gateway_core::time::Uptime;
use gateway_worker::{Observer, Stopping};

/// The kinds of command a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandKind {
    Start,
    /// Ask about a session.
    Session,
    Send,
    Release,
    /// Unlink and stop a session.
    Logout,
    /// Unlink, stop and erase a session.
    Forget,
    /// Answer or confirm a passkey challenge.
    Passkey,
}

impl From<Stopping> for CommandKind {
    fn from(how: Stopping) -> Self {
        match how {
            Stopping::Release => Self::Release,
            Stopping::Logout => Self::Logout,
            Stopping::Forget => Self::Forget,
        }
    }
}

/// A command that reached a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    pub at: Uptime,
    pub owner: Owner,
    pub kind: CommandKind,
    pub session: SessionId,
    /// Whether it was executed.
    pub done: bool,
}

/// A message that a worker put on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub at: Uptime,
    pub owner: Owner,
    pub session: SessionId,
    pub epoch: Epoch,
}

/// A time during which a worker held a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub session: SessionId,
    pub owner: Owner,
    pub epoch: Epoch,
    pub from: Uptime,
    /// Until when, at the latest: a worker whose lease has run out can send nothing, whether or not
    /// it has noticed.
    pub until: Option<Uptime>,
}

#[derive(Debug, Default)]
struct Log {
    commands: Vec<CommandRecord>,
    frames: Vec<Frame>,
    lives: Vec<Life>,
    open: BTreeMap<(SessionId, Owner, Epoch), usize>,
    leases: BTreeMap<Owner, Uptime>,
}

/// Writes down what the workers of a fleet do.
#[derive(Debug, Default)]
pub struct Recorder {
    log: Option<Mutex<Log>>,
}

impl Recorder {
    /// Makes a recorder that keeps everything.
    #[must_use]
    pub fn on() -> Self {
        Self {
            log: Some(Mutex::default()),
        }
    }

    /// Makes a recorder that keeps nothing, for long runs. This is the default.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Returns every command that reached a worker, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandRecord> {
        self.read(|log| log.commands.clone())
    }

    /// Returns every message that was put on the wire, in order.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.read(|log| log.frames.clone())
    }

    /// Returns every time during which a session was held, by session and beginning.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        let mut lives = self.read(|log| {
            let mut lives = log.lives.clone();
            for life in &mut lives {
                let lease = log.leases.get(&life.owner).copied();
                life.until = match (life.until, lease) {
                    (Some(until), Some(lease)) => Some(until.min(lease)),
                    (until, lease) => until.or(lease),
                };
            }
            lives
        });
        lives.sort_by_key(|life| (life.session, life.from, life.epoch));
        lives
    }

    /// Returns the pairs of times during which a session was held twice. It must be empty, or R-36 is
    /// broken.
    #[must_use]
    pub fn live_twice(&self) -> Vec<(Life, Life)> {
        let mut overlaps = Vec::new();
        let mut longest: Option<Life> = None;
        for life in self.lives() {
            let Some(known) = longest.take().filter(|l| l.session == life.session) else {
                longest = Some(life);
                continue;
            };
            let both = known.until.is_none_or(|until| life.from < until);
            if both && life.until.is_none_or(|until| until > life.from) {
                overlaps.push((known.clone(), life.clone()));
            }
            let later = match (known.until, life.until) {
                (None, _) => known,
                (Some(a), Some(b)) if a > b => known,
                _ => life,
            };
            longest = Some(later);
        }
        overlaps
    }

    /// Returns the messages that were put on the wire at an epoch after a higher one had begun. It must
    /// be empty, or R-36 is broken.
    #[must_use]
    pub fn stale_frames(&self) -> Vec<Frame> {
        self.read(|log| {
            let overtaken = |frame: &&Frame| {
                log.lives.iter().any(|life| {
                    life.session == frame.session
                        && life.epoch > frame.epoch
                        && life.from < frame.at
                })
            };
            log.frames.iter().filter(overtaken).cloned().collect()
        })
    }

    pub(super) fn command(&self, record: CommandRecord) {
        self.write(|log| log.commands.push(record));
    }

    pub(super) fn frame(&self, frame: Frame) {
        self.write(|log| log.frames.push(frame));
    }

    /// Notes that a process image that was away holds a session again.
    pub(super) fn reopened(&self, session: SessionId, owner: &Owner, epoch: Epoch, from: Uptime) {
        self.opened(session, owner, epoch, from);
    }

    /// Notes that a run is over: nothing that it held is live after `until`.
    pub(super) fn ended(&self, owner: &Owner, until: Uptime) {
        self.write(|log| {
            let lives = log.lives.iter_mut();
            for life in lives.filter(|life| life.owner == *owner && life.until.is_none()) {
                life.until = Some(until);
            }
        });
    }

    fn read<T: Default>(&self, look: impl FnOnce(&Log) -> T) -> T {
        self.log
            .as_ref()
            .map(|log| look(&guard(log)))
            .unwrap_or_default()
    }

    fn write(&self, note: impl FnOnce(&mut Log)) {
        if let Some(log) = &self.log {
            note(&mut guard(log));
        }
    }
}

impl Observer for Recorder {
    fn opened(&self, session: SessionId, owner: &Owner, epoch: Epoch, from: Uptime) {
        self.write(|log| {
            let key = (session, owner.clone(), epoch);
            log.open.insert(key, log.lives.len());
            log.lives.push(Life {
                session,
                owner: owner.clone(),
                epoch,
                from,
                until: None,
            });
        });
    }

    fn closed(&self, session: SessionId, owner: &Owner, epoch: Epoch, until: Uptime) {
        self.write(|log| {
            let open = log.open.remove(&(session, owner.clone(), epoch));
            if let Some(life) = open.and_then(|index| log.lives.get_mut(index)) {
                life.until = Some(until);
            }
        });
    }

    fn leased(&self, owner: &Owner, until: Uptime) {
        self.write(|log| {
            log.leases.insert(owner.clone(), until);
        });
    }
}

fn guard(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
