//! The samples in `docs/protocol.md` are what its types read and write.

use std::fs;
use std::path::Path;

use gateway_core::protocol::{
    Accepted, Beat, BeatAnswer, InboundMessage, MessageReport, Register, Registered, Sent,
    SessionReport, StartSession,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The samples: the name of the type, and the JSON after it.
fn samples(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("<!-- ").skip(1);
    let sample = |part| {
        let (name, rest): (&str, &str) = str::split_once(part, " -->")?;
        let (_, rest) = rest.split_once("```json")?;
        let (json, _) = rest.split_once("```")?;
        Some((name, json))
    };
    parts.filter_map(sample).collect()
}

/// Whether everything in `sample` is in `written`, too: what a type does not know it does not write.
fn is_within(sample: &Value, written: &Value) -> bool {
    match (sample, written) {
        (Value::Object(sample), Value::Object(written)) => sample.iter().all(|(name, value)| {
            written
                .get(name)
                .is_some_and(|other| is_within(value, other))
        }),
        (Value::Array(sample), Value::Array(written)) => {
            let pairs = sample.iter().zip(written);
            sample.len() == written.len() && pairs.into_iter().all(|(one, two)| is_within(one, two))
        }
        (sample, written) => sample == written,
    }
}

fn check<T: Serialize + DeserializeOwned>(json: &str) {
    let sample: Value = serde_json::from_str(json).expect("JSON");
    let read: T = serde_json::from_value(sample.clone()).expect("the type reads its sample");
    let written = serde_json::to_value(&read).expect("written");
    assert!(
        is_within(&sample, &written),
        "{sample} is read as {written}"
    );
}

#[test]
fn every_sample_of_the_protocol_is_read_as_its_type() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = fs::read_to_string(path).expect("the page");
    let samples = samples(&page);
    assert_eq!(samples.len(), page.matches("```json").count());
    assert!(samples.len() >= 10, "the page is read");
    for (name, json) in samples {
        match name {
            "Accepted" => check::<Accepted>(json),
            "Beat" => check::<Beat>(json),
            "BeatAnswer" => check::<BeatAnswer>(json),
            "InboundMessage" => check::<InboundMessage>(json),
            "MessageReport" => check::<MessageReport>(json),
            "Register" => check::<Register>(json),
            "Registered" => check::<Registered>(json),
            "Sent" => check::<Sent>(json),
            "SessionReport" => check::<SessionReport>(json),
            "StartSession" => check::<StartSession>(json),
            other => panic!("{other} is no type of a sample"),
        }
    }
}
