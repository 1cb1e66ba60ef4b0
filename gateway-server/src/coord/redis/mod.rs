//! Coordination of many replicas over Redis: single, behind Sentinel, or a cluster.
//!
//! One pipelined connection carries every command, because a pool of connections without pipelining is
//! slower; a second one listens. The client library waits for its time limit while Redis is away, so a
//! breaker stands in front: an outage, be it a refused connection or a server that hangs, costs
//! the calls on their way one limit each, and later ones nothing. Redis may vanish at any time, and may not be
//! there yet at the start; [`Sheltered`](super::Sheltered) says what happens then.

mod breaker;
mod connect;
mod hearing;
mod script;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fred::clients::Client;
use fred::interfaces::{HashesInterface, KeysInterface, PubsubInterface, SetsInterface};
use fred::types::Expiration;
use gateway_core::coord::{
    CoordError, Coordinator, Counted, Notice, Notices, PairingSecret, ReplicaNumbers,
};
use gateway_core::id::SessionId;
use gateway_core::session::ChallengeKind;
use gateway_core::time::Clock;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use super::hints::Hints;
use super::local::KINDS;
use crate::shutdown::Shutdown;
use breaker::Breaker;
use connect::RedisConnection;
pub use connect::{RedisError, RedisOptions};
use hearing::Hearing;
use script::{Keys, Scripts, rank_of_secret};

/// How many notices a slow subscriber may be behind; then its stream ends and it looks at the store.
const HINTS: usize = 4_096;

/// [`Coordinator`] of many replicas. Dropping it closes its connections.
#[derive(Debug)]
pub struct RedisCoordinator {
    shared: Arc<Shared>,
    _tasks: Tasks,
}

/// What the coordinator and its own tasks share.
struct Shared {
    clock: Arc<dyn Clock>,
    commands: Client,
    hearing: Arc<Hearing>,
    breaker: Mutex<Breaker>,
    limit: Duration,
    scripts: Scripts,
    keys: Keys,
}

impl std::fmt::Debug for Shared {
    /// Shows no client: its own output may hold the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("breaker", &self.breaker)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("Redis is away")]
    Away,
    #[error("Redis has not answered in time")]
    TimedOut,
    #[error("Redis has refused")]
    Refused(#[source] fred::error::Error),
    #[error("Redis holds a value that is not understood")]
    Rubbish(#[source] serde_json::Error),
}

impl From<Unanswered> for CoordError {
    fn from(why: Unanswered) -> Self {
        Self(Box::new(why))
    }
}

impl RedisCoordinator {
    /// Connects, and makes sure that Redis can be used. `replica` tells this process from all others.
    /// Connections belong to the runtime that this is called on, and `shutdown` ends them last. If nobody
    /// answers, that is an outage like any later one.
    ///
    /// # Errors
    /// A [`RedisError`] if what answers is no Redis that can be used.
    pub async fn connect(
        options: &RedisOptions,
        replica: &str,
        clock: Arc<dyn Clock>,
        shutdown: &Shutdown,
    ) -> Result<Self, RedisError> {
        let keys = Keys::new(&options.prefix);
        let hints = Hints::new(HINTS);
        let hearing = Arc::new(Hearing::new(hints, keys.channel(), replica.to_owned()));
        let ears = connect::client(options)?;
        let listening = hearing::listen(Arc::clone(&hearing), &ears);
        let mut tasks = Tasks(vec![shutdown.spawn_connection(listening)]);
        let (commands, away) = connect::connect(connect::client(options)?, options).await?;
        let (ears, _) = match &away {
            None => connect::connect(ears, options).await?,
            Some(_) => (RedisConnection::later(ears), None),
        };
        let breaker = Breaker::new(options.probe_interval, clock.uptime());
        let shared = Arc::new(Shared {
            clock,
            commands: commands.client.clone(),
            hearing,
            breaker: Mutex::new(breaker),
            limit: options.command_timeout,
            scripts: Scripts::new(),
            keys,
        });
        let away = match away {
            None => shared.try_out(options).await?,
            away => away,
        };
        match away {
            Some(why) => {
                shared.breaker().failed(shared.clock.uptime());
                let why = crate::telemetry::ErrorChain(&why);
                tracing::warn!(error = %why, "Redis is away at the start: going on without it");
            }
            // A first subscription that is late is made up for by the watch.
            None => {
                let _ = tokio::time::timeout(options.connect_timeout, shared.hearing.stood()).await;
            }
        }
        let watching = watch::run(Arc::clone(&shared), commands, ears);
        tasks.0.push(shutdown.spawn_connection(watching));
        Ok(Self {
            shared,
            _tasks: tasks,
        })
    }
}

/// Background tasks that are aborted when this is dropped. The connections go with the task that watches
/// them.
#[derive(Debug)]
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Shared {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries whether Redis can be used now. Returns the failure if it may pass by itself, and an error if
    /// it will not.
    async fn try_out(&self, options: &RedisOptions) -> Result<Option<RedisError>, RedisError> {
        let probe = &self.scripts.probe;
        let written = probe.evalsha_with_reload::<i64, _, _>(&self.commands, self.keys.probe(), ());
        match written
            .await
            .map_err(|source| RedisError::new(&options.url, source))
        {
            Ok(_) => Ok(None),
            Err(away @ RedisError::Unreachable { .. }) => Ok(Some(away)),
            Err(error) => Err(error),
        }
    }

    /// Makes one exchange with Redis, which ends within the limit, and at once during an outage.
    async fn call<T>(
        &self,
        exchange: impl Future<Output = Result<T, fred::error::Error>>,
    ) -> Result<T, Unanswered> {
        if !self.breaker().admits() {
            return Err(Unanswered::Away);
        }
        let answer = self.within_limit(exchange).await;
        if answer.as_ref().is_err_and(is_outage) {
            self.lost();
        }
        answer
    }

    async fn within_limit<T>(
        &self,
        exchange: impl Future<Output = Result<T, fred::error::Error>>,
    ) -> Result<T, Unanswered> {
        match tokio::time::timeout(self.limit, exchange).await {
            Ok(answer) => answer.map_err(Unanswered::Refused),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }

    fn lost(&self) {
        if self.breaker().failed(self.clock.uptime()) {
            tracing::warn!("Redis is away: going on without it");
        }
    }

    fn regained(&self) {
        if let Some(outage) = self.breaker().recovered(self.clock.uptime()) {
            tracing::info!(outage_ms = outage.as_millis() as u64, "Redis is back");
        }
    }

    async fn keep_newest(
        &self,
        key: String,
        rank: String,
        text: String,
        ttl: Duration,
    ) -> Result<(), Unanswered> {
        let script = &self.scripts.keep_newest;
        let arguments = vec![rank, text, millis(ttl).to_string()];
        self.call(script.evalsha_with_reload::<i64, _, _>(&self.commands, key, arguments))
            .await?;
        Ok(())
    }

    /// Returns the value that [`Shared::keep_newest`] has stored under `key`, if there is one.
    async fn kept<T: DeserializeOwned>(&self, key: String) -> Result<Option<T>, Unanswered> {
        let text: Option<String> = self.call(self.commands.hget(key, "text")).await?;
        text.map(|text| serde_json::from_str(&text).map_err(Unanswered::Rubbish))
            .transpose()
    }
}

fn is_outage(why: &Unanswered) -> bool {
    match why {
        Unanswered::TimedOut => true,
        Unanswered::Refused(error) => connect::is_outage(error),
        Unanswered::Away | Unanswered::Rubbish(_) => false,
    }
}

/// Converts a duration into the whole milliseconds that Redis takes, at least one.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Structs of plain values always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

fn counted((count, left): (i64, i64)) -> Counted {
    Counted {
        count: u64::try_from(count).unwrap_or(0),
        resets_in: Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1)),
    }
}

#[async_trait]
impl Coordinator for RedisCoordinator {
    async fn put_secret(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let key = self.shared.keys.secret(session, secret.kind);
        let rank = rank_of_secret(secret);
        self.shared
            .keep_newest(key, rank, json(secret), ttl)
            .await?;
        Ok(())
    }

    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError> {
        let key = self.shared.keys.secret(session, kind);
        Ok(self.shared.kept(key).await?)
    }

    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError> {
        let keys = KINDS.map(|kind| self.shared.keys.secret(session, kind));
        let shared = &self.shared;
        let dropped = shared.commands.del::<i64, _>(keys.to_vec());
        shared.call(dropped).await?;
        Ok(())
    }

    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError> {
        let shared = &self.shared;
        let script = &shared.scripts.count;
        let counter = shared.keys.counter(key);
        let run = script.evalsha_with_reload(&shared.commands, counter, millis(window));
        Ok(counted(shared.call(run).await?))
    }

    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError> {
        let shared = &self.shared;
        let script = &shared.scripts.counted;
        let counter = shared.keys.counter(key);
        let run = script.evalsha_with_reload::<Vec<i64>, _, _>(&shared.commands, counter, ());
        Ok(match shared.call(run).await?.as_slice() {
            [count, left] => Some(counted((*count, *left))),
            _ => None,
        })
    }

