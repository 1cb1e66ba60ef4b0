//! From an address to connections that come back by themselves.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig, UnresponsiveConfig,
};
use fred::types::{Builder, ConnectHandle, RespVersion};
use futures_util::FutureExt;

use crate::config::ServiceUrl;

/// How many messages a slow reader of hints may be behind inside the client.
const BEHIND: usize = 4_096;
/// Pauses between attempts to connect, growing from the first to the second number; in milliseconds.
const RECONNECT: (u32, u32) = (50, 1_000);
const RECONNECT_JITTER: u32 = 100;

/// The options of a connection to Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://`, `redis-sentinel://`, `redis-cluster://`, or the same with `rediss` for TLS.
    pub url: ServiceUrl,
    /// How long one call may take.
    pub command_timeout: Duration,
    /// How long connecting may take, at the start and whenever the connection was lost.
    pub connect_timeout: Duration,
    /// How often Redis is asked whether it is there.
    pub probe_interval: Duration,
    /// What all keys begin with.
    pub prefix: String,
}

/// Why Redis cannot be used at the start. All but [`RedisError::Unreachable`] are for a person to correct.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address cannot be understood.
    #[error("REDIS_URL {url} is no address of Redis; {why}")]
    Address {
        /// The address, without its password.
        url: ServiceUrl,
        why: &'static str,
    },
    #[error("Redis does not answer at {url}: start it, or correct REDIS_URL")]
    Unreachable {
        /// The address, without its password.
        url: ServiceUrl,
        source: Error,
    },
    /// The password is wrong or missing, or the server expects none.
    #[error("Redis at {url} refuses the login: correct the user and password in REDIS_URL")]
    Login {
        /// The address, without its password.
        url: ServiceUrl,
        source: Error,
    },
    /// It speaks no TLS, or shows a certificate that is not trusted here.
    #[error(
        "there is no TLS with Redis at {url}: use redis:// if it speaks none, or make this machine trust its certificate"
    )]
    Tls {
        /// The address, without its password.
        url: ServiceUrl,
        source: Error,
    },
    /// It answers and cannot be used: too old, read-only, or a user without rights.
    #[error(
        "Redis at {url} cannot be used: Redis 6 or later is needed, writable, with scripts allowed"
    )]
    Unusable {
        /// The address, without its password.
        url: ServiceUrl,
        source: Error,
    },
}

impl RedisError {
    pub(super) fn new(url: &ServiceUrl, source: Error) -> Self {
        let url = url.clone();
        if is_login(&source) {
            return Self::Login { url, source };
        }
        if is_tls(&source) {
            return Self::Tls { url, source };
        }
        if passes(&source) {
            return Self::Unreachable { url, source };
        }
        Self::Unusable { url, source }
    }
}

/// Returns whether the failure may pass by itself: nobody answers, or the server is about to be of use.
/// Any other answer is a wrong one and stays.
fn passes(error: &Error) -> bool {
    const SOON: [&str; 3] = ["LOADING", "MASTERDOWN", "CLUSTERDOWN"];
    match error.kind() {
        ErrorKind::IO
        | ErrorKind::Timeout
        | ErrorKind::Canceled
        | ErrorKind::Cluster
        | ErrorKind::Sentinel => true,
        ErrorKind::Unknown => SOON.iter().any(|soon| error.details().starts_with(soon)),
        _ => false,
    }
}

/// Returns whether the error is about TLS. The client wraps what its TLS library says in an input error.
/// A Redis without TLS says nothing: it takes the greeting for the beginning of a long command.
fn is_tls(error: &Error) -> bool {
    const WORDS: [&str; 4] = [
        "InvalidCertificate",
        "InvalidMessage",
        "AlertReceived",
        "PeerIncompatible",
    ];
    *error.kind() == ErrorKind::Tls || WORDS.iter().any(|word| error.details().contains(word))
}

/// Returns whether the error is about the password. Redis says so in several ways, and the client gives
/// them several kinds.
fn is_login(error: &Error) -> bool {
    const WORDS: [&str; 4] = ["NOAUTH", "WRONGPASS", "invalid password", "AUTH <password>"];
    *error.kind() == ErrorKind::Auth || WORDS.iter().any(|word| error.details().contains(word))
}

