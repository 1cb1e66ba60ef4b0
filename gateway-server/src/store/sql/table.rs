//! Tables, each declared once.
//!
//! [`table!`] names the columns of a table, what each is in the domain, and where the domain has it. From
//! that one list come the row as it is read, the parameters of a write in the order of the columns, the
//! same as one list per column (see [`super::columns`]), and the lists of names that [`super::text`] puts
//! into statements. So a new column is one line here, one in a migration of each dialect, and a field in the
//! domain.
//!
//! ```ignore
//! table! {
//!     /// The table `users`.
//!     USERS = "users";
//!     UserRow of User, named |row| UserId::from_u128(row.id.0);
//!     columns {
//!         id: UserId = id,                        // a field that is one column: see `Stored`
//!         tenant_id: TenantId = tenant,
//!         phase: String => |row| row.phase.name() // anything else: how it is written…
//!     }
//!     read { phase = UserRow::read_phase }        // …and fields that are made of several columns
//!     derived { status: String => |row| row.status().name() } // written, never read back
//! }
//! ```
//!
//! Rows are read by position, not by name, so that those of several tables stand side by side in one
//! result, as [`Joined`].

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, FromRow, Row as _, Type, ValueRef as _};

use super::columns::Columns;
use super::text::{Part, Values, equal};
use super::tx::Query;
use super::types::{Count, Time};

/// A column of a [`Table`].
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether JSON carries it as hex.
    pub(super) bytes: bool,
}

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Table {
    /// What is written, in the order of the parameters.
    pub(super) written: &'static [Column],
    /// How many of them, from the first, are read, too.
    pub(super) read: usize,
}

impl Table {
    /// The moment of a write of [`Table::rows`]: those are one parameter on SQLite, which is told the time.
    pub(super) const NOW_AFTER_ROWS: Part = Part::Now(2);

    /// `id, name, …`: what is read, in the order in which it is.
    pub(super) const fn columns(&self) -> Part {
        self.columns_of("")
    }

    /// `t.id, t.name, …`
    pub(super) const fn columns_of(&self, of: &'static str) -> Part {
        let columns = self.written.split_at(self.read).0;
        Part::Columns { of, columns }
    }

    /// `id, name, …`: what is written.
    pub(super) const fn written(&self) -> Part {
        Part::Columns {
            of: "",
            columns: self.written,
        }
    }

    /// `$1, $2, …`: a parameter for each that is written.
    pub(super) const fn parameters(&self) -> Part {
        Part::Parameters(self.written.len())
    }

    /// The parameter of that column.
    pub(super) const fn parameter(&self, name: &str) -> Part {
        let mut i = 0;
        while !equal(self.written[i].name, name) {
            i += 1;
        }
        Part::Parameter(i + 1)
    }

    /// The moment of the write, after those parameters.
    pub(super) const fn now(&self) -> Part {
        Part::Now(self.written.len() + 1)
    }

    /// `name = $2, …`: every column that is written but some.
    pub(super) const fn set_but(&'static self, but: &'static [&'static str]) -> Part {
        Part::Set {
            table: self,
            but,
            values: Values::Parameters,
        }
    }

    /// `name = n.name, …`: every column that is written but some, from the row of that name.
    pub(super) const fn set_from(
        &'static self,
        row: &'static str,
        but: &'static [&'static str],
    ) -> Part {
        Part::Set {
            table: self,
            but,
            values: Values::Row(row),
        }
    }

    /// Any number of whole rows, as `n`.
    pub(super) const fn rows(&'static self) -> Part {
        Part::Rows(self)
    }
}

/// How the rows of a table are written. Implemented by [`table!`].
pub(super) trait Written {
    /// What one row is in the domain.
    type Of: 'static;

    /// The next parameters of `query`: the columns that are written.
    fn bind<'q>(query: Query<'q>, row: &Self::Of) -> Query<'q>;

    /// The same of any number of rows, a list per column.
    fn lists<'t>(rows: impl Iterator<Item = &'t Self::Of> + Clone) -> Columns<'t>;
}

