//! The client over real sockets.

mod answers;
mod connections;
mod deadlines;
mod harness;
mod http2;
mod policy;
mod proxies;
mod redirects;
