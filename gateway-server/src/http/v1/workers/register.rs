//! `POST /workers/register` and `POST /admin/workers/register`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use gateway_core::id::{Incarnation, WorkerId};
use gateway_core::identity::WorkerTokens;
use gateway_core::orchestrator::{Join, Member, Orchestrator, Registration};
use gateway_core::protocol::{MIN_PROTOCOL_VERSION, Register, Registered};
use gateway_core::session::Owner;
use gateway_core::worker::Engine;
use reqwest::Url;

use crate::config::Workers;
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::WireJson;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Detail, Problem};
use crate::identity::Joiner;

/// The most characters of a version, environment or engine name.
const NAME_CHARS: usize = 100;
/// The most characters of an endpoint.
const ENDPOINT_CHARS: usize = 500;
/// The most labels of a worker.
const LABELS: usize = 50;
/// The most characters of a label's name or value.
const LABEL_CHARS: usize = 100;

/// The parts that a registration needs.
#[derive(Clone, Debug)]
pub(super) struct Registrar {
    options: Arc<Workers>,
    orchestrator: Arc<Orchestrator>,
    effects: EffectExecutor,
    tokens: WorkerTokens,
}

impl FromRef<ServerParts> for Registrar {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            options: Arc::clone(&parts.workers),
            orchestrator: Arc::clone(&parts.orchestrator),
            effects: parts.effects.clone(),
            tokens: parts.worker_tokens.clone(),
        }
    }
}

/// Register a worker
///
/// With the fleet's bootstrap token, or the one-time token of a reserved id. The answer has the token for
/// everything else.
#[utoipa::path(post, path = "/workers/register", tag = "workers",
    extensions(("x-problems" = json!(["worker_id_in_use", "wrong_incarnation", "conflict"]))),
    request_body = Register,
    responses((status = 200, body = Envelope<Registered>)))]
pub(super) async fn register(
    State(registrar): State<Registrar>,
    joiner: Joiner,
    WireJson(body): WireJson<Register>,
) -> ApiResult<Answer<Registered>> {
    let join = match joiner {
        Joiner::Fleet => Join::Bootstrap,
        Joiner::JoinToken(hash) => Join::OneTime(hash),
    };
    let registration = registration(&registrar.options, body)?;
    let done = registrar.orchestrator.register(join, &registration).await?;
    registrar.effects.carry_out(done.effects);
    let token = registrar.tokens.issue(&registration.owner);
    Ok(Answer::ok(registered(
        &registration.owner,
        token,
        &done.value,
    )))
}

/// Register a worker (older path)
#[utoipa::path(post, path = "/admin/workers/register", tag = "workers",
    extensions(("x-problems" = json!(["worker_id_in_use", "wrong_incarnation", "conflict"]))),
    request_body = Register,
    responses((status = 200, body = Envelope<Registered>)))]
pub(super) async fn register_alias(
    registrar: State<Registrar>,
    joiner: Joiner,
    body: WireJson<Register>,
) -> ApiResult<Answer<Registered>> {
    register(registrar, joiner, body).await
}

fn registered(owner: &Owner, worker_token: String, member: &Member) -> Registered {
    Registered {
        worker_id: owner.worker.to_string(),
        worker_token,
        lease_seconds: member.lease.as_secs(),
        heartbeat_interval_ms: u64::try_from(member.heartbeat.as_millis()).unwrap_or(u64::MAX),
        recovery_required: member.assigned > 0,
        assigned_session_count: member.assigned,
        server_time: member.now,
    }
}

/// Checks every field. All wrong ones are named at once.
fn registration(workers: &Workers, body: Register) -> ApiResult<Registration> {
    let mut wrong = Vec::new();
    let worker = checked(&mut wrong, "workerId", worker_id(&body.worker_id));
    let incarnation = Incarnation::parse(&body.incarnation).map_err(|error| error.to_string());
    let incarnation = checked(&mut wrong, "incarnation", incarnation);
    let endpoint = checked(&mut wrong, "endpoint", endpoint(workers, &body.endpoint));
    checked(&mut wrong, "maxSessions", max_sessions(body.max_sessions));
    checked(&mut wrong, "labels", labels(&body.labels));
    for (field, text) in [
        ("version", &body.version),
        ("environment", &body.environment),
        ("engine", &body.engine),
        ("engineVersion", &body.engine_version),
        ("stateFormat", &body.state_format),
    ] {
        checked(&mut wrong, field, short(text.as_deref()));
    }
    let (Some(worker), Some(incarnation), Some(endpoint), true) =
        (worker, incarnation, endpoint, wrong.is_empty())
    else {
        return Err(Problem::invalid(wrong));
    };
    Ok(Registration {
        owner: Owner {
            worker,
            incarnation,
        },
        endpoint,
        max_sessions: body.max_sessions,
        protocol_version: body.protocol_version.unwrap_or(MIN_PROTOCOL_VERSION),
        version: body.version,
        environment: body.environment,
        labels: body.labels,
        engine: Engine {
            engine: body.engine,
            engine_version: body.engine_version,
            state_format: body.state_format,
            capabilities: body.capabilities,
        },
    })
}