impl Query<'_> {
    /// The next parameters: a row of the table.
    pub(super) fn row<T: Written>(self, row: &T::Of) -> Self {
        T::bind(self, row)
    }

    /// The next parameters: any number of rows of the table.
    pub(super) fn rows<'t, T: Written>(self, rows: impl Iterator<Item = &'t T::Of> + Clone) -> Self
    where
        T::Of: 't,
    {
        self.columns(T::lists(rows))
    }
}

/// What is read from columns that stand side by side in a result.
pub(super) trait Stretch<'r, R>: Sized {
    /// How many there are.
    const WIDTH: usize;

    /// Reads it from the columns from `first` on.
    fn read(row: &'r R, first: usize) -> Result<Self, sqlx::Error>;
}

/// Several stretches in one row, in the order of the statement.
pub(super) struct Joined<T>(pub(super) T);

/// Columns of an outer join, the first of which is never null in its table.
pub(super) struct Outer<T>(pub(super) Option<T>);

/// What is the same for the rows of both engines.
macro_rules! stretches {
    ($row:ty: $($value:ty),*) => {
        $(impl<'r> Stretch<'r, $row> for $value {
            const WIDTH: usize = 1;

            fn read(row: &'r $row, first: usize) -> Result<Self, sqlx::Error> {
                row.try_get(first)
            }
        })*

        impl<'r, T: Stretch<'r, $row>> Stretch<'r, $row> for Outer<T> {
            const WIDTH: usize = T::WIDTH;

            fn read(row: &'r $row, first: usize) -> Result<Self, sqlx::Error> {
                match row.try_get_raw(first)?.is_null() {
                    true => Ok(Self(None)),
                    false => T::read(row, first).map(Some).map(Self),
                }
            }
        }

        joined!($row: A, B);
        joined!($row: A, B, C);
        joined!($row: A, B, C, D);
    };
}

macro_rules! joined {
    ($row:ty: $($part:ident),*) => {
        impl<'r, $($part: Stretch<'r, $row>),*> FromRow<'r, $row> for Joined<($($part,)*)> {
            fn from_row(row: &'r $row) -> Result<Self, sqlx::Error> {
                let mut next = 0;
                Ok(Self(($(stretch::<$row, $part>(row, &mut next)?,)*)))
            }
        }
    };
}

/// Reads a stretch and moves behind it.
fn stretch<'r, R, T: Stretch<'r, R>>(row: &'r R, next: &mut usize) -> Result<T, sqlx::Error> {
    let first = *next;
    *next += T::WIDTH;
    T::read(row, first)
}

stretches!(PgRow: Time, Count, String);
stretches!(SqliteRow: Time, Count, String);

/// Reads one column and moves on to the next.
pub(super) fn column<'r, R, T>(
    row: &'r R,
    next: &mut usize,
    name: &'static str,
) -> Result<T, sqlx::Error>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    let value = row.try_get(*next);
    *next += 1;
    value.map_err(|error| match error {
        sqlx::Error::ColumnDecode { source, .. } => sqlx::Error::ColumnDecode {
            index: name.to_owned(),
            source,
        },
        other => other,
    })
}

