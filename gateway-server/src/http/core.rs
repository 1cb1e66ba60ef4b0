//! One core's way in: sends it answers by itself, everything else it hands over.
//!
//! This is the seam between the runtimes. What only needs memory, one worker and the log is answered where
//! it arrived; every other request goes to the control runtime as it came, because a pooled connection
//! works only while the runtime that opened it is polled.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::response::IntoResponse;
use gateway_core::message::{MessageLog, Sender};
use gateway_core::worker::WorkerLink;
use hyper::{Request, Response};
use tokio_util::task::AbortOnDropHandle;
use tower::Service;

use super::parts::ServerParts;
use super::problem::Problem;
use super::serve::{Serve, Timed, with_peer};
use super::v1::{Sending, serve_send};

/// The ports that a core does not share with the others.
#[derive(Clone, Debug)]
pub struct CorePorts {
    /// Its own connections to workers.
    pub link: Arc<dyn WorkerLink>,
    /// Its way to the message log.
    pub log: Arc<dyn MessageLog>,
}

/// Serves the requests of one core. Clones share the core's ports.
#[derive(Clone, Debug)]
pub struct Core {
    pub(super) parts: ServerParts,
    router: Router,
    pub(super) sending: Sending,
}

impl Core {
    /// Makes a core that sends over `ports` and hands everything else to `router`.
    #[must_use]
    pub fn new(parts: ServerParts, router: Router, ports: CorePorts) -> Self {
        let sender = Sender {
            link: ports.link,
            log: ports.log,
            ..(*parts.sender).clone()
        };
        let sending = Sending {
            sender: Arc::new(sender),
            ..Sending::from_ref(&parts)
        };
        Self {
            parts,
            router,
            sending,
        }
    }

    /// Lets the control runtime answer a request. If the client hangs up, the work ends there, too.
    async fn hand_over(&self, request: Request<Timed>, peer: SocketAddr) -> Response<Body> {
        let request = with_peer(request.map(Body::new), peer);
        let mut router = self.router.clone();
        let answering = async move { router.call(request).await };
        let answer = AbortOnDropHandle::new(self.parts.control.spawn(answering)).await;
        match answer {
            Ok(Ok(response)) => response,
            // Handlers' panics are answered inside; this is the end of the runtime.
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl Serve for Core {
    async fn serve(&self, request: Request<Timed>, peer: SocketAddr) -> Response<Body> {
        match serve_send(self, request).await {
            Ok(response) => response,
            Err(request) => self.hand_over(request, peer).await,
        }
    }
}