    async fn reset_counter(&self, key: &str) -> Result<(), CoordError> {
        let shared = &self.shared;
        let reset = shared.commands.del::<i64, _>(shared.keys.counter(key));
        shared.call(reset).await?;
        Ok(())
    }

    async fn publish_numbers(
        &self,
        live: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let shared = &self.shared;
        let key = shared.keys.live(&live.replica);
        let until = Some(Expiration::PX(millis(ttl)));
        let shown = shared
            .commands
            .set::<(), _, _>(key, json(live), until, None, false);
        shared.call(shown).await?;
        let named = shared
            .commands
            .sadd::<i64, _, _>(shared.keys.replicas(), live.replica.as_str());
        shared.call(named).await?;
        Ok(())
    }

    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        let shared = &self.shared;
        let names = shared.commands.smembers(shared.keys.replicas());
        let mut names: Vec<String> = shared.call(names).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        names.sort();
        let keys: Vec<String> = names.iter().map(|name| shared.keys.live(name)).collect();
        let shown: Vec<Option<String>> = shared.call(shared.commands.mget(keys)).await?;
        let silent = names
            .iter()
            .zip(&shown)
            .filter(|(_, shown)| shown.is_none());
        let silent: Vec<String> = silent.map(|(name, _)| name.clone()).collect();
        if !silent.is_empty() {
            let forgotten = shared
                .commands
                .srem::<i64, _, _>(shared.keys.replicas(), silent);
            shared.call(forgotten).await?;
        }
        // A newer replica may show what is not understood here.
        let shown = shown.iter().flatten();
        Ok(shown
            .filter_map(|text| serde_json::from_str(text).ok())
            .collect())
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        let shared = &self.shared;
        shared.hearing.hints.tell(notice.clone());
        let (channel, text) = shared.hearing.say(notice);
        shared
            .call(shared.commands.publish::<i64, _, _>(channel, text))
            .await?;
        Ok(())
    }

    async fn notices(&self) -> Result<Notices, CoordError> {
        Ok(self.shared.hearing.hints.listen())
    }
}
