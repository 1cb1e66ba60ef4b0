//! Reading requests: JSON bodies, query parameters and path segments, checked before a handler runs.
//!
//! The framework's own extractors answer in their own words; these answer with a [`Problem`] that names
//! the field. They also refuse NUL and other control characters in every text, once and for all routes:
//! databases refuse some of them, and logs and terminals act on others.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use garde::Validate;
use gateway_core::protocol::state::STATE_MEDIA_TYPE;
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::body::BodyLimit;
use super::lossy;
use super::problem::{Detail, Kind, Problem};
use super::text;

pub use super::text::one_line;

/// A JSON body, parsed and validated.
#[derive(Clone, Copy, Debug)]
pub struct ApiJson<T>(pub T);

impl<T, S> FromRequest<S> for ApiJson<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = json_body(request).await?;
        Ok(Self(validated(&body)?))
    }
}

/// A JSON body, parsed and validated like that of [`ApiJson`]. No body at all stands for the default.
#[derive(Clone, Copy, Debug)]
pub struct OptionalJson<T>(pub T);

impl<T, S> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Validate<Context = ()> + Default,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body = without_mark(read(request).await?);
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(not_as_json());
        }
        Ok(Self(validated(&body)?))
    }
}

/// Checks the characters of a body, parses it, and checks the rules of its fields, in this order.
fn validated<T>(body: &Bytes) -> Result<T, Problem>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    text::check_json(body)?;
    let value: T = parse(body)?;
    value.validate().map_err(Problem::from)?;
    Ok(value)
}

/// A parsed JSON body of the worker protocol. The core checks the values of its fields.
#[derive(Clone, Copy, Debug)]
pub struct WireJson<T>(pub T);

impl<T, S> FromRequest<S> for WireJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = json_body(request).await?;
        text::check_json(&body)?;
        Ok(Self(parse(&body)?))
    }
}

/// A parsed JSON body with texts that people wrote: it is refused neither for control characters nor for
/// characters that cannot be read, which become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct FactJson<T>(pub T);

impl<T, S> FromRequest<S> for FactJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = json_body(request).await?;
        match parse_any(&body) {
            Ok(value) => Ok(Self(value)),
            // What is wrong besides is named as it is in the body that was sent.
            Err(problem) => parse_any(&lossy::mended(&body))
                .map(Self)
                .map_err(|_| problem),
        }
    }
}

/// A body of opaque bytes.
#[derive(Clone, Debug)]
pub struct Octets(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_octets = media_type(request.headers()) == STATE_MEDIA_TYPE;
        let body = read(request).await?;
        if is_octets {
            return Ok(Self(body));
        }
        let text = "send the body as Content-Type: application/octet-stream";
        Err(Problem::new(Kind::UnsupportedMediaType, text))
    }
}

/// Returns the whole body, within the limit of the route; a route without one takes no bodies.
async fn read(request: Request) -> Result<Bytes, Problem> {
    if let Some(encoding) = encoding(request.headers()) {
        let text = format!("send the body as it is: Content-Encoding {encoding} is not read");
        return Err(Problem::new(Kind::UnsupportedMediaType, text));
    }
    let limit = request.extensions().get::<BodyLimit>().copied();
    let limit = limit.unwrap_or(BodyLimit(0));
    limit.read(request.into_body()).await
}

/// Returns the encoding of a body, if it has one.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let given = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut names = given.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named =
        names.find(|name| !name.trim().is_empty() && !name.eq_ignore_ascii_case("identity"));
    named.map(std::borrow::Cow::into_owned)
}

async fn json_body(request: Request) -> Result<Bytes, Problem> {
    let is_json = is_json(request.headers());
    let body = without_mark(read(request).await?);
    is_json.then_some(body).ok_or_else(not_as_json)
}

/// Returns a text without the mark that Windows programs put in front of it.
fn without_mark(body: Bytes) -> Bytes {
    match body.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => body.slice_ref(text),
        None => body,
    }
}

fn not_as_json() -> Problem {
    let text = "send the body as Content-Type: application/json";
    Problem::new(Kind::UnsupportedMediaType, text)
}

/// Parsed query parameters.
#[derive(Clone, Copy, Debug)]
pub struct ApiQuery<T>(pub T);

impl<T, S> FromRequestParts<S> for ApiQuery<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let raw = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await?;
        let odd = raw.0.iter().filter(|(_, value)| !text::is_plain(value));
        let details: Vec<_> = odd.map(|(name, _)| text::refused(name)).collect();
        if !details.is_empty() {
            return Err(Problem::invalid(details));
        }
        let Query(value) = Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// Parsed path segments.
#[derive(Clone, Copy, Debug)]
pub struct ApiPath<T>(pub T);

impl<T, S> FromRequestParts<S> for ApiPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// Reads a field of a PATCH so that "absent" (`None`) differs from "null" (`Some(None)`).
///
/// Use with `#[serde(default, deserialize_with = "nullable")]`.
///
/// # Errors
/// The deserializer's error if the value is of another type.
pub fn nullable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = media_type(headers);
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// Returns the media type of a body without its parameters, in lower case; empty if there is none.
fn media_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    given
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().starts_with(b"[") && is_whole(body) {
        return Err(Problem::field("body", "must be a JSON object"));
    }
    parse_any(body)
}

