//! A few numbers of one server, for operators who look at several side by side.
//!
//! They are read from the text that Prometheus gets, because metrics are written from every core and have no
//! other place where they can be read.

use std::collections::BTreeMap;

/// The shown numbers: the name of each, and the metric that it is the sum of.
const SHOWN: [(&str, &str); 6] = [
    ("requests", "gateway_http_requests_total"),
    ("connections", "gateway_http_connections"),
    ("sends", "gateway_sends_total"),
    ("sendsInFlight", "gateway_sends_in_flight"),
    ("messageLogPlaces", "gateway_message_log_places"),
    ("eventsPublished", "gateway_events_published_total"),
];

/// Returns the numbers found in `text` (Prometheus text format), by name. A metric that is absent counts
/// as 0.
#[must_use]
pub fn numbers(text: &str) -> BTreeMap<String, u64> {
    let sums = SHOWN.map(|(name, metric)| (name.to_owned(), sum(text, metric)));
    sums.into()
}

/// Returns those of a replica's numbers that are meant for people: replicas show each other more than these.
#[must_use]
pub fn for_people(mut numbers: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    numbers.retain(|name, _| SHOWN.iter().any(|(shown, _)| name == shown));
    numbers
}

/// Returns the sum of a metric over all its labels.
fn sum(text: &str, metric: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
    let values = lines
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
    // Counts are whole and far below the precision of a float; below zero a cast gives 0.
    values.sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_added_up_and_longer_names_are_others() {
        let text = "# TYPE gateway_sends_total counter
gateway_sends_total{outcome=\"accepted\"} 40
gateway_sends_total{outcome=\"a b\"} 2
gateway_sends_total_of_others 7
gateway_http_connections 3
gateway_sends_in_flight -1
";
        let found = numbers(text);
        assert_eq!(found["sends"], 42);
        assert_eq!(found["connections"], 3);
        assert_eq!((found["requests"], found["sendsInFlight"]), (0, 0));
    }

    #[test]
    fn what_replicas_compare_is_not_for_people() {
        let shown = [("sends", 42), ("messageIds", 7)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(for_people(shown.into()), [("sends".to_owned(), 42)].into());
    }
}
