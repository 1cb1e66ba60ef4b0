//! Texts of statements, put together while compiling.
//!
//! [`sql!`] takes literals and, in braces, [`Part`]s, and gives one text per engine. What depends on the
//! columns of a table comes from its one declaration (see [`super::table`]), so a list of columns, of
//! parameters or of assignments cannot be out of step with what is bound and read:
//!
//! ```ignore
//! const INSERT: Sql = sql!["INSERT INTO users (" {USERS.columns()} ", changed_at) VALUES ("
//!     {USERS.parameters()} ", " {USERS.now()} ")"];
//! ```

use super::dialect::Dialect;
use super::table::{Column, Table};

/// A piece of a statement.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The same on both engines.
    Text(&'static str),
    /// Something else on each.
    Either {
        postgres: &'static str,
        sqlite: &'static str,
    },
    /// `s.id, s.name, …`; without the dot where `of` is empty.
    Columns {
        of: &'static str,
        columns: &'static [Column],
    },
    /// So many parameters, from the first on.
    Parameters(usize),
    /// The place of one parameter, counted from zero.
    Parameter(usize),
    /// `name = $3, …`, or `name = n.name, …`: every column but some.
    Set {
        table: &'static Table,
        but: &'static [&'static str],
        values: Values,
    },
    /// Rows `n` to select from: `unnest($1, …) AS n (id, …)`, or the same out of one JSON text.
    Rows(&'static Table),
    /// The moment of the write: the server's clock, or the parameter of that number.
    Now(usize),
}

/// Where a [`Part::Set`] takes its values from.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// The parameter of the column's place.
    Parameters,
    /// The column of the same name of the rows `n`, or of the row that was not inserted (`excluded`).
    Row(&'static str),
}

/// Locks the rows that are read; one transaction writes at a time on SQLite.
pub(super) const FOR_UPDATE: Part = Part::Either {
    postgres: " FOR UPDATE",
    sqlite: "",
};

/// Keeps the rows that are read as they are until the transaction ends; so does the one writer of SQLite.
pub(super) const FOR_SHARE: Part = Part::Either {
    postgres: " FOR SHARE",
    sqlite: "",
};

/// A text of `N` bytes. Beyond those it only counts, which is how long it has to be.
#[derive(Clone, Copy)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    pub(super) length: usize,
}

