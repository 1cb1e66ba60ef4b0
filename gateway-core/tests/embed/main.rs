//! The library as another program uses it: a way to workers of its own, a driver that is pumped when it says, and
//! nothing of the simulated fleet.

mod failover;
mod link;
mod program;
mod random;
