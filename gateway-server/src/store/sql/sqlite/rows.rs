//! New rows on SQLite, many in one statement: `INSERT … VALUES (?, …), (?, …)`.
//!
//! A row of parameters costs a quarter of the same row out of `json_each`, and a statement that is known by
//! its text is parsed once per connection. So any number of rows is written by a few statements of fixed
//! sizes, one for each power of two.

use std::sync::OnceLock;

use gateway_core::store::StoreError;

use super::super::tx::{Query, Tx};

/// Statements have 1, 2, 4 … 64 rows, which stays far below SQLite's 32,766 parameters.
const SIZES: usize = 7;

/// An insertion of any number of rows.
#[derive(Debug)]
pub(in super::super) struct Insertion {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    texts: [OnceLock<String>; SIZES],
}

impl Insertion {
    /// `head` ends with `VALUES`, `row` is one row's parameters, `tail` what follows the rows.
    pub(in super::super) const fn new(
        head: &'static str,
        row: &'static str,
        tail: &'static str,
    ) -> Self {
        Self {
            head,
            row,
            tail,
            texts: [const { OnceLock::new() }; SIZES],
        }
    }

    /// Returns how many of at least one row the next statement takes, and its text.
    fn next(&'static self, rows: usize) -> (usize, &'static str) {
        let power = (rows.ilog2() as usize).min(SIZES - 1);
        let size = 1 << power;
        (size, self.texts[power].get_or_init(|| self.statement(size)))
    }

    fn statement(&self, size: usize) -> String {
        let rows = vec![self.row; size].join(", ");
        format!("{} {rows} {}", self.head, self.tail)
            .trim_end()
            .to_owned()
    }
}

impl Tx {
    /// Inserts a row for every value, in their order, and returns how many were not there before.
    pub(in super::super) async fn insert_rows<T: Sync>(
        &mut self,
        insertion: &'static Insertion,
        mut values: &[T],
        bind: impl for<'q> Fn(Query<'q>, &T) -> Query<'q> + Send + Sync,
    ) -> Result<usize, StoreError> {
        let mut inserted = 0;
        while !values.is_empty() {
            let (size, text) = insertion.next(values.len());
            let (rows, rest) = values.split_at(size);
            let query = rows.iter().fold(self.query(text), &bind);
            inserted += query.execute().await?;
            values = rest;
        }
        Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: Insertion = Insertion::new("INSERT INTO t (a, b) VALUES", "(?, ?)", "");

    #[test]
    fn a_statement_has_the_largest_power_of_two_of_rows() {
        for (rows, size) in [(1, 1), (2, 2), (3, 2), (63, 32), (64, 64), (1_000, 64)] {
            let (taken, text) = PAIRS.next(rows);
            assert_eq!((taken, text.matches("(?, ?)").count()), (size, size));
        }
        assert_eq!(
            PAIRS.next(3).1,
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)"
        );
    }
}
