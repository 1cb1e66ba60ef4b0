//! Lists in pages: an opaque cursor instead of a page number.
//!
//! A number would skip or repeat items when others come and go; the cursor names the last item that was
//! seen. It is opaque so that what it contains may change.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::ApiQuery;
use super::problem::Problem;

/// The number of items on a page, unless the client says otherwise.
const DEFAULT: u32 = 50;
/// The number of items on the largest page.
const MAX: u32 = 100;
const CURSOR: &str = "cursor";

/// The query parameters of every list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items to answer: 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    #[serde(default)]
    limit: Option<String>,
    /// `pagination.nextCursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

impl PageQuery {
    /// Makes the parameters by hand, for lists whose cursor has another name.
    pub(super) fn new(limit: Option<String>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// Returns the page whose cursor came as the parameter `name`.
    ///
    /// # Errors
    /// A field error that names the limit or the cursor.
    pub(super) fn page(self, name: &'static str) -> Result<Page, Problem> {
        let limit = self.limit.as_deref().map(str::parse).transpose();
        let limit = limit.ok().map(|limit| limit.unwrap_or(DEFAULT));
        let limit = limit.filter(|limit| (1..=MAX).contains(limit));
        let limit =
            limit.ok_or_else(|| Problem::field("limit", "must be a number from 1 to 100"))?;
        let text = |cursor: String| {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            String::from_utf8(bytes).ok()
        };
        let after = match self.cursor {
            Some(cursor) => Some(text(cursor).ok_or_else(|| not_a_cursor(name))?),
            None => None,
        };
        Ok(Page { limit, after, name })
    }
}

/// A page of a list: how many items, and after which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    limit: u32,
    after: Option<String>,
    /// The name of the parameter with the cursor.
    name: &'static str,
}

impl Page {
    /// Returns how many items the page may have.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns how many rows to read: one more than fits, which shows whether there is a next page.
    #[must_use]
    pub fn fetch(&self) -> u32 {
        self.limit + 1
    }

    /// Returns the key of the last item that was seen.
    ///
    /// # Errors
    /// A field error if the cursor is not one of this list.
    pub fn after<K: FromStr>(&self) -> Result<Option<K>, Problem> {
        let key = self.after.as_deref().map(str::parse).transpose();
        key.map_err(|_| not_a_cursor(self.name))
    }

    pub(super) fn cursor(key: &str) -> String {
        URL_SAFE_NO_PAD.encode(key)
    }
}

/// The error of a text that is no number which stores keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number below 2^63")]
pub struct InvalidNumber;

/// A number in a cursor, as stores keep numbers: below 2^63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u64);

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        let number = text.parse::<i64>().ok();
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.map(Self).ok_or(InvalidNumber)
    }
}

fn not_a_cursor(name: &str) -> Problem {
    Problem::field(name, "must be pagination.nextCursor of the page before")
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ApiQuery(query) = ApiQuery::<PageQuery>::from_request_parts(parts, state).await?;
        query.page(CURSOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<&str>, cursor: Option<&str>) -> Result<Page, Problem> {
        let (limit, cursor) = (limit.map(str::to_owned), cursor.map(str::to_owned));
        PageQuery { limit, cursor }.page(CURSOR)
    }

    #[test]
    fn a_page_goes_on_after_its_cursor() {
        let cursor = Page::cursor("41");
        let page = page(Some("7"), Some(&cursor)).expect("a page");
        assert_eq!((page.limit(), page.fetch()), (7, 8));
        assert_eq!(page.after().expect("a key"), Some(Number(41)));
        assert!(page.after::<std::net::IpAddr>().is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for limit in ["0", "101", "-1", "x", "99999999999999999999", ""] {
            assert!(page(Some(limit), None).is_err(), "{limit}");
        }
        assert!(page(None, Some("%%%")).is_err());
        for number in ["9223372036854775808", "-1", "x", ""] {
            let page = page(None, Some(&Page::cursor(number))).expect("a page");
            assert!(page.after::<Number>().is_err(), "{number}");
        }
    }
}