/// Returns whether the error means that Redis is away, as opposed to an answer about this one call.
pub(super) fn is_outage(error: &Error) -> bool {
    const ANSWERS: [&str; 5] = ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "OOM"];
    match error.kind() {
        ErrorKind::InvalidCommand
        | ErrorKind::InvalidArgument
        | ErrorKind::Parse
        | ErrorKind::NotFound => false,
        ErrorKind::Unknown => ANSWERS
            .iter()
            .any(|answer| error.details().starts_with(answer)),
        _ => true,
    }
}

/// A connection and the task that keeps it; closed when dropped.
pub(super) struct RedisConnection {
    pub(super) client: Client,
    keeper: ConnectHandle,
    refused: bool,
}

impl RedisConnection {
    /// Makes a connection that is established in the background, as soon as the server answers.
    pub(super) fn later(client: Client) -> Self {
        Self {
            keeper: client.connect(),
            client,
            refused: false,
        }
    }

    /// Starts the connection's task again if it has ended, and returns whether it had. The library gives
    /// up for good on some errors, such as a cluster that is being rebuilt, and on any error before the
    /// first connection.
    pub(super) fn revive(&mut self) -> bool {
        let Some(ended) = (&mut self.keeper).now_or_never() else {
            return false;
        };
        self.keeper = self.client.connect();
        let refused = matches!(ended, Ok(Err(error)) if is_login(&error));
        if refused && !self.refused {
            tracing::error!("Redis refuses the login: correct the user and password in REDIS_URL");
        }
        self.refused = refused;
        true
    }
}

impl Drop for RedisConnection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Makes a client that is not connected yet, so that a listener can be there before the first event.
pub(super) fn client(options: &RedisOptions) -> Result<Client, RedisError> {
    let bad = |why| RedisError::Address {
        url: options.url.clone(),
        why,
    };
    let mut config = Config::from_url(options.url.expose()).map_err(|_| {
        bad("expected redis://host:6379, redis-cluster://host:6379?node=other:6379 or redis-sentinel://host:26379?sentinelServiceName=main")
    })?;
    config.version = RespVersion::RESP3;
    let (first, longest) = RECONNECT;
    let mut policy = ReconnectPolicy::new_exponential(0, first, longest, 2);
    policy.set_jitter(RECONNECT_JITTER);
    let limit = options.command_timeout;
    let mut builder = Builder::from_config(config);
    builder
        .set_policy(policy)
        .set_performance_config(PerformanceConfig {
            default_command_timeout: limit,
            broadcast_channel_capacity: BEHIND,
            ..PerformanceConfig::default()
        })
        .set_connection_config(ConnectionConfig {
            connection_timeout: options.connect_timeout,
            internal_command_timeout: options.connect_timeout,
            // A call that was written may have been carried out: its caller hears of the failure.
            max_command_attempts: 1,
            unresponsive: UnresponsiveConfig {
                max_timeout: Some(4 * limit),
                interval: limit,
            },
            reconnect_on_auth_error: true,
            tcp: TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            },
            ..ConnectionConfig::default()
        });
    builder.build().map_err(|_| bad("its parts contradict"))
}

/// Connects within the time for it. If nobody answers, the connection is established later in the
/// background, and the returned error says why it is not there yet.
///
/// # Errors
/// A failure that will not pass by itself.
pub(super) async fn connect(
    client: Client,
    options: &RedisOptions,
) -> Result<(RedisConnection, Option<RedisError>), RedisError> {
    let waiting = client.clone();
    let mut waiting = Box::pin(waiting.wait_for_connect());
    // It must be listening before the first attempt has ended.
    let before = futures_util::poll!(&mut waiting);
    debug_assert!(before.is_pending(), "the client is new");
    let connection = RedisConnection::later(client);
    let timed_out = || Error::new(ErrorKind::Timeout, "no answer in time");
    let connected = tokio::time::timeout(options.connect_timeout, waiting).await;
    let connected = connected.unwrap_or_else(|_| Err(timed_out()));
    let away = match connected.map_err(|source| RedisError::new(&options.url, source)) {
        Ok(()) => None,
        Err(away @ RedisError::Unreachable { .. }) => Some(away),
        Err(error) => return Err(error),
    };
    Ok((connection, away))
}
