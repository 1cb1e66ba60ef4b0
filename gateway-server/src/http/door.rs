//! The door: every request comes in here, on the runtime that has its connection.
//!
//! Behind it stands one router. What browsers and long answers need beyond that is done only for them: as
//! layers it would be copied, boxed and asked for with every request.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use gateway_core::message::{MessageLog, Sender};
use gateway_core::worker::WorkerLink;
use http::{HeaderValue, Method, Request, Response, header};
use tokio::runtime::Handle;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

use super::auth::GateParts;
use super::layers;
use super::observe::{RequestObserver, observe};
use super::parts::{PartList, ServerParts};
use super::serve::{Serve, Timed, with_peer};
use super::{ALIAS, BASE, paths, v1};

/// The smallest answer that is compressed, in bytes. Below it, compressing costs more than it saves.
const COMPRESSED_FROM: u16 = 1024;

/// The ports that a core does not share with the others.
#[derive(Clone, Debug)]
pub struct CorePorts {
    /// Its own connections to workers.
    pub link: Arc<dyn WorkerLink>,
    /// Its way to the message log.
    pub log: Arc<dyn MessageLog>,
}

/// Answers every request. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Door {
    router: Router,
    /// The same router with what only browsers need.
    for_browsers: Router,
}

impl Door {
    /// Makes a door behind which everything is answered on the runtime where it arrives.
    #[must_use]
    pub fn new(parts: &ServerParts) -> Self {
        Self::to_all_routes(parts, None)
    }

    /// Makes the door of a core. It sends over `ports`, and hands requests to the control runtime unless their
    /// route is served on the core.
    #[must_use]
    pub fn of_core(parts: &ServerParts, ports: CorePorts) -> Self {
        let sender = Sender {
            link: ports.link,
            log: ports.log,
            ..(*parts.sender).clone()
        };
        let parts = ServerParts::from(PartList {
            sender: Arc::new(sender),
            ..PartList::clone(parts)
        });
        Self::to_all_routes(&parts, Some(parts.control.clone()))
    }

    /// Makes a door to other routes than the server's own.
    #[must_use]
    pub fn to(routes: Router<ServerParts>, parts: &ServerParts) -> Self {
        let observer = RequestObserver::new(parts, [], None);
        Self::around(routes, observer, parts)
    }

    fn to_all_routes(parts: &ServerParts, control: Option<Handle>) -> Self {
        let gate = Arc::new(GateParts::from_ref(parts));
        // The alias has the same handlers and guards and is not described again.
        let routes = v1::routes().below(BASE);
        let routes = routes.merge(v1::routes().below(ALIAS));
        let routes = routes.merge(v1::system::routes());
        let observer = RequestObserver::new(parts, routes.paths(), control);
        let router = routes.router(&gate).merge(v1::system::docs());
        Self::around(router, observer, parts)
    }

    fn around(routes: Router<ServerParts>, observer: RequestObserver, parts: &ServerParts) -> Self {
        let router = routes
            .fallback(layers::unknown_route)
            .method_not_allowed_fallback(layers::wrong_method)
            .layer(from_fn_with_state(Arc::new(observer), observe))
            .with_state(parts.clone());
        Self {
            for_browsers: router.clone().layer(layers::cors(&parts.http)),
            router,
        }
    }

    async fn answer(self, mut request: Request<Body>) -> Response<Body> {
        if let Some(uri) = paths::tidied(request.uri()) {
            *request.uri_mut() = uri;
        }
        let headers = request.headers();
        let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().cloned();
        let accepted: Vec<_> = accepted.collect();
        let by_browser =
            headers.contains_key(header::ORIGIN) || request.method() == Method::OPTIONS;
        let mut router = match by_browser {
            true => self.for_browsers,
            false => self.router,
        };
        let Ok(response) = router.call(request).await;
        let length = response.body().size_hint().exact();
        match length.is_some_and(|length| length < COMPRESSED_FROM.into()) {
            true => response,
            false => compressed(accepted, response).await,
        }
    }
}

impl Serve for Door {
    async fn serve(&self, request: Request<Timed>, peer: SocketAddr) -> Response<Body> {
        let request = with_peer(request.map(Body::new), peer);
        self.clone().answer(request).await
    }
}

impl Service<Request<Body>> for Door {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move { Ok(door.answer(request).await) })
    }
}

/// Compresses an answer if it is worth it and its encoding is one of those `accepted`.
async fn compressed(accepted: Vec<HeaderValue>, response: Response<Body>) -> Response<Body> {
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(COMPRESSED_FROM));
    let layer = CompressionLayer::new().compress_when(worth_it);
    let mut request = Request::new(Body::empty());
    for value in accepted {
        request.headers_mut().append(header::ACCEPT_ENCODING, value);
    }
    let mut response = Some(response);
    let answer =
        service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let Ok(response) = layer.layer(answer).oneshot(request).await;
    response.map(Body::new)
}
