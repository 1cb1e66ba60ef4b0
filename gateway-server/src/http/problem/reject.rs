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
            return Self::new(
                Kind::PayloadTooLarge,
                "the body has more bytes than this route takes",
            );
        }
        if is_late(&rejection) {
            return Self::new(Kind::RequestTimeout, "the body did not arrive in time");
        }
        Self::new(Kind::IncompleteBody, "the body ended too early").because(rejection)
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
