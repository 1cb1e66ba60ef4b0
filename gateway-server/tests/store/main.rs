//! What is particular to the SQL stores: engines, rows and statements. What every store promises is in
//! the conformance suites.

mod engines;
mod orchestration;
mod platform;