impl<const N: usize> Text<N> {
    /// The text of all parts.
    pub(super) const fn of(parts: &[Part], dialect: Dialect) -> Self {
        let mut text = Self {
            bytes: [0; N],
            length: 0,
        };
        let mut i = 0;
        while i < parts.len() {
            text = text.part(&parts[i], dialect);
            i += 1;
        }
        text
    }

    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(_) => panic!("statements are made of texts"),
        }
    }

    const fn part(self, part: &Part, dialect: Dialect) -> Self {
        match (*part, dialect) {
            (Part::Text(text), _)
            | (Part::Either { postgres: text, .. }, Dialect::Postgres)
            | (Part::Either { sqlite: text, .. }, Dialect::Sqlite) => self.text(text),
            (Part::Columns { of, columns }, _) => self.columns(of, columns),
            (Part::Parameters(count), _) => self.parameters(count),
            (Part::Parameter(number), _) => self.parameter(number),
            (Part::Set { table, but, values }, _) => self.set(table, but, values),
            (Part::Rows(table), Dialect::Postgres) => self.arrays(table),
            (Part::Rows(table), Dialect::Sqlite) => self.json(table),
            (Part::Now(_), Dialect::Postgres) => self.text("clock_timestamp()"),
            (Part::Now(parameter), Dialect::Sqlite) => self.parameter(parameter),
        }
    }

    const fn text(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() {
            if self.length < N {
                self.bytes[self.length] = text[i];
            }
            self.length += 1;
            i += 1;
        }
        self
    }

    const fn number(self, number: usize) -> Self {
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let before = match number / 10 {
            0 => self,
            tens => self.number(tens),
        };
        before.text(DIGITS[number % 10])
    }

    const fn parameter(self, number: usize) -> Self {
        self.text("$").number(number)
    }

    const fn parameters(mut self, count: usize) -> Self {
        let mut i = 0;
        while i < count {
            self = self.comma(i).parameter(i + 1);
            i += 1;
        }
        self
    }

    /// Before every item but the first.
    const fn comma(self, i: usize) -> Self {
        match i {
            0 => self,
            _ => self.text(", "),
        }
    }

    const fn columns(mut self, of: &str, columns: &[Column]) -> Self {
        let mut i = 0;
        while i < columns.len() {
            self = self.comma(i);
            if !of.is_empty() {
                self = self.text(of).text(".");
            }
            self = self.text(columns[i].name);
            i += 1;
        }
        self
    }

    const fn set(mut self, table: &Table, but: &[&str], values: Values) -> Self {
        let (mut i, mut written) = (0, 0);
        while i < table.written.len() {
            let name = table.written[i].name;
            if !contains(but, name) {
                self = self.comma(written).text(name).text(" = ");
                self = match values {
                    Values::Parameters => self.parameter(i + 1),
                    Values::Row(row) => self.text(row).text(".").text(name),
                };
                written += 1;
            }
            i += 1;
        }
        assert!(written + but.len() == table.written.len(), "not a column");
        self
    }

    const fn arrays(self, table: &Table) -> Self {
        let unnest = self.text("unnest(").parameters(table.written.len());
        let named = unnest.text(") AS n (").columns("", table.written);
        named.text(")")
    }

    const fn json(mut self, table: &Table) -> Self {
        self = self.text("(SELECT ");
        let mut i = 0;
        while i < table.written.len() {
            let column = &table.written[i];
            let value = self.comma(i);
            self = match column.bytes {
                true => value.text("unhex(value->>").number(i).text(")"),
                false => value.text("value->>").number(i),
            };
            self = self.text(" AS ").text(column.name);
            i += 1;
        }
        self.text(" FROM json_each($1)) AS n")
    }
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut i = 0;
    while i < names.len() {
        if equal(names[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether two names are the same.
pub(super) const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut i = 0;
    while i < one.len() && i < other.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    one.len() == other.len()
}

/// A statement of literals and, in braces, [`Part`]s.
macro_rules! sql {
    (@part $text:literal) => { $crate::store::sql::text::Part::Text($text) };
    (@part { $part:expr }) => { $part };
    (@text $parts:ident, $engine:ident) => {{
        use $crate::store::sql::{dialect::Dialect, text::Text};
        const LENGTH: usize = Text::<0>::of($parts, Dialect::$engine).length;
        const TEXT: &Text<LENGTH> = &Text::of($parts, Dialect::$engine);
        TEXT.as_str()
    }};
    ($($part:tt)*) => {{
        const PARTS: &[$crate::store::sql::text::Part] =
            &[$($crate::store::sql::text::sql!(@part $part)),*];
        $crate::store::sql::tx::Sql {
            postgres: $crate::store::sql::text::sql!(@text PARTS, Postgres),
            sqlite: $crate::store::sql::text::sql!(@text PARTS, Sqlite),
        }
    }};
}

pub(super) use sql;

#[cfg(test)]
mod tests {
    use super::super::table::{Column, Table};
    use super::super::tx::Sql;
    use super::FOR_UPDATE;

    const THINGS: &Table = &Table {
        written: &[
            Column {
                name: "id",
                bytes: true,
            },
            Column {
                name: "name",
                bytes: false,
            },
            Column {
                name: "made_of_it",
                bytes: false,
            },
        ],
        read: 2,
    };

    #[test]
    fn what_is_read_is_locked_where_there_are_locks() {
        const LOCK: Sql = sql!["SELECT " {THINGS.columns_of("t")} " FROM things AS t" {FOR_UPDATE}];
        assert_eq!(LOCK.sqlite, "SELECT t.id, t.name FROM things AS t");
        assert_eq!(
            LOCK.postgres,
            "SELECT t.id, t.name FROM things AS t FOR UPDATE"
        );
    }

    #[test]
    fn a_row_is_a_parameter_per_column_and_the_moment_comes_last() {
        const SAVE: Sql = sql!["UPDATE things SET " {THINGS.set_but(&["id"])} ", at = "
            {THINGS.now()} " WHERE id = " {THINGS.parameter("id")}];
        let set = "UPDATE things SET name = $2, made_of_it = $3, at = ";
        assert_eq!(SAVE.sqlite, format!("{set}$4 WHERE id = $1"));
        assert_eq!(
            SAVE.postgres,
            format!("{set}clock_timestamp() WHERE id = $1")
        );
    }

    #[test]
    fn rows_are_lists_or_one_json_text() {
        const ROWS: Sql = sql!["SELECT * FROM " {THINGS.rows()}];
        assert_eq!(
            ROWS.postgres,
            "SELECT * FROM unnest($1, $2, $3) AS n (id, name, made_of_it)"
        );
        assert_eq!(
            ROWS.sqlite,
            "SELECT * FROM (SELECT unhex(value->>0) AS id, value->>1 AS name, \
             value->>2 AS made_of_it FROM json_each($1)) AS n"
        );
    }
}
