//! Whatever an operation answers in any test is described in the API document.

use std::sync::OnceLock;

use hyper::Method;
use serde_json::Value;

use crate::app::TestAnswer;

/// What every operation may answer without saying so: a defect, and requests that reach no operation.
const ALWAYS: [&str; 3] = ["internal_error", "unknown_route", "method_not_allowed"];

/// Checks that the document describes the answer of the operation that was asked.
pub(crate) fn check(method: &Method, path: &str, answer: &TestAnswer) {
    let Some((place, operation)) = find(method, path) else {
        return;
    };
    let status = answer.status.as_str();
    if answer.status.is_client_error() || answer.status.is_server_error() {
        let problems = operation["x-problems"].as_array().expect("a list");
        let kind = answer.kind();
        let known = ALWAYS.contains(&kind) || problems.iter().any(|problem| problem == kind);
        assert!(known, "{method} {place} does not describe {status} {kind}");
        return;
    }
    let described = operation["responses"].get(status).is_some();
    assert!(described, "{method} {place} does not describe {status}");
}

fn find(method: &Method, path: &str) -> Option<(&'static str, &'static Value)> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| gateway_server::http::document("/"));
    let path = path.split('?').next().unwrap_or_default();
    let below = path
        .strip_prefix("/api/")
        .filter(|rest| !rest.starts_with("v1/"));
    let path = below.map_or_else(|| path.to_owned(), |rest| format!("/api/v1/{rest}"));
    let paths = document["paths"].as_object()?;
    let mut fitting: Vec<_> = paths
        .iter()
        .filter(|(known, _)| fits(known, &path))
        .collect();
    // A fixed segment stands before a parameter.
    fitting.sort_by_key(|(known, _)| known.matches('{').count());
    let (place, item) = fitting.first()?;
    let operation = item.get(method.as_str().to_ascii_lowercase())?;
    Some((place, operation))
}

fn fits(template: &str, path: &str) -> bool {
    let (mut known, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (known.next(), given.next()) {
            (None, None) => return true,
            (Some(known), Some(given)) if known == given => {}
            (Some(known), Some(given)) if known.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}
