//! New rows on SQLite, many in one statement: `INSERT … VALUES (?, …), (?, …)`.
//!
//! A row of parameters costs a quarter of the same row out of `json_each`, and a statement that is known by
//! its text is parsed once per connection. So the insertions that every message pays for are made in
//! a few fixed sizes, the largest first; everything else may keep its one text for any number of rows.

use std::sync::OnceLock;

use gateway_core::store::StoreError;

use super::tx::{Query, Tx};

/// How many rows one statement takes. The largest stays far below SQLite's 32,766 parameters.
const SIZES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// An insertion, in every size.
#[derive(Debug)]
pub(super) struct Insertion {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    texts: OnceLock<[String; SIZES.len()]>,
}

impl Insertion {
    /// `head` ends with `VALUES`, `row` is one row's parameters, `tail` what follows the rows.
    pub(super) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            row,
            tail,
            texts: OnceLock::new(),
        }
    }

    fn texts(&'static self) -> impl Iterator<Item = (usize, &'static str)> {
        let texts = self
            .texts
            .get_or_init(|| SIZES.map(|size| self.text(size)))
            .each_ref()
            .map(String::as_str);
        SIZES.into_iter().zip(texts)
    }

    fn text(&self, size: usize) -> String {
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
        let (mut rest, mut inserted) = (values, 0);
        for (size, text) in insertion.texts() {
            while let Some((now, later)) = rest.split_at_checked(size) {
                let query = now.iter().fold(self.query(text), &bind);
                inserted += query.execute().await?;
                rest = later;
            }
        }
        Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: Insertion = Insertion::new("INSERT INTO t (a, b) VALUES", "(?, ?)", "");

    #[test]
    fn a_statement_has_as_many_rows_as_its_size() {
        for (size, text) in PAIRS.texts() {
            assert_eq!(text.matches("(?, ?)").count(), size);
        }
        let (_, one) = PAIRS.texts().last().expect("there is a smallest size");
        assert_eq!(one, "INSERT INTO t (a, b) VALUES (?, ?)");
    }

    #[test]
    fn any_number_of_rows_is_made_of_the_sizes() {
        assert_eq!(SIZES.last(), Some(&1));
        assert!(SIZES.windows(2).all(|two| two[0] > two[1]), "{SIZES:?}");
    }
}
