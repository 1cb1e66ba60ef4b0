//! What a program gets that does as it is told, and no more.

use std::time::Duration;

use futures_executor::block_on;
use gateway_core::id::Epoch;
use gateway_core::orchestrator::Driver;
use gateway_core::protocol::StartSessionMode::{Qr, Restore};
use gateway_core::session::Status;

use super::program::Program;

#[test]
fn a_program_that_sleeps_as_it_is_told_moves_the_sessions_of_a_dead_worker() {
    let mut program = Program::new(1);
    let first = program.join("first", 10);
    let session = program.session("sales");
    program.live(5);
    let second = program.join("second", 10);
    // Nothing is due any more: without a look at the leases it would sleep for ever.
    program.live(60);
    assert_eq!(program.holder(session), Some(first.worker.clone()));

    program.crash(&first);
    program.live(30);
    assert_eq!(program.holder(session), Some(second.worker));
    let row = program.row(session);
    assert_eq!(
        (row.epoch, row.status().status),
        (Epoch(2), Status::Connected)
    );
}

#[test]
fn a_program_with_nothing_to_do_is_told_to_sleep() {
    let mut program = Program::new(2);
    program.join("only", 10);
    program.session("sales");
    program.live(60);
    let before = program.pumps;
    program.live(3_600);
    let pumps = program.pumps - before;
    assert!((1_700..=1_900).contains(&pumps), "{pumps} in an hour");
}

#[test]
fn a_tick_never_tells_to_sleep_longer_than_a_heartbeat() {
    let mut program = Program::new(3);
    for when in ["without a worker", "with an idle one"] {
        let tick = block_on(program.orchestrator().tick()).expect("the store answers");
        assert_eq!(
            (tick.next, tick.claimed),
            (Duration::from_secs(2), 0),
            "{when}"
        );
        program.join("only", 10);
        program.live(10);
    }
}

#[test]
fn a_session_that_was_connected_is_restored_whether_or_not_its_number_is_known() {
    for phone_number in [None, Some("491701234567")] {
        let mut program = Program::new(4);
        program.phone_number = phone_number;
        let first = program.join("first", 10);
        let session = program.session("sales");
        program.live(5);
        program.join("second", 10);
        program.crash(&first);
        program.live(30);
        assert_eq!(program.modes, [Qr, Restore], "{phone_number:?}");
        assert!(program.row(session).paired);
    }
}

#[test]
fn sessions_leave_a_process_at_once_whose_end_is_known() {
    let mut program = Program::new(5);
    let first = program.join("first", 10);
    let session = program.session("sales");
    program.live(5);
    let second = program.join("second", 10);
    program.live(5);
    program.bury(&first);
    program.do_what_is_due();
    assert_eq!(program.holder(session), Some(second.worker));
    assert_eq!(program.row(session).status().status, Status::Connected);
}

#[test]
fn an_effect_that_is_taken_and_dropped_is_made_up_for() {
    let mut program = Program::new(6);
    program.join("only", 10);
    program.live(5);
    let session = program.session("sales");
    assert_eq!(program.driver.load(), (1, 0));
    let turn = program.driver.take().expect("an effect waits");
    assert_eq!(program.driver.load(), (0, 1));
    drop(turn);
    assert_eq!(program.driver.load(), (0, 0));
    program.live(10);
    assert_eq!(program.row(session).status().status, Status::Connected);
}

#[test]
fn clones_of_a_driver_share_its_queue() {
    let mut program = Program::new(7);
    program.join("only", 10);
    program.live(5);
    let helper: Driver = program.driver.clone();
    let session = program.session("sales");
    while let Some(turn) = helper.take() {
        block_on(turn.perform());
    }
    assert_eq!(program.driver.load(), (0, 0));
    assert!(program.row(session).owner().is_some(), "it was placed");
}
