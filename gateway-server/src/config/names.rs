//! From environment variables to options.
//!
//! The variable of an option is derived from its key (`GATEWAY_HTTP_PORT`); some options have a second,
//! older name as well. Whatever else starts with `GATEWAY_` is an error.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};

use super::{ConfigError, Source};

/// The variable that names the configuration file; not an option itself.
pub(super) const FILE: &str = "GATEWAY_CONFIG";
const PREFIX: &str = "GATEWAY_";

/// How the text of an older variable is converted.
#[derive(Clone, Copy)]
enum Meaning {
    AsIs,
    Milliseconds,
}

const OLDER: [(&str, &[&str], Meaning); 11] = [
    ("PORT", &["http", "port"], Meaning::AsIs),
    ("CORS_ORIGIN", &["http", "cors_origins"], Meaning::AsIs),
    ("DATABASE_URL", &["database", "url"], Meaning::AsIs),
    ("REDIS_URL", &["redis", "url"], Meaning::AsIs),
    ("JWT_SECRET", &["auth", "jwt_secrets"], Meaning::AsIs),
    ("JWT_EXPIRES_IN", &["auth", "access_ttl"], Meaning::AsIs),
    (
        "RATE_LIMIT_WINDOW_MS",
        &["limits", "address_window"],
        Meaning::Milliseconds,
    ),
    (
        "RATE_LIMIT_MAX_REQUESTS",
        &["limits", "address_requests"],
        Meaning::AsIs,
    ),
    (
        "WORKER_AUTH_TOKEN",
        &["workers", "bootstrap_token"],
        Meaning::AsIs,
    ),
    (
        "WORKER_HEALTH_CHECK_INTERVAL",
        &["workers", "health_check_interval"],
        Meaning::Milliseconds,
    ),
    ("LOG_LEVEL", &["log", "level"], Meaning::AsIs),
];

/// Variables that are accepted without effect, so that an existing environment keeps working.
const IGNORED: [&str; 4] = ["NODE_ENV", "API_VERSION", "BCRYPT_ROUNDS", "LOG_FILE_PATH"];

type OptionPath = Vec<String>;

/// The variable that has set an option, by the option's key.
pub(super) type SetBy = BTreeMap<String, String>;

/// Puts the variables of `source` over `options`, and says which option each has set.
pub(super) fn apply(
    source: &Source,
    options: &mut Map<String, Value>,
) -> Result<SetBy, ConfigError> {
    let mut names = BTreeMap::new();
    collect_names(options, &[], &mut names);
    let mut set = SetBy::new();
    for (variable, path, meaning) in OLDER {
        let Some(text) = source.variable(variable) else {
            continue;
        };
        let path: OptionPath = path.iter().map(ToString::to_string).collect();
        let text = match meaning {
            Meaning::AsIs => text.to_owned(),
            Meaning::Milliseconds => format!("{}ms", text.trim()),
        };
        put(options, &path, variable, &text);
        set.insert(path.join("."), variable.to_owned());
    }
    for (variable, text) in source.with_prefix(PREFIX) {
        if variable == FILE || is_service_link(variable, text) {
            continue;
        }
        let path = names.get(variable);
        let path = path.ok_or_else(|| ConfigError::UnknownVariable(variable.to_owned()))?;
        if let Some(other) = set.insert(path.join("."), variable.to_owned()) {
            return Err(ConfigError::SetTwice(other, variable.to_owned()));
        }
        put(options, path, variable, text);
    }
    Ok(set)
}

/// Returns one sentence about variables that are set and mean nothing here.
pub(super) fn warning(source: &Source) -> Option<String> {
    let set: Vec<&str> = IGNORED
        .into_iter()
        .filter(|name| source.variable(name).is_some())
        .collect();
    (!set.is_empty()).then(|| format!("these variables have no effect: {}", set.join(", ")))
}

/// Returns whether a variable was set by Kubernetes for a service named `gateway`. It gives every pod
/// such variables: `GATEWAY_SERVICE_HOST`, `GATEWAY_PORT=tcp://…` and `GATEWAY_PORT_8000_TCP_ADDR`.
fn is_service_link(variable: &str, text: &str) -> bool {
    variable.starts_with("GATEWAY_SERVICE_")
        || variable.starts_with("GATEWAY_PORT_")
        || (variable == "GATEWAY_PORT" && text.contains("://"))
}

fn collect_names(
    options: &Map<String, Value>,
    above: &[String],
    names: &mut BTreeMap<String, OptionPath>,
) {
    for (key, value) in options {
        let mut path = above.to_vec();
        path.push(key.clone());
        if let ValueKind::Table(below) = &value.kind {
            collect_names(below, &path, names);
        } else {
            names.insert(format!("{PREFIX}{}", path.join("_").to_uppercase()), path);
        }
    }
}

fn put(options: &mut Map<String, Value>, path: &[String], variable: &str, text: &str) {
    let Some((key, above)) = path.split_last() else {
        return;
    };
    let mut table = options;
    for key in above {
        let Some(Value {
            kind: ValueKind::Table(below),
            ..
        }) = table.get_mut(key)
        else {
            return;
        };
        table = below;
    }
    let origin = format!("variable {variable}");
    let text_value = |text: &str| Value::new(Some(&origin), ValueKind::String(text.to_owned()));
    let is_list = table
        .get(key)
        .is_some_and(|old| matches!(old.kind, ValueKind::Array(_)));
    let value = if is_list {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Value::new(
            Some(&origin),
            ValueKind::Array(parts.map(text_value).collect()),
        )
    } else {
        text_value(text.trim())
    };
    table.insert(key.clone(), value);
}
