//! Requests with an API key against the tenant's plan.
//!
//! The rules are `gateway_core::tenant::quota`; here is the account of each tenant in memory, the draws
//! from the store, and the headers. One draw at a time per tenant: a burst at the start of an hour
//! would otherwise draw a chunk per request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_core::id::TenantId;
use gateway_core::store::StoreError;
use gateway_core::tenant::quota::{Account, Admit};
use gateway_core::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::auth::Caller;
use super::problem::{ApiResult, Kind, Problem};
use crate::app::App;

const LAST_MINUTE_MS: u64 = 60_000;

/// The accounts of this replica.
#[derive(Debug, Default)]
pub struct Quotas {
    tenants: Mutex<BTreeMap<TenantId, Arc<Purse>>>,
    /// How many replicas share the limits; 0: not counted yet.
    replicas: AtomicU32,
}

#[derive(Debug)]
struct Purse {
    account: Mutex<Account>,
    /// So long before the end of an hour the next one's first chunk is drawn, if there are requests.
    lead: Duration,
    drawing: tokio::sync::Mutex<()>,
}

/// What the account says of a request; not admitted: no hour to count it in and what remains of it.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    admitted: Option<(Timestamp, u64)>,
    resets_in: Duration,
}

/// A request that is counted, until its answer is known.
#[derive(Debug)]
pub(super) struct Counted {
    purse: Arc<Purse>,
    hour: Timestamp,
    limit: u64,
    remaining: u64,
    resets_in: Duration,
}

/// Serves a request out of the tenant's account.
pub(super) async fn serve(app: &App, caller: &Caller, request: Request, next: Next) -> Response {
    let limit = caller.tier.requests_per_hour;
    let purse = app.quotas.purse(app, caller.tenant);
    let verdict = match purse.admit(app, caller.tenant, limit).await {
        Ok(verdict) => verdict,
        Err(problem) => return problem.into_response(),
    };
    let Some((hour, remaining)) = verdict.admitted else {
        let mut refused = used_up(limit, verdict.resets_in).into_response();
        say(refused.headers_mut(), limit, 0, verdict.resets_in);
        return refused;
    };
    let counted = Counted {
        purse,
        hour,
        limit,
        remaining,
        resets_in: verdict.resets_in,
    };
    let mut response = next.run(request).await;
    counted.settle(&mut response);
    response
}

impl Counted {
    /// Says in the answer what is left. Answers 401 and 429 are not counted.
    pub(super) fn settle(mut self, response: &mut Response) {
        let free = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
        if free.contains(&response.status()) {
            self.purse.account().refund(self.hour);
            self.remaining += 1;
        }
        let headers = response.headers_mut();
        say(headers, self.limit, self.remaining, self.resets_in);
    }
}

impl Quotas {
    /// Notes how many replicas share the limits, this one included.
    pub fn share(&self, replicas: u32) {
        self.replicas.store(replicas, Ordering::Relaxed);
    }

    fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    fn purse(&self, app: &App, tenant: TenantId) -> Arc<Purse> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let purse = || {
            // By chance, so that the draws of all tenants and replicas do not meet.
            let lead = Duration::from_millis(app.entropy.below(LAST_MINUTE_MS));
            Arc::new(Purse {
                account: Mutex::default(),
                lead,
                drawing: tokio::sync::Mutex::default(),
            })
        };
        Arc::clone(tenants.entry(tenant).or_insert_with(purse))
    }

    /// Counts a request if that needs nothing but memory; none if the store has to be asked, or says no.
    pub(super) fn count_now(&self, app: &App, tenant: TenantId, limit: u64) -> Option<Counted> {
        let purse = self.purse(app, tenant);
        let verdict = purse.account().admit(app.clock.uptime(), limit);
        let Admit::Yes {
            remaining,
            resets_in,
            hour,
            draw,
        } = verdict
        else {
            return None;
        };
        purse.draw_what_is_needed(app, tenant, limit, draw, resets_in);
        Some(Counted {
            purse,
            hour,
            limit,
            remaining,
            resets_in,
        })
    }

    /// Gives back what this replica has drawn and not used; for the end of the process.
    pub async fn give_back(&self, app: &App) -> Result<(), StoreError> {
        let unused: Vec<(TenantId, Timestamp, u64)> = {
            let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let unused = |(tenant, purse): (&TenantId, &Arc<Purse>)| {
                let (tenant, unused) = (*tenant, purse.account().unused());
                unused
                    .into_iter()
                    .map(move |(hour, left)| (tenant, hour, left))
            };
            tenants.iter().flat_map(unused).collect()
        };
        let mut tx = app.store.begin_platform().await?;
        for (tenant, hour, count) in unused {
            tx.return_quota(tenant, hour, count).await?;
        }
        tx.commit().await
    }
}

