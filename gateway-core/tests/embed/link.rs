//! The program's own way to its workers: a queue of orders in the same process.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::SessionId;
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::{Order, Owner};
use gateway_core::worker::{LinkError, Target, WorkerLink};

#[derive(Debug, Default)]
pub(crate) struct Queue {
    starts: Mutex<VecDeque<(Owner, StartSession)>>,
    dead: Mutex<BTreeSet<Owner>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// The next order to start that a worker has got.
    pub(crate) fn next_start(&self) -> Option<(Owner, StartSession)> {
        locked(&self.starts).pop_front()
    }

    /// Nothing reaches this run any more.
    pub(crate) fn cut_off(&self, run: &Owner) {
        locked(&self.starts).retain(|(owner, _)| owner != run);
        locked(&self.dead).insert(run.clone());
    }

    fn reach(&self, target: &Target) -> Result<(), LinkError> {
        if locked(&self.dead).contains(&target.owner) {
            return Err(LinkError::NotSent);
        }
        Ok(())
    }

    fn stop(&self, target: &Target, order: &Order) -> Result<Released, LinkError> {
        self.reach(target)?;
        Ok(Released::new(order.session, order.epoch))
    }
}

#[async_trait]
impl WorkerLink for Queue {
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        _: Duration,
    ) -> Result<Accepted, LinkError> {
        self.reach(target)?;
        locked(&self.starts).push_back((target.owner.clone(), body.clone()));
        Ok(Accepted::of(body))
    }

    async fn session(
        &self,
        _: &Target,
        _: SessionId,
        _: Duration,
    ) -> Result<SessionState, LinkError> {
        Err(LinkError::UnknownSession)
    }

    async fn send(
        &self,
        _: &Target,
        _: SessionId,
        _: &SendMessage,
        _: Duration,
    ) -> Result<Sent, LinkError> {
        Err(LinkError::NotConnected)
    }

    async fn release(
        &self,
        target: &Target,
        order: &Order,
        _: Duration,
    ) -> Result<Released, LinkError> {
        self.stop(target, order)
    }

    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        _: Duration,
    ) -> Result<Released, LinkError> {
        self.stop(target, order)
    }

    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        _: Duration,
    ) -> Result<Released, LinkError> {
        self.stop(target, order)
    }

    async fn passkey(
        &self,
        _: &Target,
        _: &Order,
        _: &Passkey,
        _: bool,
        _: Duration,
    ) -> Result<(), LinkError> {
        Err(LinkError::NotConnected)
    }

    async fn health(&self, target: &Target, _: Duration) -> Result<Health, LinkError> {
        self.reach(target)?;
        Ok(Health::of(&target.owner))
    }
}
