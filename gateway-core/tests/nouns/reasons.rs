//! The reasons of a session are public words: they stay what they are.

use gateway_core::session::Reason;

#[test]
fn the_words_of_the_gateway_never_change() {
    let words: Vec<&str> = Reason::KNOWN
        .iter()
        .map(|(reason, _)| reason.as_str())
        .collect();
    let snapshot = [
        "starting",
        "no_capacity",
        "pairing",
        "syncing",
        "restarting",
        "retrying",
        "worker_lost",
        "worker_silent",
        "start_refused",
        "start_timeout",
        "disconnected",
        "qr_timeout",
        "logged_out",
        "no_credentials",
        "restricted",
        "recovery_failed",
        "error",
        "quarantined",
        "stopping",
        "logging_out",
        "deleting",
    ];
    assert_eq!(words, snapshot);
}

#[test]
fn every_word_is_read_as_what_it_was_written_from() {
    for (reason, meaning) in Reason::KNOWN {
        assert_eq!(Reason::parse(reason.as_str()), *reason);
        assert!(meaning.trim().ends_with('.'), "{reason} is not explained");
    }
}

#[test]
fn a_workers_own_word_is_passed_on_as_it_came() {
    for word in ["stream_replaced", "NO_CAPACITY", "", "no capacity ☃"] {
        let reason = Reason::parse(word);
        assert_eq!(reason, Reason::Reported(word.to_owned()));
        let json = serde_json::to_string(&reason).expect("JSON");
        assert_eq!(json, serde_json::to_string(word).expect("JSON"));
        let read: Reason = serde_json::from_str(&json).expect("its own words");
        assert_eq!(read.to_string(), word);
    }
}
