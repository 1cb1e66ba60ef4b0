//! The API document: what is said once about all routes.

use gateway_core::identity::Access;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{Detail, Failure, Kind};

const ABOUT: &str = "One base URL in front of a fleet of WhatsApp workers. Every answer is an envelope: \
`{success: true, data}` or `{success: false, error, type, requestId, details}`, where `type` is one of \
the closed list `ProblemType`. The base `/api/v1` can also be written `/api`. Every operation says in \
`x-access` who it is for: `public`, `user`, `key:<scope>` (a user, or an API key with that scope), \
`admin`, `worker` or `bootstrap`.";

/// Returns the value of `x-access`, by which an operation says who may use it.
#[must_use]
pub fn mark(access: Access) -> String {
    match access {
        Access::Public => "public".to_owned(),
        Access::User => "user".to_owned(),
        Access::Key(scope) => format!("key:{}", scope.name()),
        Access::Admin => "admin".to_owned(),
        Access::Worker => "worker".to_owned(),
        Access::Bootstrap => "bootstrap".to_owned(),
    }
}

pub(super) fn security(access: Access) -> Option<Vec<SecurityRequirement>> {
    let schemes: &[&str] = match access {
        Access::Public => return None,
        Access::User | Access::Admin => &["accessToken"],
        Access::Key(_) => &["accessToken", "apiKey", "apiKeyHeader"],
        Access::Worker => &["workerToken"],
        Access::Bootstrap => &["bootstrapToken"],
    };
    let none: [&str; 0] = [];
    let requirement = |scheme: &&str| SecurityRequirement::new(*scheme, none);
    Some(schemes.iter().map(requirement).collect())
}

/// Returns the documented failure that every operation may answer.
pub(super) fn failure() -> RefOr<Response> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Failure")))
        .build();
    let failure = ResponseBuilder::new()
        .description("Any failure; `type` says which")
        .content("application/json", content);
    RefOr::T(failure.build())
}

pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("WhatsApp gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![
        (Failure::name().into_owned(), Failure::schema()),
        (Detail::name().into_owned(), Detail::schema()),
        (Kind::name().into_owned(), Kind::schema()),
    ];
    Failure::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for (name, about) in [
        ("accessToken", "The access token of a login"),
        ("apiKey", "An API key (`gwk_…`)"),
        ("workerToken", "The token a worker got when it registered"),
        (
            "bootstrapToken",
            "The fleet's token, or the one-time token of a reserved worker id",
        ),
    ] {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(about))
            .build();
        components.add_security_scheme(name, SecurityScheme::Http(scheme));
    }
    let header = ApiKeyValue::with_description("X-Api-Key", "An API key; `apikey` works too");
    components.add_security_scheme(
        "apiKeyHeader",
        SecurityScheme::ApiKey(ApiKey::Header(header)),
    );
    document
}
