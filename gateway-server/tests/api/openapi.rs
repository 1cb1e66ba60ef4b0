//! The API document: kept in the repository, so that a change of the API is seen in review.

use std::collections::BTreeSet;
use std::path::Path;

use gateway_core::event::Event;
use gateway_core::session::Reason;
use gateway_server::http::problem::Kind;
use serde_json::{Value, json};

fn document() -> Value {
    let text = gateway_server::http::document()
        .to_json()
        .expect("a document");
    serde_json::from_str(&text).expect("JSON")
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

#[test]
fn operations_have_a_name_of_their_own_and_a_summary() {
    let document = document();
    let mut ids = std::collections::BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].to_string();
            let place = format!("{method} {path}");
            if let Some(other) = ids.insert(id.clone(), place.clone()) {
                panic!("{place} and {other} are both called {id}");
            }
            assert!(operation["summary"].is_string(), "{place} has no summary");
        }
    }
}
