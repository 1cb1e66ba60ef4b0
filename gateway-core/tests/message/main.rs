//! The rules around messages: statuses, facts, ids, chats, contents, requests per hour, credentials.

mod access;
mod content;
mod fold;
mod ids;
mod quota;
mod secrets;
