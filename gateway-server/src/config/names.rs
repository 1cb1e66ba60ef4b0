//! From environment variables to options.
//!
//! The variable of an option is derived from its key (`GATEWAY_HTTP_PORT`); some options have a second,
//! older name as well. With `_FILE` at its end, each names a file that holds the value, as container tools
//! mount secrets. Whatever else starts with `GATEWAY_` is an error, and what looks like one of the older
//! names a warning.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Map, Value, ValueKind};
use strsim::damerau_levenshtein;

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

/// The end of a variable that names a file with the value.
const IN_FILE: &str = "_FILE";

/// First words of variables that are probably meant for the gateway.
const OURS: [&str; 5] = ["DATABASE_", "POSTGRES_URL", "REDIS_", "JWT_", "CORS_"];

/// How many letters a misspelt variable differs from a known one at most.
const TYPING_ERRORS: usize = 2;

/// Puts the variables of `source` over `options`, and says which option each has set.
pub(super) fn apply(
    source: &Source,
    options: &mut Map<String, Value>,
) -> Result<SetBy, ConfigError> {
    let mut names = BTreeMap::new();
    collect_names(options, &[], &mut names);
    let mut set = SetBy::new();
    for (variable, path, meaning) in OLDER {
        let Some(text) = value(source, variable)? else {
            continue;
        };
        let path: OptionPath = path.iter().map(ToString::to_string).collect();
        let text = match meaning {
            Meaning::Milliseconds if is_number(&text) => format!("{}ms", text.trim()),
            Meaning::AsIs | Meaning::Milliseconds => text,
        };
        put(options, &path, variable, &text);
        set.insert(path.join("."), variable.to_owned());
    }
    for (variable, text) in source.with_prefix(PREFIX) {
        if variable == FILE || is_service_link(variable, text) {
            continue;
        }
        let (name, path) = match names.get_key_value(variable) {
            Some(found) => found,
            None => variable
                .strip_suffix(IN_FILE)
                .and_then(|name| names.get_key_value(name))
                .ok_or_else(|| ConfigError::UnknownVariable(variable.to_owned()))?,
        };
        if let Some(other) = set.insert(path.join("."), variable.to_owned()) {
            return Err(ConfigError::SetTwice(other, variable.to_owned()));
        }
        let text = match name == variable {
            true => text.to_owned(),
            false => in_file(variable, text)?,
        };
        put(options, path, variable, &text);
    }
    Ok(set)
}

/// Returns the value of one of the older variables, from itself or from the file that it names with
/// [`IN_FILE`] at its end. What Kubernetes set for a service is none.
fn value(source: &Source, variable: &str) -> Result<Option<String>, ConfigError> {
    let own = source.variable(variable);
    let own = own.filter(|text| !is_service_link(variable, text));
    let file = format!("{variable}{IN_FILE}");
    match (own, source.variable(&file)) {
        (Some(_), Some(_)) => Err(ConfigError::SetTwice(variable.to_owned(), file)),
        (Some(text), None) => Ok(Some(text.to_owned())),
        (None, Some(path)) => in_file(&file, path).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns what stands in the file at `path`, several lines as a list.
fn in_file(variable: &str, path: &str) -> Result<String, ConfigError> {
    let refused = |why: String| ConfigError::Variable {
        variable: variable.to_owned(),
        why: format!("the file {path} {why}"),
    };
    let text = Source::read(Path::new(path));
    let text = text.map_err(|error| refused(format!("cannot be read: {error}")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    match lines.is_empty() {
        true => Err(refused("is empty".to_owned())),
        false => Ok(lines.join(",")),
    }
}

fn is_number(text: &str) -> bool {
    text.trim().chars().all(|c| c.is_ascii_digit())
}

/// Returns one sentence about variables that are set and mean nothing here.
pub(super) fn warning(source: &Source) -> Option<String> {
    let ignored = IGNORED
        .into_iter()
        .filter(|name| source.variable(name).is_some())
        .map(str::to_owned);
    let misspelt = source.with_prefix("").filter_map(|(name, text)| {
        let meant = nearest(name).filter(|_| !is_service_link(name, text))?;
        Some(format!("{name} ({meant} is one)"))
    });
    let set: Vec<String> = ignored.chain(misspelt).collect();
    (!set.is_empty()).then(|| format!("these variables have no effect: {}", set.join(", ")))
}

/// Returns the known variable that one of another name was probably meant to be.
fn nearest(name: &str) -> Option<&'static str> {
    let stem = name.strip_suffix(IN_FILE).unwrap_or(name);
    let known = OLDER.iter().map(|(known, _, _)| *known);
    let is_known = known.clone().any(|known| known == stem) || IGNORED.contains(&name);
    if is_known || name.starts_with(PREFIX) {
        return None;
    }
    let (letters, meant) = known
        .map(|known| (damerau_levenshtein(known, stem), known))
        .min()?;
    let is_ours = OURS.iter().any(|ours| name.starts_with(ours));
    (letters <= TYPING_ERRORS || is_ours).then_some(meant)
}

/// Returns whether a variable was set by Kubernetes for a service. It gives every pod such variables: of a
/// service named `gateway`, `GATEWAY_SERVICE_HOST`, `GATEWAY_PORT=tcp://…` and `GATEWAY_PORT_8000_TCP_ADDR`;
/// and the like of each whose name begins so.
fn is_service_link(variable: &str, text: &str) -> bool {
    let of_a_port = |(_, port): (&str, &str)| port.contains("_TCP") || port.contains("_UDP");
    variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || variable.split_once("_PORT_").is_some_and(of_a_port)
        || ["tcp://", "udp://"]
            .iter()
            .any(|link| text.trim().starts_with(link))
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
