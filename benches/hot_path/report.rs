//! Tables in Markdown.

use std::io::{self, Write as _};

use crate::Failure;
use crate::measure::Sample;

/// Prints text for a person.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()?;
    Ok(())
}

/// The rows of one table: a name, and its figures.
pub(crate) struct Line<'a> {
    /// Of what.
    pub(crate) name: String,
    /// The figures.
    pub(crate) sample: &'a Sample,
}

/// Returns all figures, with the ratios to `base`, which is nginx where there is one.
pub(crate) fn saturated(lines: &[Line<'_>], base: Option<&Sample>) -> String {
    let mut text = String::from(
        "| target | requests/s | × nginx | own CPU µs | × nginx | without put-off work | PostgreSQL µs | Redis µs | stub µs | load µs | p50 / p99 ms | errors | rows per answer | put-off work s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for Line { name, sample } in lines {
        let over = |figure: fn(&Sample) -> f64| {
            base.map_or("–".to_owned(), |base| {
                format!("{:.2}", figure(sample) / figure(base))
            })
        };
        let rows = sample
            .rows
            .map_or("–".to_owned(), |rows| format!("{rows:.3}"));
        text.push_str(&format!(
            "| {name} | {:.0} | {} | {:.1} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} / {:.2} | {:.0} | {rows} | {:.1} |\n",
            sample.rate,
            over(|sample| sample.rate),
            sample.own,
            over(|sample| sample.own),
            sample.during,
            sample.postgres,
            sample.redis,
            sample.stub,
            sample.load,
            sample.p50,
            sample.p99,
            sample.errors,
            sample.drain,
        ));
    }
    text
}

/// Latencies at a given rate.
pub(crate) fn paced(lines: &[Line<'_>]) -> String {
    let mut text = String::from(
        "| target | requests/s | p50 / p99 / max ms | longest stall ms | own CPU µs | errors | rows per answer |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Line { name, sample } in lines {
        let rows = sample
            .rows
            .map_or("–".to_owned(), |rows| format!("{rows:.3}"));
        text.push_str(&format!(
            "| {name} | {:.0} | {:.2} / {:.2} / {:.2} | {:.2} | {:.1} | {:.0} | {rows} |\n",
            sample.rate,
            sample.p50,
            sample.p99,
            sample.max,
            sample.stall,
            sample.own,
            sample.errors,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_base() {
        let base = Sample {
            rate: 100.0,
            own: 10.0,
            ..Sample::default()
        };
        let gateway = Sample {
            rate: 50.0,
            own: 20.0,
            rows: Some(1.0),
            ..base
        };
        let lines = [Line {
            name: "gateway".to_owned(),
            sample: &gateway,
        }];
        let text = saturated(&lines, Some(&base));
        assert!(
            text.contains("| gateway | 50 | 0.50 | 20.0 | 2.00 |"),
            "{text}"
        );
        assert!(saturated(&lines, None).contains("| gateway | 50 | – |"));
    }
}
