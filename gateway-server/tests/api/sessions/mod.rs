//! `/sessions`

mod connect;
mod create;
mod delete;
mod events;
mod get;
mod history;
mod list;
mod names;
mod passkey;
mod qr;
mod stop;
mod update;
