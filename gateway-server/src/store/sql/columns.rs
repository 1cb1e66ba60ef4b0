//! Many rows in one statement: one list per column.
//!
//! PostgreSQL takes each list as an array and joins them with `unnest`. SQLite has no arrays; there the
//! same lists travel as one JSON text, an array of rows, read with `json_each`. Bytes are hex inside it
//! (`unhex` brings them back), and JSON is a text inside the JSON.
//!
//! ```sql
//! -- PostgreSQL: one parameter per column          -- SQLite: one parameter for all
//! SELECT * FROM unnest($1, $2) AS n (id, seq)      SELECT unhex(value->>0) AS id, value->>1 AS seq
//!                                                  FROM json_each($1)
//! ```

use gateway_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;

use super::json::JsonText;
use super::types::{Count, Id, Time};

/// The lists of a set-valued statement, all of the same length, in the order of its columns.
#[derive(Debug, Default)]
pub(crate) struct Columns<'t> {
    lists: Vec<List<'t>>,
}

#[derive(Debug)]
pub(super) enum List<'t> {
    Ids(Vec<Option<Id>>),
    Texts(Vec<Option<&'t str>>),
    Times(Vec<Option<Time>>),
    Counts(Vec<Option<Count>>),
    Flags(Vec<bool>),
    Bytes(Vec<Option<&'t [u8]>>),
    Jsons(Vec<Option<JsonText>>),
}

impl<'t> Columns<'t> {
    /// Makes an empty list.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A list of ids.
    pub(crate) fn ids<I: Into<Option<u128>>>(self, values: impl Iterator<Item = I>) -> Self {
        self.with(List::Ids(values.map(|id| id.into().map(Id)).collect()))
    }

    /// A list of texts.
    pub(crate) fn texts<I: Into<Option<&'t str>>>(self, values: impl Iterator<Item = I>) -> Self {
        self.with(List::Texts(values.map(Into::into).collect()))
    }

    /// A list of times.
    pub(crate) fn times<I: Into<Option<Timestamp>>>(self, values: impl Iterator<Item = I>) -> Self {
        self.with(List::Times(values.map(|at| at.into().map(Time)).collect()))
    }

    /// A list of counts.
    pub(crate) fn counts<I: Into<Option<u64>>>(self, values: impl Iterator<Item = I>) -> Self {
        let counts = values.map(|count| count.into().map(Count));
        self.with(List::Counts(counts.collect()))
    }

    /// A list of yes and no.
    pub(crate) fn flags(self, values: impl Iterator<Item = bool>) -> Self {
        self.with(List::Flags(values.collect()))
    }

    /// A list of byte strings.
    pub(crate) fn bytes<I: Into<Option<&'t [u8]>>>(self, values: impl Iterator<Item = I>) -> Self {
        self.with(List::Bytes(values.map(Into::into).collect()))
    }

    /// A list of JSON values, as text.
    pub(crate) fn jsons<I: Into<Option<Box<RawValue>>>>(
        self,
        values: impl Iterator<Item = I>,
    ) -> Self {
        let jsons = values.map(|json| json.into().map(JsonText));
        self.with(List::Jsons(jsons.collect()))
    }

    /// A list of whatever columns hold.
    pub(super) fn list<T: ListElement<'t>>(self, values: Vec<T>) -> Self {
        self.with(T::list(values))
    }

    fn with(mut self, list: List<'t>) -> Self {
        self.lists.push(list);
        self
    }

    /// The lists, for PostgreSQL.
    pub(super) fn into_lists(self) -> Vec<List<'t>> {
        self.lists
    }

    /// The lists as the next parameters of a PostgreSQL statement.
    pub(super) fn add_to(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        self.lists
            .into_iter()
            .try_for_each(|list| list.add_to(arguments))
    }

    /// The rows as JSON, for SQLite.
    pub(super) fn to_json(&self) -> String {
        let rows = self.lists.first().map_or(0, List::len);
        let all =
            (0..rows).map(|row| Value::Array(self.lists.iter().map(|l| l.cell(row)).collect()));
        Value::Array(all.collect()).to_string()
    }
}

impl List<'_> {
    /// The list as the next parameter of a PostgreSQL statement.
    pub(super) fn add_to(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Ids(list) => arguments.add(list),
            Self::Texts(list) => arguments.add(list),
            Self::Times(list) => arguments.add(list),
            Self::Counts(list) => arguments.add(list),
            Self::Flags(list) => arguments.add(list),
            Self::Bytes(list) => arguments.add(list),
            Self::Jsons(list) => arguments.add(list),
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Ids(list) => list.len(),
            Self::Texts(list) => list.len(),
            Self::Times(list) => list.len(),
            Self::Counts(list) => list.len(),
            Self::Flags(list) => list.len(),
            Self::Bytes(list) => list.len(),
            Self::Jsons(list) => list.len(),
        }
    }

    fn cell(&self, row: usize) -> Value {
        match self {
            Self::Ids(list) => list[row].map_or(Value::Null, |id| hex(&id.0.to_be_bytes())),
            Self::Texts(list) => Value::from(list[row]),
            Self::Times(list) => Value::from(list[row].map(|at| at.0.as_micros())),
            Self::Counts(list) => Value::from(list[row].map(|count| count.0)),
            Self::Flags(list) => Value::from(list[row]),
            Self::Bytes(list) => list[row].map_or(Value::Null, hex),
            Self::Jsons(list) => Value::from(list[row].as_ref().map(|json| json.0.get())),
        }
    }
}

/// A value that a list can hold.
pub(super) trait ListElement<'t>: Sized {
    /// The list of such values.
    fn list(values: Vec<Self>) -> List<'t>;
}

macro_rules! listed {
    ($($kind:ident($value:ty)),* $(,)?) => {
        $(impl<'t> ListElement<'t> for $value {
            fn list(values: Vec<Self>) -> List<'t> {
                List::$kind(values.into_iter().map(Some).collect())
            }
        }

        impl<'t> ListElement<'t> for Option<$value> {
            fn list(values: Vec<Self>) -> List<'t> {
                List::$kind(values)
            }
        })*
    };
}

listed!(
    Ids(Id),
    Texts(&'t str),
    Times(Time),
    Counts(Count),
    Bytes(&'t [u8]),
    Jsons(JsonText),
);

impl<'t> ListElement<'t> for bool {
    fn list(values: Vec<Self>) -> List<'t> {
        List::Flags(values)
    }
}

/// A value as JSON text; none if it cannot be written as JSON, which the types of this store can.
pub(crate) fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}

fn hex(bytes: &[u8]) -> Value {
    Value::String(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_arrays_with_bytes_in_hex() {
        let columns = Columns::new()
            .ids([1u128, 2].into_iter())
            .texts([Some("a\"b"), None].into_iter())
            .flags([true, false].into_iter())
            .jsons([raw(&serde_json::json!({"k": 1})), None].into_iter());
        assert_eq!(
            columns.to_json(),
            "[[\"00000000000000000000000000000001\",\"a\\\"b\",true,\"{\\\"k\\\":1}\"],\
             [\"00000000000000000000000000000002\",null,false,null]]"
        );
    }
}
