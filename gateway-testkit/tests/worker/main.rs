//! The simulated worker against a gateway of a few lines, on a clock that is moved by hand.

mod gateway;
mod leases;
mod linking;
mod messages;
