//! What a worker may say of itself when it registers.

use std::collections::BTreeMap;

use crate::id::{Incarnation, WorkerId};
use crate::protocol::{MIN_PROTOCOL_VERSION, Register};
use crate::session::Owner;
use crate::worker::{AllowedHost, Endpoint, Engine, InvalidEndpoint};

/// The most characters of a worker's id, before it is normalised.
const ID_CHARS: usize = 50;
/// The most characters of a version, environment or engine name.
const NAME_CHARS: usize = 100;
/// The most sessions of a worker.
const MOST_SESSIONS: u32 = 1000;
/// The most labels of a worker.
const LABELS: usize = 32;
/// The most characters of a label's name or value.
const LABEL_CHARS: usize = 64;
/// The most message types or pairing modes of an engine, and the most characters of one.
const CAPABILITIES: usize = 64;

/// A field that cannot be accepted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    /// The name of the field on the wire.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Why a registration cannot be accepted: all fields that are wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("some fields of the registration cannot be accepted: {}", listed(.0))]
pub struct InvalidRegistration(pub Vec<InvalidField>);

fn listed(fields: &[InvalidField]) -> String {
    let texts = fields
        .iter()
        .map(|wrong| format!("{} {}", wrong.field, wrong.message));
    texts.collect::<Vec<_>>().join("; ")
}

/// The registration of a run of a worker, checked by [`Registration::of`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Registration {
    /// The worker's slot and incarnation.
    pub owner: Owner,
    /// The base URL, at a host that the operator permits.
    pub endpoint: Endpoint,
    /// The most sessions that it may hold, 1 to 1000.
    pub max_sessions: u32,
    /// The protocol version it speaks.
    pub protocol_version: u32,
    /// The worker program's version.
    pub version: Option<String>,
    pub environment: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub engine: Engine,
}

impl Registration {
    /// Checks and normalises what a worker says of itself. It may only be at a host that `allowed` permits.
    ///
    /// # Errors
    /// Some fields are wrong; all of them are named at once.
    pub fn of(body: Register, allowed: &[AllowedHost]) -> Result<Self, InvalidRegistration> {
        let mut wrong = Wrong::default();
        let worker = wrong.unless("workerId", parse_worker_id(&body.worker_id));
        let incarnation = wrong.unless("incarnation", Incarnation::parse(&body.incarnation));
        let endpoint = wrong.unless("endpoint", permitted(&body.endpoint, allowed));
        wrong.unless("maxSessions", check_max_sessions(body.max_sessions));
        wrong.unless("labels", check_labels(&body.labels));
        let capabilities = &body.capabilities;
        for names in [&capabilities.message_types, &capabilities.pairing_modes] {
            wrong.unless("capabilities", check_capabilities(names));
        }
        for (field, text) in [
            ("version", &body.version),
            ("environment", &body.environment),
            ("engine", &body.engine),
            ("engineVersion", &body.engine_version),
            ("stateFormat", &body.state_format),
        ] {
            wrong.unless(field, check_name(text.as_deref()));
        }
        let (Some(worker), Some(incarnation), Some(endpoint), true) =
            (worker, incarnation, endpoint, wrong.0.is_empty())
        else {
            return Err(InvalidRegistration(wrong.0));
        };
        Ok(Self {
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
}

/// The fields that were found to be wrong.
#[derive(Default)]
struct Wrong(Vec<InvalidField>);

impl Wrong {
    fn unless<T>(&mut self, field: &'static str, outcome: Result<T, impl ToString>) -> Option<T> {
        let message = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error.to_string(),
        };
        self.0.push(InvalidField { field, message });
        None
    }
}

/// Parses a worker's id: at most 50 characters, of which something is left after normalising.
///
/// # Errors
/// The text is no id; the error says what would be one.
pub fn parse_worker_id(text: &str) -> Result<WorkerId, String> {
    if text.chars().count() > ID_CHARS {
        return Err(format!("must have 1 to {ID_CHARS} characters"));
    }
    WorkerId::parse(text).map_err(|error| error.to_string())
}

fn check_max_sessions(count: u32) -> Result<(), String> {
    match count {
        1..=MOST_SESSIONS => Ok(()),
        _ => Err(format!("must be 1 to {MOST_SESSIONS}")),
    }
}

/// Checks labels for placement: few and short, with names that a filter `name:value` can tell apart.
///
/// # Errors
/// They are not; the error says what would be right.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
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

fn check_capabilities(names: &[String]) -> Result<(), String> {
    let fits = |name: &String| name.chars().count() <= CAPABILITIES;
    let good = names.len() <= CAPABILITIES && names.iter().all(fits);
    good.then_some(()).ok_or(format!(
        "must be lists of at most {CAPABILITIES} names of at most {CAPABILITIES} characters"
    ))
}

fn check_name(text: Option<&str>) -> Result<(), String> {
    let fits = text.is_none_or(|text| text.chars().count() <= NAME_CHARS);
    fits.then_some(())
        .ok_or(format!("must have at most {NAME_CHARS} characters"))
}

fn permitted(text: &str, allowed: &[AllowedHost]) -> Result<Endpoint, String> {
    let endpoint: Endpoint = text
        .parse()
        .map_err(|error: InvalidEndpoint| error.to_string())?;
    if AllowedHost::permit(allowed, endpoint.host()) {
        return Ok(endpoint);
    }
    let needs = if endpoint.host().is_special() {
        "where no worker should be; if one is, name the host in workers.allowed_endpoints"
    } else {
        "that the operator does not permit; see workers.allowed_endpoints"
    };
    Err(format!("is at a host {needs}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn allowed(list: &str) -> Vec<AllowedHost> {
        vec![list.parse().expect(list)]
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
        let registration =
            Registration::of(body(&json!({})), &allowed("10.0.0.0/8")).expect("good");
        assert_eq!(registration.owner.worker.as_str(), "worker-001");
        assert_eq!(registration.endpoint.as_str(), "http://10.0.0.7:9000");
        assert_eq!(registration.protocol_version, 1);
    }

    fn many(labels: usize) -> Value {
        let pairs = (0..labels).map(|label| (format!("label-{label}"), json!("v")));
        Value::Object(pairs.collect())
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
            ("endpoint", json!("http://169.254.169.254")),
            ("endpoint", json!("http://0xa9.254.169.254")),
            ("endpoint", json!("http://[::ffff:192.168.0.1]")),
            ("version", json!("v".repeat(101))),
            ("environment", json!("v".repeat(101))),
            ("labels", json!({"a:b": "c"})),
            ("labels", json!({"": "c"})),
            ("labels", json!({"c": "v".repeat(65)})),
            ("labels", many(33)),
            ("capabilities", json!({"messageTypes": vec!["text"; 65]})),
            ("capabilities", json!({"pairingModes": ["q".repeat(65)]})),
        ] {
            let change = json!({ field: value });
            let refused = Registration::of(body(&change), &allowed("10.0.0.0/8"));
            let wrong = refused.expect_err(field).0;
            let names: Vec<_> = wrong.iter().map(|wrong| wrong.field).collect();
            assert_eq!(names, [field], "{change}");
        }
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let change = json!({ "workerId": "", "maxSessions": 0, "endpoint": "http://0" });
        let refused = Registration::of(body(&change), &allowed("*")).expect_err("three wrong");
        let names: Vec<_> = refused.0.iter().map(|wrong| wrong.field).collect();
        assert_eq!(names, ["workerId", "endpoint", "maxSessions"]);
        assert!(refused.to_string().contains("workers.allowed_endpoints"));
    }
}
