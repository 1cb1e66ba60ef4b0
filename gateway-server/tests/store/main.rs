//! What is particular to the SQL stores: engines, rows and statements. What every store promises is in
//! the conformance suites.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is the test's failure"
)]

mod engines;
mod orchestration;
mod platform;
