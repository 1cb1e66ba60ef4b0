//! The API document: what is said once about all routes.

mod names;
mod problems;

use gateway_core::id::{ApiKeyId, MessageId, SessionId, WorkerId};
use gateway_core::identity::Access;
use gateway_core::session::SessionRef;
use serde_json::Value;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::info::LicenseBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, OpenApi, ServerBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{Detail, Failure, Kind};
use super::routes::Manner;

const ABOUT: &str = "One base URL in front of a fleet of WhatsApp workers. Every answer is an envelope: \
`{success: true, data}` or `{success: false, error, type, requestId, details}`, where `type` is one of \
the closed list `ProblemType`. The base `/api/v1` can also be written `/api`. Every operation says in \
`x-access` who it is for: `public`, `user`, `key:<scope>` (a user, or an API key with that scope), \
`admin`, `worker` or `bootstrap`; and in `x-problems` which types of problem it answers.";
const LICENSE: &str = "MIT OR Apache-2.0";

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

fn security(access: Access) -> Vec<SecurityRequirement> {
    let schemes: &[&str] = match access {
        Access::Public => &[],
        Access::User | Access::Admin => &["accessToken"],
        Access::Key(_) => &["accessToken", "apiKey", "apiKeyHeader"],
        Access::Worker => &["workerToken"],
        Access::Bootstrap => &["bootstrapToken"],
    };
    let none: [&str; 0] = [];
    let requirement = |scheme: &&str| SecurityRequirement::new(*scheme, none);
    schemes.iter().map(requirement).collect()
}

/// What can be done, in the order in which a tenant needs it.
const TAGS: [(&str, &str); 8] = [
    (
        "auth",
        "Registering, logging in and out, and the tokens of a login.",
    ),
    (
        "users",
        "The person who has logged in, and the API keys of the tenant.",
    ),
    (
        "sessions",
        "WhatsApp accounts: making, linking, connecting and deleting them.",
    ),
    (
        "messages",
        "Sending messages, and reading what was sent and received.",
    ),
    (
        "events",
        "What has happened, in order, to be read from any point on.",
    ),
    ("admin", "For operators: the fleet of workers."),
    (
        "workers",
        "For workers: membership, session state, and reports. The worker protocol.",
    ),
    (
        "system",
        "The server itself: health, metrics, and this description.",
    ),
];

/// Describes what an operation has in common with others of its access class.
pub(super) fn describe(operation: &mut Operation, access: Access, manner: Manner) {
    let mark = ExtensionsBuilder::new().add("x-access", mark(access));
    operation
        .extensions
        .get_or_insert_default()
        .merge(mark.build());
    operation.security = Some(security(access));
    problems::describe(operation, access, manner);
}

/// Completes the document and gives its models their names. `server` is the address before the paths.
pub(super) fn finish(mut document: OpenApi, server: &str) -> Value {
    let license = LicenseBuilder::new()
        .name(LICENSE)
        .identifier(Some(LICENSE))
        .build();
    document.info = InfoBuilder::new()
        .title("WhatsApp gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let server = ServerBuilder::new()
        .url(server)
        .description(Some("This gateway"));
    document.servers = Some(vec![server.build()]);
    let tag = |(name, about): (&str, &str)| {
        let tag = TagBuilder::new().name(name).description(Some(about));
        tag.build()
    };
    document.tags = Some(TAGS.map(tag).into());
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![
        (Failure::name().into_owned(), Failure::schema()),
        (Detail::name().into_owned(), Detail::schema()),
        (Kind::name().into_owned(), Kind::schema()),
    ];
    // Parameters refer to these, and are not looked through for models.
    schemas.extend([
        (SessionRef::name().into_owned(), SessionRef::schema()),
        (SessionId::name().into_owned(), SessionId::schema()),
        (MessageId::name().into_owned(), MessageId::schema()),
        (ApiKeyId::name().into_owned(), ApiKeyId::schema()),
        (WorkerId::name().into_owned(), WorkerId::schema()),
    ]);
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
    let mut document = serde_json::to_value(document).unwrap_or_default();
    names::rename(&mut document);
    document
}
