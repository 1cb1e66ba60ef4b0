//! The fields of spans as JSON.
//!
//! A request's span learns its tenant and its session one by one. The library's own formatter reads all
//! fields back, adds one and writes them again; this one only adds.

use std::fmt;

use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

/// Writes fields of spans as one JSON object.
#[derive(Debug, Default)]
pub(super) struct SpanFields(JsonFields);

impl<'a> FormatFields<'a> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(
        &self,
        current: &'a mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut more = String::new();
        self.0.format_fields(Writer::new(&mut more), fields)?;
        let present = &mut current.fields;
        match (present.strip_suffix('}'), more.strip_prefix('{')) {
            (Some("{") | None, _) => *present = more,
            (_, Some("}") | None) => {}
            (Some(head), Some(tail)) => *present = format!("{head},{tail}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::field::Empty;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_fields_of_its_span_whenever_they_were_recorded() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .json()
            .fmt_fields(SpanFields::default())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for (name, with) in [("with", Some("a \"quoted\" text")), ("without", None)] {
                let span = tracing::info_span!("work", name, with, first = Empty, second = Empty);
                span.record("first", 1);
                span.record("second", "two");
                span.in_scope(|| tracing::info!("done"));
            }
            let bare = tracing::info_span!("bare", only = Empty);
            bare.record("only", true);
            bare.in_scope(|| tracing::info!("done"));
        });
        let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
        let spans: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["span"].take())
            .collect();
        let expected = serde_json::json!([
            {"name": "work", "with": "a \"quoted\" text", "first": 1, "second": "two"},
            {"name": "work", "first": 1, "second": "two"},
            {"name": "bare", "only": true},
        ]);
        assert_eq!(Value::from(spans), expected);
    }
}
