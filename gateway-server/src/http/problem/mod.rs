//! Everything that can go wrong, as the client sees it: one closed list, one envelope.
//!
//! A handler fails with a [`Problem`]; every error of the core becomes one in `from.rs`, every
//! rejection of the framework in `reject.rs`. The answer's body is written by the outermost layer,
//! which knows the request id: until then the problem travels in the response's extensions. What the
//! client should not read (the cause of a 5xx) is kept apart and only logged, once, there.

mod from;
mod kind;
mod operation;
mod reject;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use kind::Kind;

use crate::telemetry::ErrorChain;

/// What a handler answers with.
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

/// Something went wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    error: Cow<'static, str>,
    details: Vec<Detail>,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// The most fields one answer names.
const DETAILS: usize = 50;
/// What is left of a long text on either side.
const KEPT: usize = 250;

/// Cuts the middle out of a text that quotes a long value of the request: the end says what to do.
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
    /// A problem of this kind; `error` is for people and says what to do.
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

    /// Fields that cannot be accepted.
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

    /// One field that cannot be accepted.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![Detail {
            field: field.into(),
            message: message.into(),
        }])
    }

    /// There is no such `what`, or it is somebody else's.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("no such {what}"))
    }

    /// Neither this release nor the session's engine can do it.
    #[must_use]
    pub fn not_supported(capability: &str) -> Self {
        let text = format!("{capability} is not supported here");
        Self::new(Kind::NotSupported, text).with("capability", capability)
    }

    /// A defect of this program. The client learns nothing of `cause`.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let text = "something went wrong here; the request id names it in the log";
        Self::new(Kind::InternalError, text).because(cause)
    }

    /// Names a field.
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

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What the log says and the client does not see.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Which one it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The body, for the request of that id. Logs the cause.
    pub(super) fn render(&self, request_id: &str) -> Failure {
        if let Some(cause) = &self.cause {
            let cause = ErrorChain(&**cause);
            if self.kind.status().is_server_error() {
                tracing::error!(problem = self.kind.slug(), %cause, "a request failed");
            } else {
                tracing::debug!(problem = self.kind.slug(), %cause, "a request was refused");
            }
        }
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

/// For commands, which end with a problem as with any other error.
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
        response.extensions_mut().insert(self);
        response
    }
}
