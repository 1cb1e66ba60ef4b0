//! Commands to workers over HTTP/1.1.
//!
//! The hot path of every send, so it is hyper's plain connections with a pool of kept ones and nothing
//! in between: no redirects, no retries of what may have gone out, no buffering of what is too long.
//! Connections belong to the runtime that polls them; a runtime per core has a link per core.
//!
//! What decides between *not sent* and *unknown* is whether the request had a connection: without one no
//! byte can have left, however the attempt ended. A kept connection that the worker closed before the
//! request was written is replaced silently, which is still one attempt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::identity::WorkerTokens;
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession, StopSession,
};
use gateway_core::session::Order;
use gateway_core::worker::{AllowedHost, LinkError, Target, WorkerLink};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answer::{About, Done, WorkerAnswer, read};
use super::connection::{Cut, WorkerRequest};
use super::pool::{ConnectionPool, PoolOptions, Way};
use super::resolver::CheckedResolver;

const X_EPOCH: HeaderName = HeaderName::from_static("x-epoch");
const X_INCARNATION: HeaderName = HeaderName::from_static("x-incarnation");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How connections to workers are made and kept.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The longest wait for a connection; shorter than the limit of any command, so that a host which is
    /// down is *not sent* rather than *unknown*.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the workers' own limit, so that it is rarely
    /// the worker who closes.
    pub idle_timeout: Duration,
    /// How many unused connections are kept per worker.
    pub max_idle: usize,
    /// The hosts at which workers may be.
    pub allowed: Vec<AllowedHost>,
    /// Cuts every connection: what is on its way then has an unknown outcome.
    pub cut: CancellationToken,
    /// The TLS configuration for `https`; `None` trusts the system's certificate authorities.
    pub tls: Option<ClientConfig>,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(30),
            max_idle: 64,
            allowed: vec![AllowedHost::Any],
            cut: CancellationToken::new(),
            tls: None,
        }
    }
}

/// [`WorkerLink`] over HTTP. Clones share connections; see [`HttpLink::apart`].
#[derive(Clone)]
pub struct HttpLink {
    pool: ConnectionPool,
    tokens: WorkerTokens,
}

impl fmt::Debug for HttpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLink").finish_non_exhaustive()
    }
}

impl HttpLink {
    /// Makes a link with no connection yet.
    ///
    /// # Errors
    /// The cryptography that TLS needs is not there.
    pub fn new(tokens: WorkerTokens, options: LinkOptions) -> Result<Self, rustls::Error> {
        let resolver = CheckedResolver::new(&options.allowed);
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        tcp.set_keepalive(Some(options.idle_timeout));
        tcp.enforce_http(false);
        let kept = PoolOptions {
            idle_timeout: options.idle_timeout,
            max_idle: options.max_idle,
            cut: options.cut,
        };
        let tls = options.tls.map_or_else(system_trust, Ok)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            pool: ConnectionPool::new(connector, kept),
            tokens,
        })
    }

    /// Returns a link with the same options and connections of its own, for another runtime.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            pool: self.pool.apart(),
            tokens: self.tokens.clone(),
        }
    }

    /// Returns how long an unused connection is kept.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.pool.idle_timeout()
    }

    /// Closes connections that nobody has used for [`HttpLink::idle_timeout`], of this link and of every one
    /// that was made apart from it.
    pub fn close_idle(&self) {
        self.pool.close_idle();
    }

    /// Makes one attempt at a command, from finding a connection to the complete answer.
    async fn call<T: WorkerAnswer>(
        &self,
        call: Call<'_>,
        about: About,
        limit: Duration,
    ) -> Result<T, LinkError> {
        let (deadline, target) = (Instant::now() + limit, call.target);
        // What cannot be written as a request cannot have been sent.
        let way = self
            .pool
            .way(target, &self.tokens)
            .ok_or(LinkError::NotSent)?;
        let mut command = call.command(&way).ok_or(LinkError::NotSent)?;
        loop {
            let kept = self.pool.kept(target, deadline).await;
            let is_fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => {
                    let connecting = timeout_at(deadline, self.pool.connect(&way.address)).await;
                    connecting.ok().flatten().ok_or(LinkError::NotSent)?
                }
            };
            match timeout_at(deadline, connection.exchange(command)).await {
                Ok(Ok((head, body))) => {
                    self.pool.keep(target, connection);
                    return read(head.status, &head.headers, &body, about);
                }
                Ok(Err(Cut::Unwritten(again))) if !is_fresh => command = *again,
                Ok(Err(Cut::Unwritten(_))) => return Err(LinkError::NotSent),
                Ok(Err(Cut::Lost(error))) => return Err(error),
                Err(_) => return Err(LinkError::Unknown),
            }
        }
    }

    async fn stop(
        &self,
        target: &Target,
        order: &Order,
        verb: &'static str,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        let body = StopSession {
            epoch: order.epoch,
            incarnation: target.owner.incarnation.clone(),
        };
        let call = Call::post(target, CommandPath::Verb(order.session, verb), &body)?;
        let about = About::Owned(order.session, order.epoch);
        self.call(call, about, limit).await
    }
}

