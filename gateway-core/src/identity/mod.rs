//! Who may do what: credentials, scopes, access classes, principals (section 10 of the specification).
//!
//! The rules are here, free of HTTP; the server parses headers and calls [`Access::admits`], in one
//! place.

mod access;
mod api_key;
mod repo;
mod worker_token;

pub use access::{Access, Denied, Principal, Scope};
pub use api_key::{ApiKey, ApiKeySecret, InvalidApiKey};
pub use repo::{KeyRepo, RefreshRepo, RefreshToken, RefreshUse};
pub use worker_token::{InvalidWorkerToken, WorkerTokens};
