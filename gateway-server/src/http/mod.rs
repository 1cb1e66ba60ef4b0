//! HTTP: the listener and what stands behind it.
//!
//! In reading order: [`serve`] (connections), [`core`] (what a core answers by itself), [`parts`] (what
//! handlers may ask for), `layers` (around every request), [`routes`] (who may do
//! what), [`auth`] (who is asking), [`extract`], [`page`] and [`answer`] (reading and answering),
//! [`problem`] (failing), and [`v1`], which has one file per endpoint.

pub mod answer;
pub mod auth;
mod body;
mod connection;
pub mod core;
pub mod extract;
mod layers;
pub mod openapi;
pub mod page;
pub mod parts;
pub mod problem;
mod quota;
pub mod routes;
pub mod serve;
mod text;
pub mod v1;

use std::sync::Arc;

use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

pub use layers::{RequestId, note_session};

use self::auth::GateParts;
use self::body::BodyLimit;
use self::layers::RequestObserver;
use self::parts::ServerParts;

/// The base of the API.
pub const BASE: &str = "/api/v1";
/// The base of the API for clients that leave the version out.
const ALIAS: &str = "/api";
/// The smallest answer that is compressed, in bytes. Below it, compressing costs more than it saves.
const COMPRESSED_FROM: u16 = 1024;

/// Makes the router of everything that the server answers.
pub fn router(parts: &ServerParts) -> Router {
    let gate = Arc::new(GateParts::from_ref(parts));
    // The alias has the same handlers and guards and is not described again.
    let routes = Router::new()
        .merge(v1::routes().below(BASE).router(&gate))
        .merge(v1::routes().below(ALIAS).router(&gate))
        .merge(v1::system::routes().router(&gate))
        .merge(v1::system::docs());
    around(routes, parts)
}

/// Puts the server's layers around `routes`: request ids, envelopes, limits, metrics, headers.
pub fn around(routes: Router<ServerParts>, parts: &ServerParts) -> Router {
    routes
        .fallback(layers::unknown_route)
        .method_not_allowed_fallback(layers::wrong_method)
        .layer(Extension(BodyLimit(parts.http.body_limit)))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn_with_state(
            RequestObserver::from_ref(parts),
            layers::observe,
        ))
        .layer(from_fn(layers::security_headers))
        .layer(layers::cors(&parts.http))
        .layer(
            CompressionLayer::new()
                .compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESSED_FROM))),
        )
        .with_state(parts.clone())
}

/// Returns the description of every route.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    v1::routes()
        .below(BASE)
        .merge(v1::system::routes())
        .document()
}
