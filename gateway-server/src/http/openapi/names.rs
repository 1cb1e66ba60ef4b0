//! Names of models that a person would give.
//!
//! What is generic in the code would be called `Envelope_Session` in the document, with the session written out
//! in it once more. Here it becomes a `SessionAnswer` whose data is a `Session`.

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// Renames all models of the document, in whatever refers to them, too.
pub(super) fn rename(document: &mut Value) {
    let Some(schemas) = document.pointer_mut("/components/schemas") else {
        return;
    };
    if let Some(schemas) = schemas.as_object_mut() {
        refer(schemas);
        *schemas = std::mem::take(schemas)
            .into_iter()
            .map(|(name, schema)| (good_name(&name).unwrap_or(name), schema))
            .collect();
    }
    rename_references(document);
}

/// Returns a better name for a model, if its name shows how it was made.
fn good_name(name: &str) -> Option<String> {
    let (outer, inner) = name.split_once('_')?;
    let inner = match inner.split_once('_') {
        Some(("Option", _)) => String::new(),
        Some(("Vec", item)) => format!("{item}s"),
        Some(_) | None => inner.to_owned(),
    };
    Some(match (outer, &*inner) {
        ("Envelope", "") => "EmptyAnswer".to_owned(),
        ("Envelope", _) => match inner.strip_suffix("Answer") {
            Some(stem) => format!("{stem}Response"),
            None => format!("{inner}Answer"),
        },
        ("Listed", _) => format!("{inner}Page"),
        ("Reports", _) => format!("{inner}s"),
        (outer, _) => format!("{outer}Of{inner}"),
    })
}

/// Lets generic models refer to what they hold, instead of repeating it.
fn refer(schemas: &mut Map<String, Value>) {
    let names: Vec<String> = schemas.keys().cloned().collect();
    for name in &names {
        let Some((_, inner)) = name.split_once('_') else {
            continue;
        };
        let item = inner.strip_prefix("Vec_").unwrap_or(inner);
        if !names.iter().any(|known| known == item) {
            continue;
        }
        let reference = json!({"$ref": format!("{SCHEMAS}{item}")});
        let Some(schema) = schemas.get_mut(name) else {
            continue;
        };
        for place in [
            "/properties/data/items",
            "/properties/data",
            "/oneOf/0/items",
            "/oneOf/1",
        ] {
            if let Some(held) = schema.pointer_mut(place) {
                *held = reference.clone();
                if place.ends_with("data/items") {
                    break;
                }
            }
        }
    }
}

fn rename_references(value: &mut Value) {
    match value {
        Value::String(text) => {
            let better = text.strip_prefix(SCHEMAS).and_then(good_name);
            if let Some(better) = better {
                *text = format!("{SCHEMAS}{better}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rename_references),
        Value::Object(fields) => fields.values_mut().for_each(rename_references),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_models_get_names_of_their_own() {
        for (name, better) in [
            ("Envelope_Session", Some("SessionAnswer")),
            ("Envelope_Option_String", Some("EmptyAnswer")),
            (
                "Envelope_Vec_AssignedSession",
                Some("AssignedSessionsAnswer"),
            ),
            ("Envelope_BeatAnswer", Some("BeatResponse")),
            ("Listed_Message", Some("MessagePage")),
            ("Reports_MessageReport", Some("MessageReports")),
            ("Session", None),
        ] {
            assert_eq!(good_name(name).as_deref(), better, "{name}");
        }
    }
}
