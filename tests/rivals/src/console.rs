//! console-subscriber, with nobody connected.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use bench_service::{routes, serve};

pub(crate) fn served(_folder: &Path) -> io::Result<()> {
    // Any free port.
    console_subscriber::ConsoleLayer::builder().server_addr((Ipv4Addr::LOCALHOST, 0)).init();
    super::runtime()?.block_on(serve::serve(routes::app(), |served| drop(tokio::spawn(served))))
}
