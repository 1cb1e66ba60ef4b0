//! Which parameters the query of a request may have.
//!
//! A misspelt filter that is ignored answers something else than what was asked for, with a 200. So the
//! query of a tenant's or an administrator's request may have what the operation describes, and nothing
//! more. Workers and probes are older or newer than this program, or add what they like, and are not held
//! to it.

use axum::extract::Query;
use axum::http::Uri;
use http::Method;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn};

use super::problem::{ApiResult, Detail, Problem};

/// The parameters that each method of a route knows.
#[derive(Debug, Default)]
pub(crate) struct KnownQuery(Vec<(Method, Vec<String>)>);

impl KnownQuery {
    /// Adds what an operation describes.
    pub(super) fn add(&mut self, method: Method, operation: &Operation) {
        let described = operation.parameters.iter().flatten();
        let in_query = described.filter_map(|parameter| match parameter {
            RefOr::T(one) if one.parameter_in == ParameterIn::Query => Some(one.name.clone()),
            RefOr::T(_) | RefOr::Ref(_) => None,
        });
        self.0.push((method, in_query.collect()));
    }

    /// Checks the query of a request.
    ///
    /// # Errors
    /// It has parameters that the operation does not know.
    pub(super) fn check(&self, method: &Method, uri: &Uri) -> ApiResult<()> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(());
        }
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let Some((_, known)) = self.0.iter().find(|(of, _)| of == method) else {
            return Ok(());
        };
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)?;
        let unknown = given.into_iter().filter(|(name, _)| !known.contains(name));
        let message = match known.as_slice() {
            [] => "is not known here; this route takes no query".to_owned(),
            known => format!("is not known here; expected {}", known.join(", ")),
        };
        let details: Vec<_> = unknown
            .map(|(field, _)| Detail {
                field,
                message: message.clone(),
            })
            .collect();
        match details.is_empty() {
            true => Ok(()),
            false => Err(Problem::unknown_fields(details)),
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::{OperationBuilder, ParameterBuilder};

    use super::*;

    fn unknown(known: &KnownQuery, method: &Method, uri: &str) -> Vec<String> {
        let uri: Uri = uri.parse().expect("an address");
        match known.check(method, &uri) {
            Ok(()) => Vec::new(),
            Err(problem) => {
                let details = problem.render("r1").details;
                details.into_iter().map(|detail| detail.field).collect()
            }
        }
    }

    #[test]
    fn what_an_operation_does_not_describe_is_refused_by_name() {
        let parameter = |name: &str, place| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(place);
            parameter.build()
        };
        let operation = OperationBuilder::new()
            .parameter(parameter("status", ParameterIn::Query))
            .parameter(parameter("id", ParameterIn::Path))
            .build();
        let mut known = KnownQuery::default();
        known.add(Method::GET, &operation);
        for (method, uri, expected) in [
            (Method::GET, "/x", &[][..]),
            (Method::GET, "/x?", &[]),
            (Method::GET, "/x?status=a&status=b", &[]),
            (Method::HEAD, "/x?statu=a", &["statu"]),
            (Method::GET, "/x?id=1&st%61tus=a&a%20b", &["id", "a b"]),
            (Method::POST, "/x?anything", &[]),
        ] {
            assert_eq!(unknown(&known, &method, uri), expected, "{method} {uri}");
        }
    }
}