/// Parses a JSON body that may also be an array. An array is never taken for an object whose fields stand
/// in order.
fn parse_any<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Keeping track of where the parser is costs as much as parsing, and only a refusal has to say it.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    if let Err(error) = str::from_utf8(body) {
        let place = error.valid_up_to() + 1;
        let text = format!("the body is not valid UTF-8 from byte {place} on; send it as UTF-8");
        return Err(Problem::new(Kind::InvalidJson, text));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            Category::Data => located(path, &in_words(&inner)),
            Category::Syntax if has_half_a_character(&inner) => {
                let text = "has half a character: \\ud800 to \\udfff stand in pairs";
                located(path, text)
            }
            // A number where a name belongs is called a syntax error, too.
            Category::Syntax if is_whole(body) => located(path, "is of another type than expected"),
            Category::Io | Category::Syntax | Category::Eof => not_json(&inner),
        }
    })?;
    reader.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn has_half_a_character(error: &serde_json::Error) -> bool {
    let words = in_words(error);
    words.contains("surrogate") || words == "unexpected end of hex escape"
}

fn is_whole(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Kind::InvalidJson, format!("the body is not JSON: {error}"))
}

/// Returns the words of a parser's error without "at line 1 column 7", which says nothing about a field.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Makes a problem that names the field which an error is about. A missing field is named in the parser's
/// text, not in the path.
pub(super) fn located(path: String, message: &str) -> Problem {
    let parent = if path == "." { String::new() } else { path };
    let below = |name: &str| {
        let dot = if parent.is_empty() { "" } else { "." };
        format!("{parent}{dot}{name}")
    };
    if let Some((name, _)) = quoted(message, "missing field `") {
        return Problem::field(below(name), "is required");
    }
    if let Some((name, rest)) = quoted(message, "unknown field `") {
        let message = format!("is not known here{}", rest.replacen(',', ";", 1));
        // Some parsers have the path end with the field, others with what holds it.
        let field = match parent.rsplit('.').next() == Some(name) {
            true => parent,
            false => below(name),
        };
        return Problem::unknown_fields(vec![Detail { field, message }]);
    }
    let field = if parent.is_empty() {
        "body".to_owned()
    } else {
        parent
    };
    Problem::field(field, message)
}

/// Splits a message that begins with a name in quotes into the name and the rest.
fn quoted<'a>(message: &'a str, head: &str) -> Option<(&'a str, &'a str)> {
    message.strip_prefix(head)?.split_once('`')
}

impl From<garde::Report> for Problem {
    fn from(report: garde::Report) -> Self {
        let detail = |(path, error): &(garde::Path, garde::Error)| Detail {
            field: camel(&path.to_string()),
            message: error.message().to_owned(),
        };
        Self::invalid(report.iter().map(detail).collect())
    }
}

/// Converts the path of a field to camel case: rules know fields by their names in this program.
fn camel(path: &str) -> String {
    let mut upper = false;
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        match (c, upper) {
            ('_', _) => upper = true,
            (c, true) => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only parsed")]
    struct Order {
        first_name: String,
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Item {
        count: u8,
        size: Size,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
    }

    fn field(body: &str) -> (String, String) {
        let failure = parse::<Order>(body.as_bytes()).expect_err(body).render("r");
        let detail = failure.details.into_iter().next();
        let detail = detail.unwrap_or_else(|| panic!("{}", failure.error));
        (detail.field, detail.message)
    }

    #[test]
    fn an_error_names_its_field() {
        for (body, expected) in [
            (r#"{"items":[]}"#, "firstName"),
            (r#"{"firstName":1,"items":[]}"#, "firstName"),
            (
                r#"{"firstName":"x","items":[{"count":1}]}"#,
                "items[0].size",
            ),
            (
                r#"{"firstName":"x","items":[{"count":300,"size":"small"}]}"#,
                "items[0].count",
            ),
            (
                r#"{"firstName":"x","items":[{"count":1,"size":"huge"}]}"#,
                "items[0].size",
            ),
            (
                r#"{"firstName":"x","items":[{"count":1,"size":7}]}"#,
                "items[0].size",
            ),
            ("[]", "body"),
        ] {
            let (field, message) = field(body);
            assert_eq!(field, expected, "{body}: {message}");
        }
    }

    #[test]
    fn broken_json_is_no_field_error() {
        for body in ["", "{", "{}}", "nope", "\u{feff}{}"] {
            let problem = parse::<Order>(body.as_bytes()).expect_err(body);
            let kind = problem.kind();
            let broken = kind == Kind::InvalidJson || kind == Kind::ValidationError;
            assert!(broken, "{body}: {kind:?}");
        }
        let huge = "[".repeat(100_000);
        assert!(parse::<Order>(huge.as_bytes()).is_err(), "deep nesting");
    }

    #[test]
    fn field_names_are_those_of_the_wire() {
        assert_eq!(camel("items[0].first_name"), "items[0].firstName");
    }
}
