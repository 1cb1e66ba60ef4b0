//! The envelope of every success.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::Page;
use super::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of a success, as it is documented.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Envelope<T> {
    /// Always `true`.
    pub success: bool,
    /// The answer itself.
    pub data: T,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The body of a page of a list, as it is documented.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Listed<T> {
    /// Always `true`.
    pub success: bool,
    /// The items of this page.
    pub data: Vec<T>,
    /// How to go on.
    pub pagination: Pagination,
}

/// How to go on with a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    /// `cursor` of the next page; `null` on the last one.
    pub next_cursor: Option<String>,
    /// How many items a page has at most.
    pub limit: u32,
}

/// A successful answer: its status, data, message and headers.
#[derive(Debug)]
#[must_use]
pub struct Answer<T> {
    status: StatusCode,
    data: T,
    message: Option<&'static str>,
    pagination: Option<Pagination>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl<T> Answer<T> {
    /// Answers 200 with `data`.
    pub fn ok(data: T) -> Self {
        Self::with_status(StatusCode::OK, data)
    }

    /// Answers 201 with `data`: it was made.
    pub fn created(data: T) -> Self {
        Self::with_status(StatusCode::CREATED, data)
    }

    /// Answers 202 with `data`: what was asked for will happen.
    pub fn accepted(data: T) -> Self {
        Self::with_status(StatusCode::ACCEPTED, data)
    }

    /// Answers any status of success with `data`.
    pub fn with_status(status: StatusCode, data: T) -> Self {
        Self {
            status,
            data,
            message: None,
            pagination: None,
            headers: Vec::new(),
        }
    }

    /// Adds a sentence for people.
    pub fn message(mut self, message: &'static str) -> Self {
        self.message = Some(message);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl<T> Answer<Vec<T>> {
    /// Answers with a stretch of a log, which has no last page: `next` is the cursor to go on with, also
    /// at the log's present end.
    pub fn stretch(items: Vec<T>, page: &Page, next: Option<&str>) -> Self {
        let pagination = Pagination {
            next_cursor: next.map(Page::cursor),
            limit: page.limit(),
        };
        Self {
            pagination: Some(pagination),
            ..Self::ok(items)
        }
    }

    /// Answers with one page of a list. `rows` are the [`Page::fetch`] rows that were read, and `key` is
    /// what the next page begins after.
    pub fn page<R>(
        mut rows: Vec<R>,
        page: &Page,
        key: impl Fn(&R) -> String,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let limit = page.limit();
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| Page::cursor(&key(row)));
        Self {
            pagination: Some(Pagination { next_cursor, limit }),
            ..Self::ok(rows.into_iter().map(view).collect())
        }
    }
}

#[derive(Serialize)]
struct Body<T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let body = Body {
            success: true,
            data: self.data,
            message: self.message,
            pagination: self.pagination,
        };
        let json = match serde_json::to_vec(&body) {
            Ok(json) => json,
            Err(error) => return Problem::internal(error).into_response(),
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, JSON)], json).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
