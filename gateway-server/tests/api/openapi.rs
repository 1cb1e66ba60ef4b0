//! The API document: kept in the repository, so that a change of the API is seen in review.

use std::collections::BTreeSet;
use std::path::Path;

use gateway_core::event::Event;
use gateway_core::session::Reason;
use gateway_server::http::problem::Kind;
use serde_json::{Value, json};

fn document() -> Value {
    gateway_server::http::document("/")
}

#[test]
fn the_kept_document_is_the_present_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let mut present = serde_json::to_string_pretty(&document()).expect("JSON");
    present.push('\n');
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &present).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == present,
        "the API has changed: run UPDATE_SNAPSHOTS=1 cargo test -p gateway-server --test api openapi"
    );
}

#[test]
fn every_problem_is_published() {
    let document = document();
    let published = &document["components"]["schemas"]["ProblemType"];
    for kind in Kind::ALL {
        assert!(
            published.to_string().contains(kind.slug()),
            "{}",
            kind.slug()
        );
    }
}

#[test]
fn every_event_of_the_catalogue_is_published_with_a_sample() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let events = schemas["Event"]["discriminator"]["mapping"].as_object();
    let events = events.expect("a union by type");
    let names: BTreeSet<&str> = events.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(Event::NAMES));
    for (name, reference) in events {
        let pointer = reference.as_str().expect("a reference");
        let schema = document.pointer(pointer.trim_start_matches('#'));
        let schema = schema.unwrap_or_else(|| panic!("{name} has no schema"));
        let sample = &schema["examples"][0];
        assert_eq!(sample["type"], json!(name));
        let version = sample["version"].as_u64().expect("a version");
        let version = u32::try_from(version).expect("a small one");
        let data = serde_json::from_value(sample["data"].clone()).expect("JSON");
        let event = Event::parse(name, version, &data);
        assert_eq!(event.expect("its own sample").name(), name);
        for (id, prefix) in [(&sample["id"], "evt_"), (&sample["tenantId"], "ten_")] {
            assert!(id.is_null() || id.as_str().is_some_and(|id| id.starts_with(prefix)));
        }
    }
}

#[test]
fn every_reason_of_a_session_is_published() {
    let document = document();
    let published = document["components"]["schemas"]["Reason"].to_string();
    for (reason, _) in Reason::KNOWN {
        assert!(published.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn every_reference_has_a_target() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match (name.as_str(), field) {
                        ("$ref", Value::String(target)) => found.push(target.clone()),
                        _ => references(field, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        let pointer = target.trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{target} leads nowhere"
        );
    }
}

/// Every operation of the document: where it is, and itself.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &'_ Value)| -> Vec<String> {
        let methods = item.as_object().expect("operations").keys();
        methods.map(|method| format!("{method} {path}")).collect()
    };
    let places: Vec<String> = paths.iter().flat_map(of_path).collect();
    let find = |place: String| {
        let (method, path) = place.split_once(' ').expect("a place");
        let operation = &document["paths"][path][method];
        (place, operation)
    };
    places.into_iter().map(find).collect()
}

/// The schema itself, or what it refers to.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(target) => document
            .pointer(target.trim_start_matches('#'))
            .unwrap_or(schema),
        None => schema,
    }
}

#[test]
fn operations_have_a_name_of_their_own_and_a_summary() {
    let document = document();
    let mut ids = std::collections::BTreeMap::new();
    for (place, operation) in operations(&document) {
        let id = operation["operationId"].to_string();
        if let Some(other) = ids.insert(id.clone(), place.clone()) {
            panic!("{place} and {other} are both called {id}");
        }
        assert!(operation["summary"].is_string(), "{place} has no summary");
    }
}

#[test]
fn every_response_is_described() {
    let document = document();
    for (place, operation) in operations(&document) {
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses {
            let about = response["description"].as_str().unwrap_or_default();
            assert!(!about.trim().is_empty(), "{place} {status}");
        }
    }
}

