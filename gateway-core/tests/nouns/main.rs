//! The nouns by themselves: names on the wire, ids, people, plans, events, and what ports do unless told
//! otherwise.

mod deadline;
mod events;
mod names;
mod pages;
mod parsed;
mod people;
mod ports;
mod protocol_page;
mod reasons;
mod retention;
mod routes;
mod vitals;