fn checked<T>(
    wrong: &mut Vec<Detail>,
    field: &str,
    outcome: Result<T, impl ToString>,
) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            wrong.push(Detail {
                field: field.to_owned(),
                message: error.to_string(),
            });
            None
        }
    }
}

/// Parses a worker's id: at most 50 characters, of which something is left after normalising.
pub(in crate::http::v1) fn worker_id(text: &str) -> Result<WorkerId, String> {
    if text.chars().count() > 50 {
        return Err("must have 1 to 50 characters".to_owned());
    }
    WorkerId::parse(text).map_err(|error| error.to_string())
}

/// Checks how many sessions a worker may hold.
pub(in crate::http::v1) fn max_sessions(count: u32) -> Result<(), &'static str> {
    match count {
        1..=1000 => Ok(()),
        _ => Err("must be 1 to 1000"),
    }
}

/// Checks labels for placement: few and short.
pub(in crate::http::v1) fn labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
    let fits = |text: &String| text.chars().count() <= LABEL_CHARS;
    let named = |name: &String| !name.is_empty() && !name.contains(':') && fits(name);
    let good = |(name, value): (&String, &String)| named(name) && fits(value);
    if labels.len() <= LABELS && labels.iter().all(good) {
        return Ok(());
    }
    Err(format!(
        "must be at most {LABELS} pairs of at most {LABEL_CHARS} characters, with names without a colon"
    ))
}

fn short(text: Option<&str>) -> Result<(), String> {
    let fits = text.is_none_or(|text| text.chars().count() <= NAME_CHARS);
    fits.then_some(())
        .ok_or(format!("must have at most {NAME_CHARS} characters"))
}

/// Checks the base URL of a worker, and returns it without a trailing slash.
fn endpoint(workers: &Workers, text: &str) -> Result<String, &'static str> {
    const FORM: &str = "must be an http or https URL with a host, such as http://10.0.0.7:9000";
    if text.len() > ENDPOINT_CHARS {
        return Err(FORM);
    }
    let url = Url::parse(text).map_err(|_| FORM)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or a fragment");
    }
    if !workers.permits(host) {
        return Err(
            "is at a host that the operator does not permit; see workers.allowed_endpoints",
        );
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Config, Source};

    fn workers(allowed: &str) -> Workers {
        let source = Source::from_iter([("GATEWAY_WORKERS_ALLOWED_ENDPOINTS", allowed)]);
        Config::load(&source, None)
            .expect("a configuration")
            .config
            .workers
    }

    fn body(change: &Value) -> Register {
        let mut body = json!({
            "workerId": "Worker_001", "endpoint": "http://10.0.0.7:9000/", "maxSessions": 50,
            "incarnation": "incarnation-1",
        });
        for (name, value) in change.as_object().expect("fields") {
            body[name] = value.clone();
        }
        serde_json::from_value(body).expect("right types")
    }

    #[test]
    fn a_registration_is_normalised() {
        let registration = registration(&workers("10.0.0.0/8"), body(&json!({}))).expect("good");
        assert_eq!(registration.owner.worker.as_str(), "worker-001");
        assert_eq!(registration.endpoint, "http://10.0.0.7:9000");
        assert_eq!(registration.protocol_version, 1);
    }

    #[test]
    fn each_wrong_field_is_named() {
        let long = "x".repeat(51);
        for (field, value) in [
            ("workerId", json!("")),
            ("workerId", json!(long)),
            ("workerId", json!("___")),
            ("incarnation", json!("short")),
            ("maxSessions", json!(0)),
            ("maxSessions", json!(1001)),
            ("endpoint", json!("ftp://10.0.0.7")),
            ("endpoint", json!("10.0.0.7:9000")),
            ("endpoint", json!("http://")),
            ("endpoint", json!("http://user:pass@10.0.0.7")),
            ("endpoint", json!("http://10.0.0.7/?a=b")),
            ("endpoint", json!("http://169.254.169.254")),
            ("endpoint", json!("http://0xa9.254.169.254")),
            ("endpoint", json!("http://[::ffff:192.168.0.1]")),
            ("version", json!("v".repeat(101))),
            ("labels", json!({"a:b": "c"})),
            ("labels", json!({"": "c"})),
        ] {
            let change = json!({ field: value });
            let problem = registration(&workers("10.0.0.0/8"), body(&change));
            let text = format!("{:?}", problem.expect_err(&change.to_string()));
            assert!(text.contains(field), "{change}: {text}");
        }
    }
}
