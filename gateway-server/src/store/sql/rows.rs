//! New rows on SQLite, many in one exchange: `INSERT … VALUES (?, …), (?, …)`.
//!
//! A row of parameters costs a quarter of the same row out of `json_each`, and a statement that is known by
//! its text is parsed once per connection. Every exchange with the connection's thread wakes two threads, so
//! any number of rows goes there at once: as one text of a few statements, each of a fixed size.

use std::sync::OnceLock;

use gateway_core::store::StoreError;

use super::tx::{Query, Tx};

/// Rows of one exchange. So many texts may be kept per insertion and connection, with half of this many rows
/// each; a statement stays far below SQLite's 32,766 parameters.
const AT_ONCE: usize = 64;

/// An insertion of any number of rows.
#[derive(Debug)]
pub(super) struct Insertion {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    texts: [OnceLock<String>; AT_ONCE],
}

impl Insertion {
    /// `head` ends with `VALUES`, `row` is one row's parameters, `tail` what follows the rows.
    pub(super) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            row,
            tail,
            texts: [const { OnceLock::new() }; AT_ONCE],
        }
    }

    /// The text for `count` rows, at least one and at most [`AT_ONCE`].
    fn text(&'static self, count: usize) -> &'static str {
        self.texts[count - 1].get_or_init(|| {
            let sizes = (0..=AT_ONCE.ilog2()).rev().map(|bit| 1 << bit);
            let statements = sizes.filter(|size| count & size != 0);
            let texts: Vec<String> = statements.map(|size| self.statement(size)).collect();
            texts.join("; ")
        })
    }

    fn statement(&self, size: usize) -> String {
        let rows = vec![self.row; size].join(", ");
        format!("{} {rows} {}", self.head, self.tail)
            .trim_end()
            .to_owned()
    }
}

impl Tx {
    /// Inserts a row for every value, in their order; how many were not there before.
    pub(super) async fn insert_rows<T: Sync>(
        &mut self,
        insertion: &'static Insertion,
        values: &[T],
        bind: impl for<'q> Fn(Query<'q>, &T) -> Query<'q> + Send + Sync,
    ) -> Result<usize, StoreError> {
        let mut inserted = 0;
        for rows in values.chunks(AT_ONCE) {
            let text = insertion.text(rows.len());
            let query = rows.iter().fold(self.query(text), &bind);
            inserted += query.execute().await?;
        }
        Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: Insertion = Insertion::new("INSERT INTO t (a, b) VALUES", "(?, ?)", "");

    #[test]
    fn a_text_has_as_many_rows_as_are_asked_for() {
        for count in 1..=AT_ONCE {
            assert_eq!(PAIRS.text(count).matches("(?, ?)").count(), count);
        }
        assert_eq!(
            PAIRS.text(3),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?); INSERT INTO t (a, b) VALUES (?, ?)"
        );
    }
}
