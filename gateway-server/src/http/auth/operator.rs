//! Whether an operator asks, on routes that anybody may ask.

use std::convert::Infallible;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use http::{HeaderMap, header};

use super::address::ClientAddress;
use super::guard::GateParts;
use crate::config::Http;
use crate::http::parts::ServerParts;

/// Whether the request shows the token of the metrics, which is configured.
pub(crate) fn has_metrics_token(options: &Http, headers: &HeaderMap) -> bool {
    let Some(token) = &options.metrics_token else {
        return false;
    };
    let shown = headers.get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| verify_slices_are_equal(shown, token.expose().as_bytes()).is_ok())
}

/// Whether an operator asks: an administrator who has logged in, or whoever has the token of the metrics. For
/// routes that anybody may ask, and that tell an operator more. A credential that does not hold is none.
#[derive(Clone, Copy, Debug)]
pub struct AsOperator(pub bool);

impl FromRequestParts<ServerParts> for AsOperator {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ServerParts,
    ) -> Result<Self, Infallible> {
        let options = Arc::<Http>::from_ref(state);
        if has_metrics_token(&options, &parts.headers) {
            return Ok(Self(true));
        }
        let client = ClientAddress::of(&options, &parts.headers, &parts.extensions);
        let gate = GateParts::from_ref(state);
        Ok(Self(gate.is_administrator(&parts.headers, client).await))
    }
}