impl Purse {
    fn account(&self) -> std::sync::MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn admit(
        self: &Arc<Self>,
        app: &App,
        tenant: TenantId,
        limit: u64,
    ) -> ApiResult<Verdict> {
        loop {
            let verdict = self.account().admit(app.clock.uptime(), limit);
            match verdict {
                Admit::Yes {
                    remaining,
                    resets_in,
                    hour,
                    draw,
                } => {
                    self.draw_what_is_needed(app, tenant, limit, draw, resets_in);
                    return Ok(Verdict {
                        admitted: Some((hour, remaining)),
                        resets_in,
                    });
                }
                Admit::No { resets_in } => {
                    return Ok(Verdict {
                        admitted: None,
                        resets_in,
                    });
                }
                Admit::Draw => {
                    let _one_at_a_time = self.drawing.lock().await;
                    let again = self.account().clone().admit(app.clock.uptime(), limit);
                    if again == Admit::Draw {
                        self.draw(app, tenant, limit, false).await?;
                    }
                }
            }
        }
    }

    fn draw_what_is_needed(
        self: &Arc<Self>,
        app: &App,
        tenant: TenantId,
        limit: u64,
        draw: bool,
        resets_in: Duration,
    ) {
        if draw {
            self.draw_aside(app, tenant, limit, false);
        }
        if resets_in <= self.lead && !self.account().is_ahead() {
            self.draw_aside(app, tenant, limit, true);
        }
    }

    /// Draws the next chunk while the present one lasts, or the next hour's first one, so that no request
    /// waits for it.
    fn draw_aside(self: &Arc<Self>, app: &App, tenant: TenantId, limit: u64, next: bool) {
        let (purse, app) = (Arc::clone(self), app.clone());
        let (shutdown, control) = (app.shutdown.clone(), app.control.clone());
        shutdown.spawn_send_on(&control, async move {
            let Ok(_one_at_a_time) = purse.drawing.try_lock() else {
                return;
            };
            if next && purse.account().is_ahead() {
                return;
            }
            if let Err(error) = purse.draw(&app, tenant, limit, next).await {
                tracing::warn!(%error, "no requests could be drawn ahead");
            }
        });
    }

    async fn draw(
        &self,
        app: &App,
        tenant: TenantId,
        limit: u64,
        next: bool,
    ) -> Result<(), StoreError> {
        let sent = app.clock.uptime();
        let mut tx = app.store.begin_platform().await?;
        let replicas = app.quotas.replicas();
        let drawn = tx.draw_quota(tenant, limit, replicas, next).await?;
        tx.commit().await?;
        let mut account = self.account();
        match next {
            false => account.credit(sent, limit, &drawn),
            true => account.credit_ahead(sent, app.clock.uptime(), limit, &drawn),
        }
        Ok(())
    }
}

fn used_up(limit: u64, resets_in: Duration) -> Problem {
    let seconds = resets_in.as_secs().max(1);
    let text = format!("the plan's {limit} requests per hour are used; more in {seconds} s");
    Problem::new(Kind::RateLimited, text)
        .detail("requestsPerHour", format!("limit {limit}, used {limit}"))
        .with("limit", limit)
        .with("used", limit)
        .with("resetsInSeconds", seconds)
        .retry_after(resets_in)
}

fn say(headers: &mut HeaderMap, limit: u64, remaining: u64, resets_in: Duration) {
    for (name, value) in [
        ("ratelimit-limit", limit),
        ("ratelimit-remaining", remaining.min(limit)),
        ("ratelimit-reset", resets_in.as_secs()),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}
