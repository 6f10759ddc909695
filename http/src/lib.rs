//! CouchDB's HTTP API. A request's bytes become an endpoint (`route`), its user is found (`auth`),
//! and a handler answers by what the coordinator knows. Never touches files, trees or shards.

pub mod accept;
pub mod access;
pub mod auth;
pub mod body;
pub mod buffered;
pub mod compile;
pub mod config;
pub mod context;
pub mod cors;
pub mod csp;
pub mod date;
pub mod error;
pub mod feed;
pub mod frames;
pub mod handlers;
mod headers;
pub mod hosts;
#[cfg(test)]
mod kit;
pub mod layout;
pub mod listing;
mod lull;
mod metrics_port;
pub mod multipart;
pub mod off;
pub mod outgoing;
mod patience;
mod patient;
pub mod peer;
pub mod percent;
pub mod prefer;
pub mod process;
pub mod query;
pub mod random;
pub mod render;
pub mod reply;
mod respond;
pub mod route;
mod server;
pub mod settings;
pub mod site;
mod speak;
pub mod stats;
mod streams;
pub mod tls;
pub mod users;
pub mod uuids;
pub mod view_query;

mod wire;

pub use config::{ConfigFiles, follow_common};
pub use context::App;
pub use handlers::elsewhere::FrontDesk;
pub use metrics_port::serve_metrics;
pub use patience::Patience;
pub use process::Process;
pub use server::{Listener, Secured, serve};
pub use settings::Settings;
pub use site::{Site, SiteFiles};
