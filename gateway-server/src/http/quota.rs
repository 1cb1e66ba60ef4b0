//! What a request with an API key is told about its tenant's quota: headers, and 429.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::{Kind, Problem};
use crate::identity::Caller;
use crate::quota::{Admission, CountedRequest, Quotas};
use crate::telemetry::span;

/// Counts a request against the tenant's quota and serves it, or answers 429.
pub(super) async fn serve(
    quotas: &Quotas,
    caller: &Caller,
    request: Request,
    next: Next,
) -> Response {
    let limit = caller.tier.requests_per_hour;
    let counted = match quotas.count(caller.tenant, limit).await {
        Ok(Admission::Counted(counted)) => counted,
        Ok(Admission::UsedUp {
            resets_in,
            is_first,
        }) => {
            if is_first {
                let tenant = tracing::field::display(caller.tenant);
                tracing::info!(
                    { span::TENANT_ID } = tenant,
                    limit,
                    "a tenant has used the requests of this hour"
                );
            }
            let mut refused = used_up(limit, resets_in).into_response();
            write_headers(refused.headers_mut(), limit, 0, resets_in);
            return refused;
        }
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut response = next.run(request).await;
    settle(counted, &mut response);
    response
}

/// Writes into the answer's headers what is left of the quota. Requests answered 401 or 429 are not
/// counted.
pub(super) fn settle(mut counted: CountedRequest, response: &mut Response) {
    let free = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    if free.contains(&response.status()) {
        counted.refund();
    }
    let headers = response.headers_mut();
    write_headers(headers, counted.limit, counted.remaining, counted.resets_in);
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

fn write_headers(headers: &mut HeaderMap, limit: u64, remaining: u64, resets_in: Duration) {
    for (name, value) in [
        ("ratelimit-limit", limit),
        ("ratelimit-remaining", remaining.min(limit)),
        ("ratelimit-reset", resets_in.as_secs()),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}