#[test]
fn every_operation_says_which_credential_it_takes_if_any() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object();
    let schemes = schemes.expect("schemes");
    for (place, operation) in operations(&document) {
        let taken = operation["security"].as_array();
        let taken = taken.unwrap_or_else(|| panic!("{place} says nothing"));
        let is_public = operation["x-access"] == "public";
        assert_eq!(taken.is_empty(), is_public, "{place}");
        for requirement in taken {
            let mut names = requirement.as_object().expect("an object").keys();
            assert!(names.all(|name| schemes.contains_key(name)), "{place}");
        }
    }
}

#[test]
fn every_operation_lists_its_problems_by_their_status() {
    let document = document();
    for (place, operation) in operations(&document) {
        let problems = operation["x-problems"].as_array().expect("a list");
        for problem in problems {
            let slug = problem.as_str().expect("a text");
            let kind = Kind::named(slug).unwrap_or_else(|| panic!("{place}: {slug}"));
            let response = &operation["responses"][kind.status().as_str()];
            let about = response["description"].as_str().unwrap_or_default();
            assert!(about.contains(&format!("`{slug}`: ")), "{place}: {slug}");
        }
        let named = |slug: &str| problems.contains(&json!(slug));
        let is_public = operation["x-access"] == "public";
        assert!(is_public || named("unauthorized"), "{place}");
        let takes_body = !operation["requestBody"].is_null();
        assert!(!takes_body || named("payload_too_large"), "{place}");
    }
}

#[test]
fn path_parameters_carry_their_pattern() {
    let document = document();
    let mut seen = 0;
    for (place, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{place} {parameter}");
            if parameter["in"] == "path" {
                let schema = resolved(&document, &parameter["schema"]);
                assert!(schema["pattern"].is_string(), "{place} {parameter}");
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}

#[test]
fn numbers_are_numbers() {
    fn check(value: &Value, place: &str) {
        let bounded = ["minimum", "maximum", "multipleOf"];
        if bounded.iter().any(|bound| value[bound].is_number()) {
            let kind = value["type"].to_string();
            assert!(
                kind.contains("integer") || kind.contains("number"),
                "{place}: {value}"
            );
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| check(item, place)),
            Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                check(field, &format!("{place}/{name}"));
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    check(&document, "");
    for (place, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["name"] == "limit" {
                assert_eq!(parameter["schema"]["type"], "integer", "{place}");
            }
        }
    }
}

#[test]
fn models_have_names_that_a_person_would_give() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object();
    for name in schemas.expect("schemas").keys() {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let capital = name.starts_with(|c: char| c.is_ascii_uppercase());
        assert!(plain && capital, "{name}");
        assert!(
            !name.starts_with("Envelope") && !name.starts_with("Listed"),
            "{name}"
        );
    }
    let held = &document["components"]["schemas"]["SessionAnswer"]["properties"]["data"];
    assert_eq!(held["$ref"], "#/components/schemas/Session");
    let items = &document["components"]["schemas"]["SessionPage"]["properties"]["data"]["items"];
    assert_eq!(items["$ref"], "#/components/schemas/Session");
}

#[test]
fn tags_stand_in_the_order_in_which_a_tenant_needs_them() {
    let document = document();
    let tags = document["tags"].as_array().expect("tags");
    let names: Vec<_> = tags.iter().map(|tag| tag["name"].as_str()).collect();
    let expected = [
        "auth", "users", "sessions", "messages", "events", "admin", "workers", "system",
    ];
    assert_eq!(names, expected.map(Some));
    for tag in tags {
        let about = tag["description"].as_str().unwrap_or_default();
        assert!(about.ends_with('.'), "{tag}");
    }
    for (place, operation) in operations(&document) {
        let [tag] = operation["tags"].as_array().expect("tags").as_slice() else {
            panic!("{place} has not exactly one tag");
        };
        assert!(names.contains(&tag.as_str()), "{place}: {tag}");
    }
}

#[test]
fn licence_and_server_are_named() {
    let document = document();
    assert_eq!(
        document["info"]["license"]["identifier"],
        "MIT OR Apache-2.0"
    );
    assert_eq!(document["servers"][0]["url"], "/");
    let elsewhere = gateway_server::http::document("https://gateway.example/wa");
    assert_eq!(elsewhere["servers"][0]["url"], "https://gateway.example/wa");
}
