//! `http/v1/users`.

mod api_keys;
mod password;
mod profile;
