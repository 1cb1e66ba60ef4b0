//! `/sessions`

mod connect;
mod create;
mod delete;
mod events;
mod get;
mod history;
mod list;
mod passkey;
mod qr;
mod stop;
mod update;
