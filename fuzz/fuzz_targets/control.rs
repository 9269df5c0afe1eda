//! Any bytes from the other end of the control socket: as a client's request, and as a daemon's answer. What is understood reads the same when
//! it is written again.
#![no_main]

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use libfuzzer_sys::fuzz_target;
use profiler_daemon::control::protocol::{HEADER_MAX, Header, LINE_MAX};
use profiler_daemon::control::{Client, Request};

fuzz_target!(|bytes: &[u8]| {
    // A daemon reads no more of a line than this.
    let line = &bytes[..bytes.len().min(LINE_MAX)];
    if let Ok(request) = Request::parse(line) {
        let written = request.line().expect("what was read can be written");
        assert_eq!(Request::parse(&written).as_ref().ok(), Some(&request));
        assert!(written.ends_with(b"\n") && !written[..written.len() - 1].contains(&b'\n'));
    }
    if let Ok(header) = Header::parse(&bytes[..bytes.len().min(HEADER_MAX)]) {
        let written = header.line().expect("what was read can be written");
        assert_eq!(Header::parse(&written).as_ref().ok(), Some(&header));
    }
    let (mut daemon, client) = UnixStream::pair().expect("a pair of sockets");
    let fits = &bytes[..bytes.len().min(64 * 1024)];
    daemon.write_all(fits).expect("it fits into the socket's buffer");
    daemon.shutdown(Shutdown::Write).expect("it can be ended");
    let mut client = Client::over(client);
    if let Ok(answer) = client.ask_with_notes(&Request::Status) {
        assert!(answer.payload.len() <= fits.len(), "no more than came");
        let _ = client.ask(&Request::Tasks);
    }
});
