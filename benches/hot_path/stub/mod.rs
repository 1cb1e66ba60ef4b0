//! A worker that answers at once: the other end of what is measured.
//!
//! One process plays all workers of a fleet on one port, each at an address of its own. It runs like
//! the servers it stands behind (a current-thread runtime per core, a listener each), and looks for the
//! two ids it has to name instead of parsing what it is sent, so that it costs as little as it can.

mod answer;
mod fleet;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;

use crate::{Failure, names};
use fleet::Fleet;

/// The arguments of the stub's process.
#[derive(Args, Clone, Debug)]
pub(crate) struct Stub {
    /// The port to listen on, on every address.
    #[arg(long)]
    pub(crate) port: u16,
    /// How many workers to register.
    #[arg(long, default_value_t = 0)]
    pub(crate) workers: u32,
    /// How many sessions they hold together, for their heartbeats.
    #[arg(long, default_value_t = 0)]
    pub(crate) sessions: u32,
    /// The gateway to register with; without one it only answers.
    #[arg(long)]
    pub(crate) join: Option<String>,
    /// What tells the incarnations of this run from others.
    #[arg(long, default_value = "0")]
    pub(crate) run: String,
}

impl Stub {
    /// Answers until the process is ended; prints `ready` when every worker is registered.
    pub(crate) fn serve(self) -> Result<(), Failure> {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port));
        let fleet = self
            .join
            .clone()
            .map(|gateway| Arc::new(Fleet::new(gateway, &self)));
        let cores = std::thread::available_parallelism()?.get();
        for _ in 0..cores {
            let fleet = fleet.clone();
            let listener = listen(address)?;
            std::thread::spawn(move || serve_core(listener, fleet));
        }
        let control = current_thread()?;
        control.block_on(async {
            let ready = || writeln!(io::stdout(), "ready");
            let Some(fleet) = fleet else {
                ready()?;
                return std::future::pending().await;
            };
            let joining = async {
                fleet.register().await?;
                Ok(ready()?)
            };
            // The first are alive before the last has joined.
            tokio::try_join!(joining, fleet.beat()).map(drop)
        })
    }
}

fn current_thread() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    // A socket wants a runtime to be registered with; it is taken out of this one again.
    let runtime = current_thread()?;
    let _entered = runtime.enter();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)?.into_std()
}

fn serve_core(listener: std::net::TcpListener, fleet: Option<Arc<Fleet>>) -> io::Result<()> {
    let runtime = current_thread()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let number = worker_asked(&stream);
            let _ = stream.set_nodelay(true);
            let fleet = fleet.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(request, fleet.clone(), number));
                let connection = hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), service);
                // A connection that breaks is the other side's to report.
                let _ = connection.await;
            });
        }
    })
}

/// Returns the number of the worker whose address a connection was made to.
fn worker_asked(stream: &TcpStream) -> u32 {
    match stream.local_addr() {
        Ok(SocketAddr::V4(address)) => names::worker_at(*address.ip()),
        _ => 0,
    }
}

async fn answer(
    request: Request<Incoming>,
    fleet: Option<Arc<Fleet>>,
    number: u32,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(json(StatusCode::BAD_REQUEST, "{}".into()));
    };
    let body = body.to_bytes();
    let path = head.uri.path();
    if head.method == Method::POST && path.ends_with("/messages") {
        return Ok(json(StatusCode::ACCEPTED, answer::sent(&body)));
    }
    if head.method == Method::POST && path == "/sessions" {
        return Ok(match (answer::started(&body), fleet) {
            (Some((start, accepted)), Some(fleet)) => {
                tokio::task::spawn_local(async move { fleet.connected(&start).await });
                json(StatusCode::ACCEPTED, accepted)
            }
            _ => json(StatusCode::BAD_REQUEST, "{}".into()),
        });
    }
    if path.ends_with("/health") {
        let text = fleet.map_or_else(|| "{}".to_owned(), |fleet| fleet.health(number));
        return Ok(json(StatusCode::OK, text.into()));
    }
    let text = r#"{"type":"unknown_session","error":"the stub only sends"}"#;
    Ok(json(StatusCode::NOT_FOUND, text.into()))
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
