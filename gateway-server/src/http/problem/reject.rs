//! What the framework refuses before a handler runs, as problems.

use std::error::Error;
use std::io;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use http::StatusCode;

use super::super::extract::located;
use super::{Kind, Problem};

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::payload_too_large();
        }
        Self::unread(rejection)
    }
}

impl Problem {
    /// The body is longer than the route allows.
    pub(in crate::http) fn payload_too_large() -> Self {
        Self::new(
            Kind::PayloadTooLarge,
            "the body has more bytes than this route takes",
        )
    }

    /// The body did not come whole, or not in time.
    pub(in crate::http) fn unread(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        if is_late(&*error) {
            return Self::new(Kind::RequestTimeout, "the body did not arrive in time");
        }
        Self::new(Kind::IncompleteBody, "the body ended too early").because(error)
    }
}

fn is_late(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        if rejection.status().is_server_error() {
            return Self::internal(rejection);
        }
        Self::field("path", rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let text = text
            .strip_prefix("Failed to deserialize query string: ")
            .unwrap_or(&text);
        match text.split_once(": ") {
            Some((field, message)) if !field.contains(' ') => Self::field(field, message),
            _ => located("query".to_owned(), text),
        }
    }
}