/// Declares a table; see the head of this file.
macro_rules! table {
    (
        $(#[$about:meta])*
        $TABLE:ident = $name:literal;
        $row:ident of $domain:ident, named |$named:ident| $id:expr;
        columns { $(
            $column:ident: $type:ty $(= $field:ident)? $(=> |$whole:ident| $value:expr)?
        ),* $(,)? }
        $(read { $($part:ident = $read:expr),* $(,)? })?
        $(derived { $($derived:ident: $kept:ty => |$from:ident| $made:expr),* $(,)? })?
    ) => {
        $(#[$about])*
        pub(in crate::store::sql) const $TABLE: &$crate::store::sql::table::Table = {
            use $crate::store::sql::stored::Kept;
            use $crate::store::sql::table::{Column, Table, table};
            &Table {
                written: &[
                    $(Column {
                        name: stringify!($column),
                        bytes: <table!(@read $type $(= $field)?) as Kept>::BYTES,
                    },)*
                    $($(Column {
                        name: stringify!($derived),
                        bytes: <$kept as Kept>::BYTES,
                    },)*)?
                ],
                read: [$(stringify!($column)),*].len(),
            }
        };

        /// A row as it is read.
        pub(in crate::store::sql) struct $row {
            $($column: $crate::store::sql::table::table!(@read $type $(= $field)?),)*
        }

        impl $row {
            fn parse(self) -> Result<$domain, String> {
                $($(let $part = ($read)(&self)?;)*)?
                Ok($domain {
                    $($($field: <$type as $crate::store::sql::stored::Stored>::read(
                        self.$column,
                    )?,)?)*
                    $($($part,)*)?
                })
            }
        }

        impl TryFrom<$row> for $domain {
            type Error = gateway_core::store::StoreError;

            fn try_from(row: $row) -> Result<Self, Self::Error> {
                let $named = &row;
                let id = $id;
                let parsed = row.parse();
                parsed.map_err(|why| $crate::store::sql::error::corrupt($name, &id, &why))
            }
        }

        impl $crate::store::sql::table::Written for $row {
            type Of = $domain;

            fn bind<'q>(
                query: $crate::store::sql::tx::Query<'q>,
                row: &$domain,
            ) -> $crate::store::sql::tx::Query<'q> {
                use $crate::store::sql::table::table;
                query
                    $(.bind(table!(@write row, $type $(= $field)? $(=> |$whole| $value)?)))*
                    $($(.bind(table!(@write row, $kept => |$from| $made)))*)?
            }

            fn lists<'t>(
                rows: impl Iterator<Item = &'t $domain> + Clone,
            ) -> $crate::store::sql::columns::Columns<'t> {
                use $crate::store::sql::table::table;
                let mut lists = $crate::store::sql::columns::Columns::new();
                $({
                    let values = rows.clone().map(
                        |row| table!(@write row, $type $(= $field)? $(=> |$whole| $value)?)
                    );
                    lists = lists.list(values.collect());
                })*
                $($({
                    let values = rows.clone().map(|row| table!(@write row, $kept => |$from| $made));
                    lists = lists.list(values.collect());
                })*)?
                lists
            }
        }

        $crate::store::sql::table::table!(@stretch $row, $TABLE, sqlx::postgres::PgRow, $($column),*);
        $crate::store::sql::table::table!(@stretch $row, $TABLE, sqlx::sqlite::SqliteRow, $($column),*);
    };
    (@read $type:ty = $field:ident) => { <$type as $crate::store::sql::stored::Stored>::Read };
    (@read $type:ty) => { $type };
    (@write $row:ident, $type:ty = $field:ident) => {
        <$type as $crate::store::sql::stored::Stored>::write(&$row.$field)
    };
    (@write $row:ident, $type:ty => |$whole:ident| $value:expr) => {{
        let $whole = $row;
        $value
    }};
    (@stretch $row:ident, $TABLE:ident, $engine:ty, $($column:ident),*) => {
        impl<'r> $crate::store::sql::table::Stretch<'r, $engine> for $row {
            const WIDTH: usize = $TABLE.read;

            fn read(row: &'r $engine, first: usize) -> Result<Self, sqlx::Error> {
                let mut next = first;
                Ok(Self {
                    $($column: $crate::store::sql::table::column(
                        row,
                        &mut next,
                        stringify!($column),
                    )?,)*
                })
            }
        }

        impl<'r> sqlx::FromRow<'r, $engine> for $row {
            fn from_row(row: &'r $engine) -> Result<Self, sqlx::Error> {
                <Self as $crate::store::sql::table::Stretch<'r, $engine>>::read(row, 0)
            }
        }
    };
}

pub(super) use table;
