//! The message log: the same fold as every other one, over the tables of a [`MemoryStore`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use gateway_core::id::{MessageId, SessionId, TenantId};
use gateway_core::message::{
    Fact, LogError, LogFull, LogPlace, Message, MessageLog, PersonPair, Recorded, fold,
};
use gateway_core::store::StoreError;

use super::events::append;
use super::store::MemoryStore;
use super::tx::Shared;

/// How a [`MemoryLog`] treats facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// It writes at once.
    #[default]
    Open,
    /// It takes facts and writes them when it is open again, even if nobody waits for them any more.
    Held,
    /// It writes nothing and says that it is not available.
    Failing,
    /// It writes, and then says that it is not available: a commit whose answer is lost.
    LosingAnswers,
}

#[derive(Debug, Default)]
struct Answer {
    recorded: Option<Result<Recorded, LogError>>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Entry {
    fact: Fact,
    answer: Arc<Mutex<Answer>>,
    place: LogPlace,
}

#[derive(Debug, Default)]
struct Queue {
    capacity: usize,
    taken: usize,
    mode: LogMode,
    held: VecDeque<Entry>,
}

/// A message log in memory. Messages, outbox and reads of its store see what it writes.
///
/// A fact with a NUL character in it is refused, as PostgreSQL would.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    shared: Arc<Shared>,
    queue: Arc<Mutex<Queue>>,
}

/// The fact has a NUL character in it, which a database would not take.
#[derive(Debug, thiserror::Error)]
#[error("the fact contains a NUL character; take it out")]
struct Nul;

struct Permit(Arc<Mutex<Queue>>);

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.0).taken -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryLog {
    /// Makes a log with 1,024 places.
    #[must_use]
    pub fn new(store: &MemoryStore) -> Self {
        Self::with_capacity(store, 1024)
    }

    /// Makes a log with `capacity` places; [`MessageLog::reserve`] fails when all are taken.
    #[must_use]
    pub fn with_capacity(store: &MemoryStore, capacity: usize) -> Self {
        let queue = Queue {
            capacity,
            ..Queue::default()
        };
        Self {
            shared: Arc::clone(&store.shared),
            queue: Arc::new(Mutex::new(queue)),
        }
    }

    /// Changes how the log treats facts from now on. Facts that were held are treated by the new mode.
    pub fn set_mode(&self, mode: LogMode) {
        let mut queue = lock(&self.queue);
        queue.mode = mode;
        if mode == LogMode::Held {
            return;
        }
        let held = std::mem::take(&mut queue.held);
        drop(queue);
        for entry in held {
            let recorded = self.write(mode, &entry.fact);
            drop(entry.place);
            let waker = {
                let mut answer = lock(&entry.answer);
                answer.recorded = Some(recorded);
                answer.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Returns how many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        lock(&self.queue).taken
    }

    /// Writes the fact, or holds it and returns where its answer will be.
    fn accept(
        &self,
        place: LogPlace,
        fact: Fact,
    ) -> Result<Arc<Mutex<Answer>>, Box<Result<Recorded, LogError>>> {
        let mut queue = lock(&self.queue);
        let mode = queue.mode;
        if mode != LogMode::Held {
            drop(queue);
            return Err(Box::new(self.write(mode, &fact)));
        }
        let answer = Arc::default();
        queue.held.push_back(Entry {
            fact,
            answer: Arc::clone(&answer),
            place,
        });
        Ok(answer)
    }

    fn write(&self, mode: LogMode, fact: &Fact) -> Result<Recorded, LogError> {
        if mode == LogMode::Failing {
            return Err(LogError::Unavailable);
        }
        if has_nul(fact) {
            return Err(LogError::Refused(StoreError::Refused(Box::new(Nul))));
        }
        let recorded = self.shared.at_once(|world, me| {
            let key = (fact.tenant(), fact.id());
            let stored = world.messages.get(me, &key);
            let stored = stored.map(|row| world.read_back(me, row));
            let folded = fold(stored.as_ref(), fact, world.now());
            if folded.changed {
                let row = folded.recorded.message.clone();
                world.messages.put(me, &key, row)?;
            }
            append(world, me, folded.event.as_slice())?;
            Ok(folded.recorded)
        });
        match recorded {
            Ok(_) if mode == LogMode::LosingAnswers => Err(LogError::Unavailable),
            Ok(recorded) => Ok(recorded),
            Err(_) => Err(LogError::Unavailable),
        }
    }
}

fn has_nul(fact: &Fact) -> bool {
    let texts = match fact {
        Fact::Outgoing(fact) => vec![&fact.chat_id, &fact.kind],
        Fact::Inbound(fact) => vec![&fact.chat_id, &fact.sender, &fact.kind],
        Fact::Status(_) => Vec::new(),
    };
    texts.iter().any(|text| text.contains('\0'))
}

#[async_trait]
impl MessageLog for MemoryLog {
    fn reserve(&self) -> Result<LogPlace, LogFull> {
        let mut queue = lock(&self.queue);
        if queue.taken >= queue.capacity {
            return Err(LogFull);
        }
        queue.taken += 1;
        Ok(LogPlace::new(Box::new(Permit(Arc::clone(&self.queue)))))
    }

    async fn record(&self, place: LogPlace, fact: Fact) -> Result<Recorded, LogError> {
        let answer = match self.accept(place, fact) {
            Ok(answer) => answer,
            Err(written) => {
                self.shared.take_turns().await;
                return *written;
            }
        };
        poll_fn(|cx| {
            let mut answer = lock(&answer);
            if let Some(recorded) = answer.recorded.take() {
                return Poll::Ready(recorded);
            }
            answer.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError> {
        self.shared.take_turns().await;
        if lock(&self.queue).mode == LogMode::Failing {
            return Err(LogError::Unavailable);
        }
        self.shared
            .at_once(|world, me| {
                let row = world.messages.get(me, &(tenant, id));
                Ok(row.map(|row| world.read_back(me, row)))
            })
            .map_err(|_| LogError::Unavailable)
    }

    async fn persons(
        &self,
        tenant: TenantId,
        session: SessionId,
        ids: &[&str],
    ) -> Result<Vec<PersonPair>, LogError> {
        self.shared.take_turns().await;
        if lock(&self.queue).mode == LogMode::Failing {
            return Err(LogError::Unavailable);
        }
        self.shared
            .at_once(|world, me| Ok(world.persons(me, (tenant, session), ids)))
            .map_err(|_| LogError::Unavailable)
    }

    async fn remember_person(
        &self,
        tenant: TenantId,
        session: SessionId,
        pair: &PersonPair,
    ) -> Result<(), LogError> {
        self.shared.take_turns().await;
        if lock(&self.queue).mode == LogMode::Failing {
            return Err(LogError::Unavailable);
        }
        let key = (session, pair.lid.clone());
        self.shared
            .at_once(|world, me| {
                let row = (tenant, pair.phone.clone(), world.now());
                world.persons.put(me, &key, row)
            })
            .map_err(|_| LogError::Unavailable)
    }
}
