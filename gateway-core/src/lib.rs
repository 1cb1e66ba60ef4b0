pub mod balance;
pub mod entropy;
pub mod id;
pub mod time;
