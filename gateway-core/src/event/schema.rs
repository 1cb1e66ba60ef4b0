//! The catalogue in the API document: a schema and a sample for each event, and their union.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AllOfBuilder, Discriminator, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{ChallengeText, Event, EventEnvelope, SessionQr};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// What the document says of an event.
pub(super) struct DocumentedEvent {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) about: &'static str,
    pub(super) sample: &'static str,
    /// The name of the payload's schema.
    pub(super) payload: Cow<'static, str>,
    /// Adds the payload's schema and those that it refers to.
    pub(super) schemas: fn(&mut Schemas),
}

impl DocumentedEvent {
    /// Returns the name of the event's schema: `SessionCreatedEvent` for `session.created`.
    fn component(&self) -> String {
        let capitalised = |word: &str| {
            let (first, rest) = word.split_at(1);
            format!("{}{rest}", first.to_uppercase())
        };
        let words = self.name.split(['.', '_']).map(capitalised);
        words.chain(["Event".to_owned()]).collect()
    }

    /// Returns the schema of the payload, with what readers join to it.
    fn data(&self) -> RefOr<Schema> {
        let payload = Ref::from_schema_name(self.payload.as_ref());
        if self.name != SessionQr::EVENT {
            return payload.into();
        }
        let text = Ref::from_schema_name(ChallengeText::name());
        let joined = AllOfBuilder::new().item(payload).item(text);
        joined.into()
    }

    fn schema(&self) -> RefOr<Schema> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some([self.name]));
        let version = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some([self.version]));
        let own = ObjectBuilder::new()
            .property("type", name)
            .property("version", version)
            .property("data", self.data())
            .required("type")
            .required("version")
            .required("data");
        AllOfBuilder::new()
            .item(Ref::from_schema_name(EventEnvelope::name()))
            .item(own)
            .description(Some(self.about.trim()))
            .examples([self.example()])
            .into()
    }

    fn example(&self) -> Value {
        let data: Value = serde_json::from_str(self.sample).unwrap_or_default();
        let of_tenant = !self.name.starts_with("worker.");
        let session = of_tenant.then(|| {
            json!({
                "id": "ses_01kerw2s20fy28jfynmb44c5ze", "name": "sales", "metadata": {"team": "north"},
            })
        });
        json!({
            "id": "evt_01kf0k8y20ew5s9sqr14d2pf2d",
            "type": self.name,
            "version": self.version,
            "createdAt": "2026-01-15T10:30:00Z",
            "tenantId": of_tenant.then_some("ten_01kckbbc20e9v818dmydq5fmgr"),
            "session": session,
            "seq": of_tenant.then_some(7),
            "epoch": of_tenant.then_some(2),
            "data": data,
        })
    }
}

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        let events = Self::documented();
        let reference = |event: &DocumentedEvent| Ref::from_schema_name(event.component());
        let mapping = events
            .iter()
            .map(|event| (event.name, reference(event).ref_location));
        let discriminator = Discriminator::with_mapping("type", mapping);
        let about = "An event, by `type`. Others will follow: ignore those that you do not know.";
        let union = OneOfBuilder::new()
            .description(Some(about))
            .discriminator(Some(discriminator));
        let union = events
            .iter()
            .fold(union, |union, event| union.item(reference(event)));
        union.into()
    }
}

impl ToSchema for Event {
    fn schemas(schemas: &mut Schemas) {
        schemas.push((EventEnvelope::name().into_owned(), EventEnvelope::schema()));
        EventEnvelope::schemas(schemas);
        schemas.push((ChallengeText::name().into_owned(), ChallengeText::schema()));
        for event in Self::documented() {
            schemas.push((event.component(), event.schema()));
            (event.schemas)(schemas);
        }
    }
}
