//! One tenant's account on this replica, and the draws that fill it.
//!
//! One draw at a time: a burst at the start of an hour would otherwise draw a chunk per request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::TenantId;
use gateway_core::store::StoreError;
use gateway_core::tenant::quota::{Admit, RequestAccount};
use gateway_core::time::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use super::{Admission, CountedRequest, QuotaBook};

const LAST_MINUTE_MS: u64 = 60_000;

#[derive(Debug)]
pub(super) struct TenantQuota {
    tenant: TenantId,
    account: Mutex<RequestAccount>,
    /// How long before the end of an hour the next hour's first chunk is drawn, if there are requests.
    lead: Duration,
    drawing: tokio::sync::Mutex<()>,
    /// When the hour ends in which a request was last refused, in seconds of this process's clock.
    refused_until: AtomicU64,
}

/// Which hour a draw is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draw {
    Present,
    Next,
}

impl TenantQuota {
    /// Makes an empty account. Its lead is random, so that the draws of all tenants and replicas do not meet.
    pub(super) fn new(tenant: TenantId, entropy: &dyn Entropy) -> Self {
        Self {
            tenant,
            account: Mutex::default(),
            lead: Duration::from_millis(entropy.below(LAST_MINUTE_MS)),
            drawing: tokio::sync::Mutex::default(),
            refused_until: AtomicU64::new(0),
        }
    }

    pub(super) async fn count(
        self: &Arc<Self>,
        book: &Arc<QuotaBook>,
        limit: u64,
    ) -> Result<Admission, StoreError> {
        loop {
            match self.admit(book, limit) {
                Ok(admission) => return Ok(admission),
                Err(MustDraw) => {
                    let (account, own_book) = (Arc::clone(self), Arc::clone(book));
                    let drawing = async move { account.draw_if_empty(&own_book, limit).await };
                    let drawing = book.ports.control.spawn(drawing);
                    let drawn = AbortOnDropHandle::new(drawing).await;
                    drawn.map_err(|ended| StoreError::Internal(Box::new(ended)))??;
                }
            }
        }
    }

    async fn draw_if_empty(&self, book: &QuotaBook, limit: u64) -> Result<(), StoreError> {
        let _one_at_a_time = self.drawing.lock().await;
        let now = book.ports.clock.uptime();
        let again = self.account().clone().admit(now, limit);
        if again == Admit::Draw {
            self.draw(book, limit, Draw::Present).await?;
        }
        Ok(())
    }

    pub(super) fn refund(&self, hour: Timestamp) {
        self.account().refund(hour);
    }

    /// Returns what is drawn and not used, by hour.
    pub(super) fn unused(&self) -> Vec<(Timestamp, u64)> {
        self.account().unused()
    }

    fn account(&self) -> MutexGuard<'_, RequestAccount> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(self: &Arc<Self>, book: &Arc<QuotaBook>, limit: u64) -> Result<Admission, MustDraw> {
        let now = book.ports.clock.uptime();
        let verdict = self.account().admit(now, limit);
        match verdict {
            Admit::Yes {
                remaining,
                resets_in,
                hour,
                draw,
            } => {
                if draw {
                    self.draw_aside(book, limit, Draw::Present);
                }
                if resets_in <= self.lead && !self.account().is_ahead() {
                    self.draw_aside(book, limit, Draw::Next);
                }
                Ok(Admission::Counted(CountedRequest {
                    account: Arc::clone(self),
                    hour,
                    limit,
                    remaining,
                    resets_in,
                }))
            }
            Admit::No { resets_in } => Ok(Admission::UsedUp {
                resets_in,
                is_first: self.is_first_refusal(now.0 + resets_in),
            }),
            Admit::Draw => Err(MustDraw),
        }
    }

    /// Returns whether no request was refused yet in the hour that ends then.
    fn is_first_refusal(&self, ends: Duration) -> bool {
        let ends = ends.as_secs();
        let known = self.refused_until.swap(ends, Ordering::Relaxed);
        // The same end is computed anew each time, to the second at best.
        ends.abs_diff(known) > LAST_MINUTE_MS / 1_000
    }

    /// Draws the next chunk while the present one lasts, or the next hour's first one, so that no request
    /// waits for it.
    fn draw_aside(self: &Arc<Self>, book: &Arc<QuotaBook>, limit: u64, which: Draw) {
        let (account, own_book) = (Arc::clone(self), Arc::clone(book));
        let ports = &book.ports;
        ports.shutdown.spawn_send_on(&ports.control, async move {
            let Ok(_one_at_a_time) = account.drawing.try_lock() else {
                return;
            };
            if which == Draw::Next && account.account().is_ahead() {
                return;
            }
            if let Err(error) = account.draw(&own_book, limit, which).await {
                tracing::warn!(%error, "no requests could be drawn ahead");
            }
        });
    }

    async fn draw(&self, book: &QuotaBook, limit: u64, which: Draw) -> Result<(), StoreError> {
        let ports = &book.ports;
        let sent = ports.clock.uptime();
        let mut tx = ports.store.begin_platform().await?;
        let next = which == Draw::Next;
        let replicas = book.replicas();
        let drawn = tx.draw_quota(self.tenant, limit, replicas, next).await?;
        tx.commit().await?;
        let mut account = self.account();
        match which {
            Draw::Present => account.credit(sent, limit, &drawn),
            Draw::Next => account.credit_ahead(sent, ports.clock.uptime(), limit, &drawn),
        }
        Ok(())
    }
}

/// The account is empty or out of date: the store must be asked.
#[derive(Clone, Copy, Debug)]
struct MustDraw;
