//! Outgoing HTTP: one place for certificates, proxies, time-outs and the address policy.
//!
//! [`Client`] makes the requests of deliveries. It knows of each whether it may have left, which
//! is what decides between sending again and marking a possible duplicate: no library client
//! tells. So it stands on hyper's connections with a pool of its own ([`pool`]), which also bounds
//! all connections together and closes one at once when its request ran out of time.
//!
//! [`Outbound::caller`] makes the ordinary clients for brokers and receivers of alerts, with the
//! same certificates and proxies.

mod client;
mod connect;
mod exchange;
mod outbound;
mod packed;
mod pool;
mod proxy;
mod reply;
mod request;
mod resolve;
mod resolver_health;
mod stream;
mod wire;

pub use client::{Client, Limits, Within};
pub use outbound::{CallerOptions, Outbound, SetupError};
pub use proxy::{InvalidProxy, Proxy, ProxyRules};
pub use reply::{Reply, Trouble};
pub use request::Request;
pub use resolver_health::ResolverHealth;

#[cfg(test)]
mod tests;
