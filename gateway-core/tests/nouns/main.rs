//! The nouns by themselves: names on the wire, ids, people, plans, events, and what ports do unless told
//! otherwise.

mod events;
mod names;
mod people;
mod ports;
mod retention;
mod reasons;
mod routes;
mod vitals;
