//! The API as clients see it: every request goes through the whole router, over stores in memory.
//!
//! Folders mirror `src/http/v1`. `walk` asks every route of the API document as everybody.

mod app;
mod auth;
mod bad_input;
mod limits;
mod openapi;
mod system;
mod users;
mod walk;
