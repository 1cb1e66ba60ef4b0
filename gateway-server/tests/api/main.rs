//! The API as clients see it: every request goes through the whole router, over stores in memory.
//!
//! Folders mirror `src/http/v1`. `walk` asks every route of the API document as everybody.

mod admin;
mod app;
mod auth;
mod bad_input;
mod caches;
mod described;
mod effects;
mod events;
mod examples;
mod fleet;
mod limits;
mod link;
mod logs;
mod messages;
mod openapi;
mod scene;
mod sessions;
mod story;
mod system;
mod trusted_proxies;
mod unknown_fields;
mod users;
mod walk;
mod workers;
