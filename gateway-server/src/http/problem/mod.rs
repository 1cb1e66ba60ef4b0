//! Everything that can go wrong, as the client sees it: one closed list, one envelope.
//!
//! A handler fails with a [`Problem`]; every error of the core becomes one in `from.rs`, every
//! rejection of the framework in `reject.rs`. The answer's body is written by the outermost layer,
//! which knows the request id: until then the problem travels in the response's extensions. What the
//! client should not read (the cause of a 5xx) is kept apart and only logged there.

mod from;
mod kind;
mod operation;
mod reject;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use gateway_core::time::Uptime;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use kind::Kind;

use crate::telemetry::ErrorChain;
use crate::telemetry::failure_metrics::FailureMetrics;

/// The result of a handler, or of a part of one.
pub type ApiResult<T> = Result<T, Problem>;

/// One field that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detail {
    /// The path of the field, as the client wrote it.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The body of every failure.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Always `false`.
    pub success: bool,
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for programs.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The id under which the log has more.
    pub request_id: String,
    /// The fields that were not accepted.
    pub details: Vec<Detail>,
    /// What this problem adds: `id`, `current`, `reason`, …
    #[serde(flatten)]
    #[schema(value_type = Object, additional_properties)]
    pub more: Map<String, Value>,
}

/// A failure as the client sees it, with a cause that only the log sees.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    error: Cow<'static, str>,
    details: Vec<Detail>,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// The most fields that one answer names.
const DETAILS: usize = 50;
/// How many characters of a long text are kept on either side.
const KEPT: usize = 250;

/// Cuts the middle out of a text that quotes a long value of the request. Its end says what to do.
fn shorten(text: &mut String) {
    let (Some((head, _)), Some((tail, _))) = (
        text.char_indices().nth(KEPT),
        text.char_indices().nth_back(KEPT),
    ) else {
        return;
    };
    if head < tail {
        text.replace_range(head..tail, " … ");
    }
}

impl Problem {
    /// Makes a problem of this kind; `error` is for people and says what to do.
    #[must_use]
    pub fn new(kind: Kind, error: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            error: error.into(),
            details: Vec::new(),
            more: Map::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Makes a problem of fields that cannot be accepted.
    #[must_use]
    pub fn invalid(mut details: Vec<Detail>) -> Self {
        details.truncate(DETAILS);
        for detail in &mut details {
            shorten(&mut detail.field);
            shorten(&mut detail.message);
        }
        let error = match details.as_slice() {
            [only] => Cow::Owned(format!("{}: {}", only.field, only.message)),
            _ => Cow::Borrowed("some fields cannot be accepted; see details"),
        };
        Self {
            details,
            ..Self::new(Kind::ValidationError, error)
        }
    }

    /// Makes a problem of one field that cannot be accepted.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![Detail {
            field: field.into(),
            message: message.into(),
        }])
    }

    /// Makes a problem of fields of a body or a query that the route does not know.
    #[must_use]
    pub fn unknown_fields(details: Vec<Detail>) -> Self {
        Self {
            kind: Kind::UnknownField,
            ..Self::invalid(details)
        }
    }

    /// Makes a 404: there is no such `what`, or it is somebody else's.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("no such {what}"))
    }

    /// Makes a 501: neither this release nor the session's engine can do `capability`.
    #[must_use]
    pub fn not_supported(capability: &str) -> Self {
        let text = format!("{capability} is not supported here");
        Self::new(Kind::NotSupported, text).with("capability", capability)
    }

    /// Makes a 500 for a defect of this program. The client learns nothing of `cause`.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let text = "something went wrong here; the request id names it in the log";
        Self::new(Kind::InternalError, text).because(cause)
    }

    /// Adds a field that cannot be accepted, and what is wrong with it.
    #[must_use]
    pub fn detail(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.details.push(Detail {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Adds a value that programs need, such as `id` or `current`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says how long to wait before trying again (`Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds a cause that is logged and that the client does not see.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Returns the kind of the problem.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns a value that programs need, if it was added.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.more.get(name)
    }

    /// Counts a failure on this side, and logs the cause: of failures one per kind and second.
    pub(super) fn report(&self, failures: &FailureMetrics, now: Uptime) {
        let problem = self.kind.slug();
        let cause = self.cause.as_deref().map(|cause| ErrorChain(cause));
        if !self.kind.status().is_server_error() {
            if let Some(cause) = cause {
                tracing::debug!(problem, %cause, "a request was refused");
            }
            return;
        }
        let due = failures.failed(problem, now);
        if let (Some(left_out), Some(cause)) = (due, cause) {
            tracing::error!(problem, left_out, %cause, "a request failed");
        }
    }

    /// Makes the body for the request with this id.
    pub(super) fn render(&self, request_id: &str) -> Failure {
        Failure {
            success: false,
            error: self.error.clone().into_owned(),
            kind: self.kind,
            request_id: request_id.to_owned(),
            details: self.details.clone(),
            more: self.more.clone(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

/// Lets commands end with a problem as with any other error.
impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind.status() == http::StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        if self.kind == Kind::UnsupportedMediaType {
            let plain = HeaderValue::from_static("identity");
            response
                .headers_mut()
                .insert(header::ACCEPT_ENCODING, plain);
        }
        response.extensions_mut().insert(self);
        response
    }
}