/// Returns a TLS configuration that trusts the system's certificate authorities. A machine without any
/// can still talk to workers over plain HTTP, so their absence is a warning and `https` fails when it is
/// used.
fn system_trust() -> Result<ClientConfig, rustls::Error> {
    use hyper_rustls::ConfigBuilderExt;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = || {
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
    };
    let trusting = versions()?.try_with_platform_verifier();
    let config = match trusting {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(%error, "no certificate authorities: workers under https cannot be reached");
            versions()?.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(config.with_no_client_auth())
}

#[derive(Clone, Copy)]
enum CommandPath {
    Health,
    Sessions,
    Session(SessionId),
    Verb(SessionId, &'static str),
}

impl fmt::Display for CommandPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Health => f.write_str("/health"),
            Self::Sessions => f.write_str("/sessions"),
            Self::Session(session) => write!(f, "/sessions/{session}"),
            Self::Verb(session, verb) => write!(f, "/sessions/{session}/{verb}"),
        }
    }
}

/// A command before it is turned into a request.
struct Call<'a> {
    target: &'a Target,
    method: Method,
    path: CommandPath,
    epoch: Option<Epoch>,
    body: Option<Bytes>,
}

impl<'a> Call<'a> {
    const fn bare(target: &'a Target, method: Method, path: CommandPath) -> Self {
        Self {
            target,
            method,
            path,
            epoch: None,
            body: None,
        }
    }

    fn post(
        target: &'a Target,
        path: CommandPath,
        body: &impl Serialize,
    ) -> Result<Self, LinkError> {
        let body = serde_json::to_vec(body).map_err(|_| LinkError::NotSent)?;
        Ok(Self {
            body: Some(body.into()),
            ..Self::bare(target, Method::POST, path)
        })
    }

    fn command(self, way: &Way) -> Option<WorkerRequest> {
        let uri = format!("{}{}", way.address.prefix(), self.path);
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(header::HOST, way.address.host.clone());
        headers.insert(header::AUTHORIZATION, way.token.clone());
        headers.insert(header::ACCEPT, JSON);
        if self.body.is_some() {
            headers.insert(header::CONTENT_TYPE, JSON);
        } else {
            let incarnation = self.target.owner.incarnation.as_str();
            headers.insert(X_INCARNATION, HeaderValue::from_str(incarnation).ok()?);
        }
        if let Some(epoch) = self.epoch {
            headers.insert(X_EPOCH, epoch.0.into());
        }
        let mut command = Request::new(Full::new(self.body.unwrap_or_default()));
        *command.method_mut() = self.method;
        *command.uri_mut() = Uri::from_maybe_shared(Bytes::from(uri)).ok()?;
        *command.headers_mut() = headers;
        Some(command)
    }
}

#[async_trait]
impl WorkerLink for HttpLink {
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError> {
        let call = Call::post(target, CommandPath::Sessions, body)?;
        let about = About::Owned(body.session_id, body.epoch);
        self.call(call, about, limit).await
    }

    async fn session(
        &self,
        target: &Target,
        session: SessionId,
        limit: Duration,
    ) -> Result<SessionState, LinkError> {
        let call = Call::bare(target, Method::GET, CommandPath::Session(session));
        self.call(call, About::Session(session), limit).await
    }

    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError> {
        let call = Call::post(target, CommandPath::Verb(session, "messages"), body)?;
        self.call(call, About::Message(body.message_id), limit)
            .await
    }

    async fn release(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.stop(target, order, "release", limit).await
    }

    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        self.stop(target, order, "logout", limit).await
    }

    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        let mut call = Call::bare(target, Method::DELETE, CommandPath::Session(order.session));
        call.epoch = Some(order.epoch);
        let about = About::Owned(order.session, order.epoch);
        self.call(call, about, limit).await
    }

    async fn passkey(
        &self,
        target: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        limit: Duration,
    ) -> Result<(), LinkError> {
        let verb = if confirm {
            "passkey/confirm"
        } else {
            "passkey"
        };
        let call = Call::post(target, CommandPath::Verb(order.session, verb), body)?;
        self.call(call, About::Anything, limit).await.map(|Done| ())
    }

    async fn health(&self, target: &Target, limit: Duration) -> Result<Health, LinkError> {
        let call = Call::bare(target, Method::GET, CommandPath::Health);
        self.call(call, About::Anything, limit).await
    }
}
