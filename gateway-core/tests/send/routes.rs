//! Where a send goes, and what a stale route comes to.

use super::*;

#[test]
fn a_session_of_nobody_is_unknown() {
    let mut stage = Stage::default();
    stage.route(false, None);
    let (outcome, _) = stage.send(&request(None));
    assert!(matches!(outcome, Err(SendError::UnknownSession)));
}

#[test]
fn a_session_that_waits_for_a_person_is_not_connected() {
    let standing = Standing::Closed {
        reason: "qr_timeout".to_owned(),
        action_required: Some("connect".to_owned()),
    };
    let mut stage = Stage::default();
    stage.route(false, Some(route(1, standing))).has_place();
    let (outcome, recorded) = stage.send(&request(None));
    let Err(SendError::NotConnected {
        reason,
        action_required,
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (reason.as_str(), action_required.as_deref()),
        ("qr_timeout", Some("connect"))
    );
    assert!(recorded.is_empty());
}

#[test]
fn a_session_on_its_way_back_is_unavailable() {
    let mut stage = Stage::default();
    stage
        .route(false, Some(route(1, Standing::Returning)))
        .has_place();
    let (outcome, recorded) = stage.send(&request(None));
    assert!(matches!(outcome, Err(SendError::SessionUnavailable)));
    assert!(recorded.is_empty());
}

fn stale() -> [LinkError; 3] {
    [
        LinkError::StaleEpoch { current: Epoch(2) },
        LinkError::WrongIncarnation { current: None },
        LinkError::UnknownSession,
    ]
}

#[test]
fn a_stale_route_is_read_from_the_store_and_retried_once_under_the_same_ids() {
    for answer in stale() {
        let mut stage = Stage::open();
        stage
            .has_place()
            .worker(1, Err(answer))
            .route(true, Some(open(2)))
            .worker(2, Ok(()))
            .records();
        let (outcome, recorded) = stage.send(&request(None));
        let message = outcome.expect("sent").message;
        assert_eq!(message.id, recorded[0].id);
        assert_eq!(
            recorded[0].epoch,
            Epoch(2),
            "recorded under the epoch that sent it"
        );
    }
}

#[test]
fn a_route_that_is_stale_twice_is_unavailable_and_leaves_no_row() {
    for again in stale() {
        let mut stage = Stage::open();
        stage
            .has_place()
            .worker(1, Err(LinkError::UnknownSession))
            .route(true, Some(open(2)))
            .worker(2, Err(again));
        let (outcome, recorded) = stage.send(&request(None));
        assert!(matches!(outcome, Err(SendError::SessionUnavailable)));
        assert!(recorded.is_empty());
    }
}

#[test]
fn the_fresh_route_may_lead_nowhere() {
    let closed = Standing::Closed {
        reason: "logged_out".to_owned(),
        action_required: None,
    };
    let cases = [
        (None, "no such session"),
        (Some(route(2, Standing::Returning)), "not available"),
        (Some(route(2, closed)), "logged_out"),
    ];
    for (fresh, expected) in cases {
        let mut stage = Stage::open();
        stage
            .has_place()
            .worker(1, Err(LinkError::UnknownSession))
            .route(true, fresh);
        let (outcome, recorded) = stage.send(&request(None));
        let text = outcome.expect_err("not sent").to_string();
        assert!(text.contains(expected), "{text}");
        assert!(recorded.is_empty());
    }
}

#[test]
fn only_what_is_stale_is_retried() {
    for answer in [LinkError::NotSent, LinkError::Unknown, LinkError::Rubbish] {
        let mut stage = Stage::open();
        stage.has_place().worker(1, Err(answer.clone()));
        if answer != LinkError::NotSent {
            stage.records();
        }
        let (outcome, _) = stage.send(&request(None));
        assert!(outcome.is_err(), "and the worker was asked exactly once");
    }
}
