//! HTTP: the listener and what stands behind it.
//!
//! In reading order: [`serve`] (connections), [`door`] (what is behind them), `observe` and `layers`
//! (around every request), [`parts`] (what handlers may ask for), [`routes`] (who may do what, and where it is
//! done), [`auth`] (who is asking), [`extract`], [`page`] and [`answer`] (reading and answering),
//! [`problem`] (failing), and [`v1`], which has one file per endpoint.

pub mod answer;
pub mod auth;
mod body;
mod connection;
pub mod door;
pub mod extract;
mod layers;
mod lossy;
mod observe;
pub mod openapi;
pub mod page;
pub mod parts;
mod paths;
pub mod problem;
mod query;
mod quota;
pub mod routes;
pub mod serve;
mod text;
pub mod v1;

pub use layers::{RequestId, note_session};

/// The base of the API.
pub const BASE: &str = "/api/v1";
/// The base of the API for clients that leave the version out.
const ALIAS: &str = "/api";

/// Returns the description of every route, as an OpenAPI document. `server` is the address before the paths.
#[must_use]
pub fn document(server: &str) -> serde_json::Value {
    v1::routes()
        .below(BASE)
        .merge(v1::system::routes())
        .document(server)
}
