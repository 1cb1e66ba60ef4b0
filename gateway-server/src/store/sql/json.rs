//! JSON on its way into a PostgreSQL array, as the text it is.
//!
//! sqlx sends all JSON as `JSONB`, which the server takes apart at once, also for a column that keeps the
//! text. As `JSON` it is checked and stored; a column of `JSONB` takes it, too.

use serde_json::value::RawValue;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

/// The numbers of `json` and `json[]`, the same in every PostgreSQL.
const JSON: Oid = Oid(114);
const JSON_ARRAY: Oid = Oid(199);

/// A JSON text.
#[derive(Debug)]
pub(super) struct JsonText(pub(super) Box<RawValue>);

impl Type<Postgres> for JsonText {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON)
    }
}

impl PgHasArrayType for JsonText {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON_ARRAY)
    }
}

impl Encode<'_, Postgres> for JsonText {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<Postgres>>::encode(self.0.get(), buf)
    }
}
