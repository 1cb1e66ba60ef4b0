//! Two replicas, and what they stand on goes away: what a credential may do holds everywhere in time,
//! and nobody waits longer than a limit.

use std::fs;
use std::time::Duration;

use gateway_core::time::Clock;
use gateway_server::system::SystemClock;
use gateway_testkit::services::{Database, Durability, PrivatePostgres, PrivateRedis};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway::{Gateway, METRICS_TOKEN};
use crate::ground::{Ground, migrate, variables};
use crate::start::refuses;
use crate::{eventually, pause};

/// How long what was revoked may go on elsewhere.
const FRESH: Duration = Duration::from_secs(5);
/// No answer takes longer, whatever is away: a send that was accepted waits for its row.
const ANSWER: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(50);
const EMAIL: &str = "replicas@example.com";
const PASSWORD: &str = "correct horse battery";

/// One call to one replica, which must be answered in time.
async fn call(
    gateway: &Gateway,
    token: &str,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    let mut request = Client::new()
        .request(method, format!("{}/api/v1{path}", gateway.url))
        .timeout(ANSWER);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer in time");
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

async fn get(gateway: &Gateway, token: &str, path: &str) -> (StatusCode, Value) {
    call(gateway, token, Method::GET, path, Value::Null).await
}

fn private_redis() -> PrivateRedis {
    PrivateRedis::start().unwrap_or_else(|missing| panic!("{missing}"))
}

/// Two replicas and a person.
struct Pair {
    a: Gateway,
    b: Gateway,
    redis: PrivateRedis,
    person: String,
    ground: Ground,
}

impl Pair {
    async fn new(more: &[(&str, &str)]) -> Self {
        let (ground, redis) = (Ground::new(), private_redis());
        let url = redis.url();
        let mut options = vec![("REDIS_URL", url.as_str())];
        options.extend(more);
        let (a, b) = (ground.serve(&options), ground.serve(&options));
        a.tenant(EMAIL).await;
        let login = json!({ "email": EMAIL, "password": PASSWORD });
        let (status, answer) = call(&a, "", Method::POST, "/auth/login", login).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let person = answer["data"]["accessToken"].as_str().expect("a token");
        Self {
            person: person.to_owned(),
            a,
            b,
            redis,
            ground,
        }
    }

    /// A new key, which both replicas have seen at work.
    async fn known_key(&self) -> (String, String) {
        let body = json!({ "name": "outage" });
        let path = "/users/me/api-keys";
        let (status, answer) = call(&self.a, &self.person, Method::POST, path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let text = |field: &str| answer["data"][field].as_str().expect("text").to_owned();
        let key = text("key");
        for replica in [&self.a, &self.b] {
            let (status, answer) = get(replica, &key, "/sessions").await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
        (text("id"), key)
    }

    async fn revoke(&self, id: &str) {
        let path = format!("/users/me/api-keys/{id}");
        let nothing = Value::Null;
        let (status, answer) = call(&self.a, &self.person, Method::DELETE, &path, nothing).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// A key that is revoked at one replica stops at both.
    async fn revocation_holds(&self, id: &str, key: &str) {
        self.revoke(id).await;
        let clock = SystemClock;
        let revoked = clock.uptime();
        for replica in [&self.b, &self.a] {
            loop {
                let begun = clock.uptime();
                let (status, answer) = get(replica, key, "/sessions").await;
                if status == StatusCode::UNAUTHORIZED {
                    break;
                }
                assert_eq!(status, StatusCode::OK, "{answer}");
                assert!(begun.since(revoked) <= FRESH, "a revoked key goes on");
                pause(BETWEEN).await;
            }
        }
    }

    /// Both replicas use Redis, or both go without it.
    async fn until_coordinator_is(&self, state: &str) {
        for replica in [&self.a, &self.b] {
            let url = format!("{}/health/detailed", replica.url);
            eventually(&format!("the coordinator is {state}"), || async {
                let answer = Client::new().get(&url).timeout(ANSWER).send().await.ok()?;
                let health: Value = answer.json().await.ok()?;
                assert_eq!(health["data"]["status"], "ok", "requests are served");
                (health["data"]["coordinator"] == state).then_some(())
            })
            .await;
        }
    }
}

pub(crate) async fn a_revoked_key_stops_everywhere_whatever_redis_does() {
    let mut pair = Pair::new(&[]).await;
    pair.until_coordinator_is("ok").await;

    let (id, key) = pair.known_key().await;
    pair.revocation_holds(&id, &key).await;

    // Stopped.
    let (id, key) = pair.known_key().await;
    pair.redis.kill();
    pair.revocation_holds(&id, &key).await;
    pair.until_coordinator_is("down").await;
    let (id, key) = pair.known_key().await;
    pair.revocation_holds(&id, &key).await;

    // Back, and empty.
    pair.redis.restart().expect("restarted");
    pair.until_coordinator_is("ok").await;
    let (id, key) = pair.known_key().await;
    pair.redis.restart().expect("restarted");
    pair.revocation_holds(&id, &key).await;
    pair.until_coordinator_is("ok").await;

    // Frozen.
    let (id, key) = pair.known_key().await;
    pair.redis.freeze().expect("frozen");
    pair.revocation_holds(&id, &key).await;
    pair.until_coordinator_is("down").await;
    pair.redis.thaw().expect("thawed");
    pair.until_coordinator_is("ok").await;

    // Commands work, and nobody hears or says a hint.
    let (id, key) = pair.known_key().await;
    let redis = &pair.redis;
    let deaf = redis.command(&["ACL", "SETUSER", "default", "resetchannels"]);
    assert_eq!(deaf.expect("an answer"), "+OK\r\n");
    let cut = redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    cut.expect("an answer");
    pair.revocation_holds(&id, &key).await;
    pair.until_coordinator_is("ok").await;
}

pub(crate) async fn without_postgres_nobody_is_served_on_old_knowledge() {
    let server = PrivatePostgres::start(Durability::Relaxed);
    let mut server = server.unwrap_or_else(|missing| panic!("{missing}"));
    let database: Database = server.server().fresh_database().expect("a database");
    let redis = private_redis();
    let mut options = variables(database.url());
    let url = redis.url();
    options.push(("REDIS_URL", &url));
    options.push(("GATEWAY_WORKERS_SEND_TIMEOUT", "5s"));
    let folder = || tempfile::tempdir().expect("a folder");
    let files = folder();
    let data = files.path().to_str().expect("text");
    options.push(("GATEWAY_STORAGE_DATA_DIR", data));
    migrate(folder().path(), &options);
    let gateways = [folder(), folder()].map(|folder| Gateway::serve_in(folder, &options));
    let [a, b] = &gateways;
    let worker = a.worker("worker-1", &[]);
    let tenant = a.tenant(EMAIL).await;
    tenant.connected_session("first").await;
    let key = tenant.credential();
    let send = async |gateway: &Gateway| {
        let body = json!({ "to": "+491701234567", "type": "text", "text": "hello" });
        call(gateway, key, Method::POST, "/sessions/first/messages", body).await
    };
    for gateway in [a, b] {
        let (status, answer) = send(gateway).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    server.kill();
    let clock = SystemClock;
    let killed = clock.uptime();
    let mut late = false;
    while !late {
        let begun = clock.uptime();
        let (sent_a, sent_b) = (send(a), send(b));
        let (read_a, read_b) = (get(a, key, "/sessions"), get(b, key, "/sessions"));
        let answers: [_; 4] = tokio::join!(sent_a, sent_b, read_a, read_b).into();
        for (status, answer) in &answers {
            assert!(status.is_server_error(), "{status}: {answer}");
        }
        late = begun.since(killed) > FRESH;
        if late {
            let away = StatusCode::SERVICE_UNAVAILABLE;
            assert!(
                answers.iter().all(|(status, _)| *status == away),
                "{answers:?}"
            );
        }
        pause(BETWEEN).await;
    }
    drop(worker);
    server.restart().expect("it starts again");
    for gateway in [a, b] {
        eventually("requests are served again", || async {
            let (status, _) = get(gateway, key, "/sessions").await;
            (status == StatusCode::OK).then_some(())
        })
        .await;
    }
}

pub(crate) async fn guessing_passwords_is_slow_without_redis_too() {
    let mut pair = Pair::new(&[("GATEWAY_AUTH_LOGIN_ATTEMPTS", "3")]).await;
    pair.redis.kill();
    let guess = json!({ "email": "somebody@example.com", "password": "guess who I am" });
    let mut refused = 0;
    for _ in 0..6 {
        let path = "/auth/login";
        let (status, answer) = call(&pair.a, "", Method::POST, path, guess.clone()).await;
        match status {
            StatusCode::UNAUTHORIZED => assert_eq!(refused, 0, "{answer}"),
            StatusCode::TOO_MANY_REQUESTS => refused += 1,
            _ => panic!("{status}: {answer}"),
        }
    }
    assert!(refused >= 3, "no more than the limit were tried");
}

pub(crate) async fn every_replica_shows_a_code_without_redis() {
    let mut pair = Pair::new(&[]).await;
    let script = pair.a.folder().join("nobody-scans.toml");
    fs::write(&script, "").expect("written");
    let file = script.to_str().expect("text");
    let _worker = pair.a.worker("worker-1", &["--script", file]);
    pair.redis.kill();
    let (_, key) = pair.known_key().await;
    let body = json!({ "name": "first" });
    let (status, answer) = call(&pair.a, &key, Method::POST, "/sessions", body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let path = "/sessions/first/connect";
    let (status, answer) = call(&pair.b, &key, Method::POST, path, Value::Null).await;
    assert!(status.is_success(), "{answer}");
    for replica in [&pair.a, &pair.b] {
        eventually("a code is shown", || async {
            let (status, answer) = get(replica, &key, "/sessions/first/qr").await;
            let shown = answer["data"]["qrCode"].is_string();
            (status == StatusCode::OK && shown).then_some(())
        })
        .await;
    }
}

pub(crate) async fn redis_that_cannot_be_used_is_one_sentence() {
    let ground = Ground::new();
    let redis = PrivateRedis::start_with(&["--requirepass", "hush"]);
    let mut redis = redis.unwrap_or_else(|missing| panic!("{missing}"));
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = format!("redis://:wr0ng@127.0.0.1:{}", redis.port());
    let with = |url| [variables(ground.url()), vec![("REDIS_URL", url)]].concat();
    refuses(folder.path(), &with(&wrong), "refuses the login");
    redis.kill();
    refuses(
        folder.path(),
        &with("redis://host:port"),
        "no address of Redis",
    );
}

/// Whether the replica sees itself and how many there are.
pub(crate) async fn replicas_seen(gateway: &Gateway) -> Option<usize> {
    let path = format!("{}/health/detailed", gateway.url);
    let request = Client::new().get(&path).bearer_auth(METRICS_TOKEN);
    let answer = request.send().await.ok()?;
    let health: Value = answer.json().await.ok()?;
    Some(health["data"]["replicas"].as_array()?.len())
}

pub(crate) async fn replicas_start_without_redis_and_share_it_once_it_is_there() {
    let (ground, mut redis) = (Ground::new(), private_redis());
    let url = redis.url();
    redis.kill();
    let options = [("REDIS_URL", url.as_str())];
    let (a, b) = (ground.serve(&options), ground.serve(&options));
    let alone = variables(ground.url());
    let elsewhere = tempfile::tempdir().expect("a folder");
    refuses(elsewhere.path(), &alone, "give both the same REDIS_URL");
    a.tenant(EMAIL).await;
    let login = json!({ "email": EMAIL, "password": PASSWORD });
    let (status, answer) = call(&b, "", Method::POST, "/auth/login", login).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    redis.restart().expect("it starts");
    for replica in [&a, &b] {
        eventually("both are seen", || async {
            (replicas_seen(replica).await? == 2).then_some(())
        })
        .await;
    }
    let person = answer["data"]["accessToken"].as_str().expect("a token");
    let _worker = a.worker("worker-1", &[]);
    let body = json!({ "name": "first" });
    let (status, answer) = call(&a, person, Method::POST, "/sessions", body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let path = "/sessions/first/connect";
    let (status, answer) = call(&b, person, Method::POST, path, Value::Null).await;
    assert!(status.is_success(), "{answer}");
    for replica in [&a, &b] {
        eventually("a code was shown", || async {
            let (_, answer) = get(replica, person, "/sessions/first").await;
            let shown = ["QR_REQUIRED", "CONNECTED"];
            let status = answer["data"]["status"].as_str()?;
            shown.contains(&status).then_some(())
        })
        .await;
    }
}

/// A good secret, and none of this fleet.
const FOREIGN: &str = "the-key-of-somebody-else-alone-0f8b2";

pub(crate) async fn a_replica_that_proves_not_to_belong_stops_once_redis_is_there() {
    let (ground, mut redis) = (Ground::new(), private_redis());
    let url = redis.url();
    let first = ground.serve(&[("REDIS_URL", url.as_str())]);
    redis.kill();
    let options = [("REDIS_URL", url.as_str()), ("JWT_SECRET", FOREIGN)];
    let second = ground.serve(&options);
    redis.restart().expect("it starts");
    let (status, log) = second.process.wait();
    assert!(log.contains("give all of them the same secrets"), "{log}");
    assert_eq!(status.code(), Some(1), "so that it is not left down");
    assert!(
        replicas_seen(&first).await.is_some(),
        "the first one goes on"
    );
}

pub(crate) async fn a_replica_that_does_not_belong_to_the_others_is_refused() {
    let pair = Pair::new(&[]).await;
    let url = pair.redis.url();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut options = variables(pair.ground.url());
    options.push(("REDIS_URL", &url));
    eventually("a replica shows itself", || async {
        (replicas_seen(&pair.a).await? == 2).then_some(())
    })
    .await;
    refuses(elsewhere.path(), &options, "storage.data_dir");
    options.push(("GATEWAY_STORAGE_DATA_DIR", pair.ground.files()));
    let state_key = format!("1:{FOREIGN}");
    for (variable, foreign, says) in [
        ("JWT_SECRET", FOREIGN, "another JWT_SECRET"),
        ("WORKER_AUTH_TOKEN", FOREIGN, "another WORKER_AUTH_TOKEN"),
        (
            "GATEWAY_AUTH_WORKER_TOKEN_KEY",
            FOREIGN,
            "another GATEWAY_AUTH_WORKER_TOKEN_KEY",
        ),
        // What data depends on is compared with the database before any peer is asked.
        (
            "GATEWAY_AUTH_MESSAGE_ID_KEY",
            FOREIGN,
            "existing data was written under",
        ),
        (
            "GATEWAY_STORAGE_STATE_KEYS",
            &state_key,
            "existing data was written under",
        ),
    ] {
        let mut options = options.clone();
        options.retain(|(name, _)| *name != variable);
        options.push((variable, foreign));
        refuses(elsewhere.path(), &options, says);
    }
    let alone = variables(pair.ground.url());
    let both = "give both the same REDIS_URL";
    refuses(elsewhere.path(), &alone, both);
}
