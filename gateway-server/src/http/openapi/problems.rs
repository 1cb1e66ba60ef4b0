//! Which problems an operation may answer.
//!
//! Most follow from what an operation is: who may use it, and whether it has a path with parameters, a query
//! or a body. The rest is named where its handler is, in `x-problems`. Tests compare what is answered with what is
//! described.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::identity::Access;
use http::StatusCode;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::super::problem::Kind;
use super::super::routes::Manner;

/// The mark by which an operation names its problems.
const MARK: &str = "x-problems";

/// Describes every problem that the operation may answer: by status, and as a list for programs.
pub(super) fn describe(operation: &mut Operation, access: Access, manner: Manner) {
    let problems = problems(operation, access, manner);
    let mut by_status = BTreeMap::<u16, Vec<Kind>>::new();
    for kind in &problems {
        by_status
            .entry(kind.status().as_u16())
            .or_default()
            .push(*kind);
    }
    let responses = &mut operation.responses.responses;
    for (status, kinds) in by_status {
        responses.insert(status.to_string(), failure(&about(&kinds)));
    }
    responses.insert(
        "default".to_owned(),
        failure("Any other failure; `type` says which."),
    );
    let slugs = problems.into_iter().map(Kind::slug).collect::<Vec<_>>();
    let mark = serde_json::Value::from(slugs);
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert(MARK.to_owned(), mark);
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = success(status).to_owned();
        }
    }
}

fn problems(operation: &Operation, access: Access, manner: Manner) -> BTreeSet<Kind> {
    let mut kinds = BTreeSet::new();
    let mut add = |applies: bool, more: &[Kind]| {
        kinds.extend(more.iter().copied().filter(|_| applies));
    };
    let strangers = access != Access::Public;
    add(
        strangers,
        &[Kind::Unauthorized, Kind::Forbidden, Kind::TenantSuspended],
    );
    add(
        strangers || manner.counted,
        &[Kind::RateLimited, Kind::ConnectivityError],
    );
    let tenants = matches!(access, Access::User | Access::Admin | Access::Key(_));
    add(manner.strict, &[Kind::UnknownField]);
    add(matches!(access, Access::Key(_)), &[Kind::InsufficientScope]);
    let parameters = operation.parameters.iter().flatten();
    for parameter in parameters {
        let RefOr::T(parameter) = parameter else {
            continue;
        };
        add(true, &[Kind::ValidationError]);
        let in_path = parameter.parameter_in == ParameterIn::Path;
        add(in_path, &[Kind::NotFound]);
    }
    add(
        operation.request_body.is_some(),
        &[
            Kind::ValidationError,
            Kind::InvalidJson,
            Kind::IncompleteBody,
            Kind::RequestTimeout,
            Kind::PayloadTooLarge,
            Kind::UnsupportedMediaType,
        ],
    );
    let has_body_and_credential = operation.request_body.is_some() && tenants;
    add(has_body_and_credential, &[Kind::Overloaded]);
    add(true, &named(operation.extensions.as_ref()));
    kinds
}

/// Returns the problems that an operation names itself.
fn named(extensions: Option<&Extensions>) -> Vec<Kind> {
    let named = extensions.and_then(|extensions| extensions.get(MARK));
    let slugs = named
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten();
    slugs
        .filter_map(|slug| slug.as_str().and_then(Kind::named))
        .collect()
}

fn about(kinds: &[Kind]) -> String {
    let line = |kind: &Kind| format!("- `{}`: {}", kind.slug(), kind.about());
    kinds.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn failure(about: &str) -> RefOr<Response> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Failure")))
        .build();
    let failure = ResponseBuilder::new()
        .description(about)
        .content("application/json", content);
    RefOr::T(failure.build())
}

/// Returns what a status of success means, for operations that say nothing more about it.
fn success(status: &str) -> &'static str {
    let status = status.parse().ok();
    match status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(StatusCode::CREATED) => "It was made.",
        Some(StatusCode::ACCEPTED) => "It will be done; its status says how far it is.",
        Some(_) | None => "It is done.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::v1;
    use super::*;

    #[test]
    fn operations_name_problems_that_there_are() {
        let all = v1::routes().merge(v1::system::routes());
        let mut seen = 0;
        for operation in all.operations() {
            let extensions = operation.extensions.as_ref();
            let marked = extensions.and_then(|extensions| extensions.get(MARK));
            for slug in marked
                .and_then(serde_json::Value::as_array)
                .into_iter()
                .flatten()
            {
                let kind = slug.as_str().and_then(Kind::named);
                assert!(kind.is_some(), "{slug} is no problem");
                seen += 1;
            }
        }
        assert!(seen > 0);
    }
}
