//! A fleet as the orchestrator's way to its workers.
//!
//! Answers are immediate, because there is no time to wait in: a worker that would not answer within
//! the limit (frozen, cut off, silent by its script) is [`LinkError::Unknown`] at once, one that is not
//! there [`LinkError::NotSent`].

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{SessionId, WorkerId};
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::Order;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use gateway_worker::{Moment, Refusal, Stopping};

use super::faults::Reply;
use super::fleet::SimFleet;
use super::recorder::CommandKind;
use super::sim::SimWorker;

impl SimFleet {
    fn ask<T>(
        &self,
        target: &Target,
        kind: CommandKind,
        session: SessionId,
        run: impl FnOnce(&mut SimWorker, Moment) -> Result<T, Refusal>,
    ) -> Result<T, LinkError> {
        let now = self.now();
        self.reach(&target.owner.worker, |worker| {
            match worker.command(kind, session, now, |worker| run(worker, now)) {
                Reply::Answer(result) => result.map_err(LinkError::from),
                Reply::Rubbish => Err(LinkError::Rubbish),
                Reply::Silence => Err(LinkError::Unknown),
            }
        })
    }

    fn reach<T>(
        &self,
        id: &WorkerId,
        act: impl FnOnce(&mut SimWorker) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let now = self.now();
        let reached = self.with(id, |slot| {
            if slot.worker.has_crashed() || slot.worker.is_gone() {
                return Err(LinkError::NotSent);
            }
            if slot.partitioned || slot.worker.is_partitioned(now) || !slot.is_up(now) {
                return Err(LinkError::Unknown);
            }
            act(&mut slot.worker)
        });
        reached.unwrap_or(Err(LinkError::NotSent))
    }

    fn finish(&self, target: &Target, order: &Order, how: Stopping) -> Result<Released, LinkError> {
        let incarnation = &order.owner.incarnation;
        self.ask(target, how.into(), order.session, |worker, now| {
            worker.finish(order.session, order.epoch, incarnation, how, now)
        })
    }
}

#[async_trait]
impl WorkerLink for SimFleet {
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        _limit: Duration,
    ) -> Result<Accepted, LinkError> {
        let session = body.session_id;
        self.ask(target, CommandKind::Start, session, |worker, now| {
            worker.start(body, now)
        })
    }

    async fn session(
        &self,
        target: &Target,
        session: SessionId,
        _limit: Duration,
    ) -> Result<SessionState, LinkError> {
        self.ask(target, CommandKind::Session, session, |worker, now| {
            worker.session(session, now)
        })
    }

    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        _limit: Duration,
    ) -> Result<Sent, LinkError> {
        self.ask(target, CommandKind::Send, session, |worker, now| {
            worker.send(session, body, now)
        })
    }

    async fn release(
        &self,
        target: &Target,
        order: &Order,
        _limit: Duration,
    ) -> Result<Released, LinkError> {
        self.finish(target, order, Stopping::Release)
    }

    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        _limit: Duration,
    ) -> Result<Released, LinkError> {
        self.finish(target, order, Stopping::Logout)
    }

    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        _limit: Duration,
    ) -> Result<Released, LinkError> {
        self.finish(target, order, Stopping::Forget)
    }

    async fn passkey(
        &self,
        target: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        _limit: Duration,
    ) -> Result<(), LinkError> {
        let session = order.session;
        self.ask(target, CommandKind::Passkey, session, |worker, now| {
            worker.passkey(session, body, confirm, now)
        })
    }

    async fn health(&self, target: &Target, _limit: Duration) -> Result<Health, LinkError> {
        let now = self.now();
        self.reach(&target.owner.worker, |worker| Ok(worker.health(now)))
    }
}
