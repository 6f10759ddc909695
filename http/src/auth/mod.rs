//! Who asks, and what they may do. [`User`] is the answer to the first question; `access` to the
//! second.

pub mod access;
mod user;

pub use user::User;
