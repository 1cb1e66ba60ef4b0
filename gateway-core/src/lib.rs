pub mod entropy;
pub mod id;
pub mod time;
