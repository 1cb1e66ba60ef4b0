//! What the framework refuses before a handler runs, as problems.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};

use super::super::auth::NotKnownAnyMore;
use super::super::body::Stopping;
use super::super::extract::located;
use super::{Kind, Problem};

const AGAIN: Duration = Duration::from_secs(1);

impl Problem {
    /// Makes a 413: the body is longer than the route allows.
    pub(in crate::http) fn payload_too_large() -> Self {
        Self::new(
            Kind::PayloadTooLarge,
            "the body has more bytes than this route takes",
        )
    }

    /// Makes the problem of a body that did not come whole, or not in time.
    pub(in crate::http) fn unread(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        if has_cause(&*error, is_late) {
            return Self::new(Kind::RequestTimeout, "the body did not arrive in time");
        }
        if has_cause(&*error, <dyn Error>::is::<NotKnownAnyMore>) {
            let text = "the body took so long that the credential has to be checked again; repeat the request";
            return Self::new(Kind::Overloaded, text).retry_after(AGAIN);
        }
        if has_cause(&*error, <dyn Error>::is::<Stopping>) {
            let text = "the server is stopping; repeat the request";
            return Self::new(Kind::Overloaded, text).retry_after(AGAIN);
        }
        Self::new(Kind::IncompleteBody, "the body ended too early").because(error)
    }
}

fn is_late(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn has_cause(
    error: &(dyn Error + 'static),
    is_it: impl Fn(&(dyn Error + 'static)) -> bool,
) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is_it(error) {
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
