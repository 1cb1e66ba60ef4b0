//! Who somebody is: credentials, passwords and tokens, without any HTTP.
//!
//! Core says what a principal may do; here is what proves that somebody is one. Nothing in this folder
//! answers a request, so commands, loops and caches use it as well as the edge does, and an error says what
//! is wrong with a credential without saying which status that is.
//!
//! In reading order: `credential` (what a request shows), `jwt` (access tokens), `password`, `caller`
//! (whom a valid credential belongs to), `last_used` (when a key was used).

mod caller;
mod credential;
mod jwt;
mod last_used;
mod password;

pub use caller::{Caller, CallerFacts, Joiner, OtherSession, Person, WorkerCaller};
pub use credential::{InvalidCredential, JOIN_TOKEN_PREFIX, Verifiers};
pub use jwt::{AccessTokens, InvalidAccessToken};
pub use last_used::LastUsed;
pub use password::Passwords;

pub(crate) use credential::Credential;
pub(crate) use jwt::Claims;
