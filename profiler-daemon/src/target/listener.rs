//! Which process of this machine listens at an address: by the kernel's tables of sockets, and the descriptors of every process.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};

use procfs::ProcError;
use procfs::net::{TcpState, tcp, tcp6};
use procfs::process::{FDTarget, all_processes};

/// The process that the system starts with. It holds the sockets of services that it starts on demand, and answers none.
const INIT: u32 = 1;

/// Why no process was found.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The name means nothing.
    #[error("the host '{}' is not known", host.escape_debug())]
    UnknownHost {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// The address is another machine's.
    #[error("'{}' is not this machine: only what runs here can be profiled", host.escape_debug())]
    NotLocal {
        /// The host.
        host: String,
    },
    /// Nobody listens there.
    #[error("nobody listens on port {port} of '{}'", host.escape_debug())]
    Nobody {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// Somebody does, and we cannot see who.
    #[error("who listens on port {port} cannot be seen (run as root: sudo; or say --pid)")]
    Hidden {
        /// The port.
        port: u16,
    },
    /// Several processes share the socket, or the port.
    #[error("processes {} listen on port {port}: say --pid with one of them", list(pids))]
    Several {
        /// The port.
        port: u16,
        /// The processes.
        pids: Vec<u32>,
    },
    /// The kernel's tables cannot be read.
    #[error("cannot read the sockets of this machine")]
    Unreadable(#[source] ProcError),
}

/// The process that listens on `port` of `host`.
pub fn listener(host: &str, port: u16) -> Result<u32, ListenerError> {
    let unknown = |source| ListenerError::UnknownHost { host: host.to_owned(), source };
    let addresses: Vec<IpAddr> = (host, port).to_socket_addrs().map_err(unknown)?.map(|address| address.ip()).collect();
    let local: Vec<IpAddr> = addresses.into_iter().filter(|address| is_of_this_machine(*address)).collect();
    if local.is_empty() {
        return Err(ListenerError::NotLocal { host: host.to_owned() });
    }
    let mut sockets = tcp().map_err(ListenerError::Unreadable)?;
    // A kernel without IPv6 has no such table.
    sockets.extend(tcp6().unwrap_or_default());
    let sockets = sockets.into_iter().filter(|socket| socket.state == TcpState::Listen);
    let sockets: Vec<_> = sockets.map(|socket| (socket.local_address, socket.inode)).collect();
    let listening = inodes(&sockets, &local, port);
    if listening.is_empty() {
        return Err(ListenerError::Nobody { host: host.to_owned(), port });
    }
    match holders(&listening)?.as_slice() {
        [] => Err(ListenerError::Hidden { port }),
        [pid] => Ok(*pid),
        pids => Err(ListenerError::Several { port, pids: pids.to_vec() }),
    }
}

/// Only an address of this machine can be bound to.
fn is_of_this_machine(address: IpAddr) -> bool {
    TcpListener::bind(SocketAddr::new(address, 0)).is_ok()
}

/// Of sockets that listen, those that take what comes for one of `addresses`: those of an address itself, or else of every address.
fn inodes(sockets: &[(SocketAddr, u64)], addresses: &[IpAddr], port: u16) -> BTreeSet<u64> {
    let of = |takes: &dyn Fn(IpAddr) -> bool| -> BTreeSet<u64> {
        let listening = sockets.iter().filter(|(local, _)| local.port() == port && takes(local.ip()));
        listening.map(|(_, inode)| *inode).collect()
    };
    let exact = of(&|ip| addresses.iter().any(|address| ip.to_canonical() == address.to_canonical()));
    if exact.is_empty() { of(&|ip| ip.is_unspecified()) } else { exact }
}

/// The processes that have one of the sockets open, as far as we may look.
fn holders(inodes: &BTreeSet<u64>) -> Result<Vec<u32>, ListenerError> {
    let mut pids = BTreeSet::new();
    for process in all_processes().map_err(ListenerError::Unreadable)? {
        // One that ends meanwhile, or is not ours to look at, is not the one.
        let Ok(process) = process else { continue };
        let Ok(descriptors) = process.fd() else { continue };
        let holds = descriptors.flatten().any(|fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode)));
        if holds && let Ok(pid) = u32::try_from(process.pid()) {
            pids.insert(pid);
        }
    }
    if pids.len() > 1 {
        pids.remove(&INIT);
    }
    Ok(pids.into_iter().collect())
}

fn list(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_sockets_are_found() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            // Without IPv6 there is nothing to find.
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let port = socket.local_addr().unwrap().port();
            let host = if address.contains("::1") { "::1" } else { "127.0.0.1" };
            assert_eq!(listener(host, port).unwrap(), std::process::id(), "{address}");
            if host == "127.0.0.1" {
                assert_eq!(listener("localhost", port).unwrap(), std::process::id(), "{address}");
            }
            drop(socket);
            assert!(matches!(listener(host, port), Err(ListenerError::Nobody { .. })), "{address}");
        }
    }

    /// An address kept for documentation (RFC 5737) is nobody's, whoever listens on its port here.
    #[test]
    fn another_machine_is_none_of_ours() {
        let socket = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let error = listener("192.0.2.1", port).unwrap_err();
        assert!(matches!(error, ListenerError::NotLocal { .. }), "{error}");
    }

    #[test]
    fn an_address_of_its_own_comes_before_every_address() {
        let entry = |text: &str, inode| (text.parse().unwrap(), inode);
        let sockets =
            [entry("0.0.0.0:80", 1), entry("127.0.0.1:80", 2), entry("127.0.0.1:81", 3), entry("[::ffff:127.0.0.1]:82", 4)];
        let home = ["127.0.0.1".parse().unwrap()];
        assert_eq!(inodes(&sockets, &home, 80), BTreeSet::from([2]));
        assert_eq!(inodes(&sockets, &["127.0.0.2".parse().unwrap()], 80), BTreeSet::from([1]));
        assert_eq!(inodes(&sockets, &home, 82), BTreeSet::from([4]));
        assert!(inodes(&sockets, &home, 83).is_empty());
    }
}
