//! Who may do what: credentials, scopes, access classes, principals.
//!
//! The rules are here, free of HTTP; the server parses headers and calls [`Access::admits`], in one
//! place.

mod access;
mod actor;
mod api_key;
mod login;
mod repo;
mod worker_token;

pub use access::{Access, Denied, Principal, Scope};
pub use actor::{Actor, ActorKind, Origin, client_network};
pub(crate) use api_key::random_text;
pub use api_key::{ApiKey, ApiKeySecret, InvalidApiKey};
pub use login::{Login, LoginRepo, RefreshToken, RefreshUse};
pub use repo::KeyRepo;
pub use worker_token::{InvalidWorkerToken, WorkerTokens};
