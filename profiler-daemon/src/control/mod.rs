//! The daemon's Unix socket: its place, its permissions, its protocol ([`protocol`]), both ends of it.
//!
//! This folder knows nothing of profiles: the daemon gives it a [`Service`] and it carries bytes. Invariant: no client can
//! stop the daemon from serving the others, by being slow, silent, many, or by what it writes.

pub mod address;
pub mod client;
pub mod listener;
mod peer;
pub mod protocol;
pub mod server;
#[cfg(test)]
mod tests;

pub use self::{
    address::{AddressError, DaemonAddress},
    client::{Client, ClientError},
    listener::{ControlListener, ListenError},
    protocol::{Format, Names, Request, Selection},
    server::{Answer, Service, ServiceError, serve},
};
