//! Both ends together.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    protocol::{Code, LINE_MAX},
    server::Limits,
    *,
};
use crate::model::Metric;

/// Answers with what it was asked.
#[derive(Default)]
struct Echo {
    stopped: Notify,
    /// While locked by a test, `tasks` takes as long.
    slow: Mutex<()>,
    large: usize,
    asked: AtomicUsize,
}

impl Service for Echo {
    fn status(&self) -> Result<Vec<u8>, ServiceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(b"{}".to_vec())
    }
    fn requests(&self) -> Result<Vec<u8>, ServiceError> {
        panic!("as a fault of the service would")
    }
    fn tasks(&self) -> Result<Vec<u8>, ServiceError> {
        drop(self.slow.lock().unwrap());
        Ok(b"[]".to_vec())
    }
    fn report(&self) -> Result<Vec<u8>, ServiceError> {
        Ok(vec![b'x'; self.large])
    }
    fn blocking(&self, threshold_ns: u64, top: u64) -> Result<Answer, ServiceError> {
        Ok(format!("{threshold_ns} {top}").into_bytes().into())
    }
    fn export(&self, select: &Selection, metric: Metric, format: Format, names: &Names) -> Result<Answer, ServiceError> {
        match select {
            Selection::Request(id) if id == "unknown" => Err(ServiceError::NotFound(format!("no request {id} was seen"))),
            _ => {
                let payload = format!("{select:?} {metric:?} {format:?}\nof two lines").into_bytes();
                Ok(Answer { payload, notes: names.debug_dirs.iter().map(|dir| dir.display().to_string()).collect() })
            }
        }
    }
    fn snapshot(&self) -> Result<Vec<u8>, ServiceError> {
        Ok(b"{}".to_vec())
    }

    fn waits(&self, select: &Selection, names: &Names) -> Result<Answer, ServiceError> {
        Ok(format!("{select:?} {}", names.raw_frames).into_bytes().into())
    }
    fn family(&self, select: &Selection, names: &Names) -> Result<Answer, ServiceError> {
        Ok(format!("{select:?} {}", names.raw_frames).into_bytes().into())
    }
    fn stop(&self) {
        self.stopped.notify_one();
    }
}

/// A daemon on a thread of its own.
struct Daemon {
    service: Arc<Echo>,
    path: PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn start(limits: Limits) -> Self {
        Self::start_with(Echo::default(), limits)
    }

    fn start_with(service: Echo, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        let service = Arc::new(service);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (service, path) = (Arc::clone(&service), path.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let listener = ControlListener::bind(&path).unwrap();
                    ready.send(()).unwrap();
                    let stopped = Arc::clone(&service);
                    serve(listener, service, limits, async move {
                        stopped.stopped.notified().await;
                    })
                    .await;
                });
            }
        });
        is_ready.recv().unwrap();
        Self { service, path, thread: Some(thread), _folder: folder }
    }

    fn client(&self) -> Client {
        Client::connect(&self.path).unwrap()
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.service.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn code(answer: Result<Vec<u8>, ClientError>) -> Code {
    match answer {
        Err(ClientError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

/// All that comes until the daemon closes the connection.
fn last_words(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_request_and_its_answer_and_the_next() {
    let daemon = Daemon::start(Limits::default());
    let mut client = daemon.client();
    let export = |id: &str| Request::Export {
        select: Selection::Request(id.to_owned()),
        metric: Metric::Cpu,
        format: Format::Folded,
        names: Names::default(),
    };
    assert_eq!(client.ask(&export("a\n\"b")).unwrap(), b"Request(\"a\\n\\\"b\") Cpu Folded\nof two lines");
    assert_eq!(client.ask(&Request::Tasks).unwrap(), b"[]");
    let names = Names { raw_frames: false, debug_dirs: vec!["/srv/debug".into()] };
    let noted = Request::Export { select: Selection::All, metric: Metric::Cpu, format: Format::Folded, names };
    assert_eq!(client.ask_with_notes(&noted).unwrap().notes, ["/srv/debug"]);
    let error = client.ask(&export("unknown")).unwrap_err();
    assert_eq!(error.to_string(), "no request unknown was seen");
    assert_eq!(code(Err(error)), Code::NotFound);
    // The connection outlives an error of the service, and a fault in it.
    assert_eq!(code(client.ask(&Request::Requests)), Code::Failed);
    assert_eq!(client.ask(&Request::Report).unwrap(), b"");
}

#[test]
fn a_large_answer_comes_whole() {
    let large = 3 * 1024 * 1024 + 7;
    let daemon = Daemon::start_with(Echo { large, ..Echo::default() }, Limits::default());
    assert_eq!(daemon.client().ask(&Request::Report).unwrap().len(), large);
}

#[test]
fn stop_is_answered_and_the_socket_goes() {
    let mut daemon = Daemon::start(Limits::default());
    assert_eq!(daemon.client().ask(&Request::Stop).unwrap(), b"");
    daemon.thread.take().unwrap().join().unwrap();
    assert!(!daemon.path.exists());
    let error = Client::connect(&daemon.path).unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
}

#[test]
fn an_oversized_line_is_refused_and_read_no_further() {
    let daemon = Daemon::start(Limits::default());
    let mut stream = daemon.raw();
    // The daemon may close before it has taken all of this.
    let _ = stream.write_all(&vec![b' '; LINE_MAX]);
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.contains(r#""ok":false,"code":"line_too_long""#), "{answer}");
    assert_eq!(daemon.client().ask(&Request::Status).unwrap(), b"{}");
}

#[test]
fn the_longest_line_is_taken() {
    let daemon = Daemon::start(Limits::default());
    let mut stream = daemon.raw();
    let mut line = br#"{"v":1,"cmd":"status"}"#.to_vec();
    line.resize(LINE_MAX - 1, b' ');
    line.push(b'\n');
    stream.write_all(&line).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(last_words(stream), "{\"v\":1,\"ok\":true,\"bytes\":2}\n{}");
}

#[test]
fn noise_is_refused_in_words() {
    let daemon = Daemon::start(Limits::default());
    for (noise, code) in [
        (&b"GET / HTTP/1.1\r\n"[..], "bad_request"),
        (b"\xff\xfe\x00\n", "bad_request"),
        (b"{\"v\":9,\"cmd\":\"status\"}\n", "version"),
        (b"\n", "bad_request"),
    ] {
        let mut stream = daemon.raw();
        stream.write_all(noise).unwrap();
        let words = last_words(stream);
        assert!(words.contains(&format!(r#""ok":false,"code":"{code}""#)), "{words}");
    }
    // Half a line, and nothing at all.
    for part in [&b"{\"v\":1,"[..], b""] {
        let mut stream = daemon.raw();
        stream.write_all(part).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(last_words(stream), "");
    }
    assert_eq!(daemon.client().ask(&Request::Status).unwrap(), b"{}");
}

#[test]
fn a_silent_client_is_sent_away_in_time() {
    let daemon = Daemon::start(Limits { read: Duration::from_millis(100), ..Limits::default() });
    let mut stream = daemon.raw();
    stream.write_all(b"{\"v\":1").unwrap();
    let began = Instant::now();
    let words = last_words(stream);
    assert!(words.contains(r#""code":"timeout""#), "{words}");
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
}

#[test]
fn slow_clients_and_slow_answers_block_no_other() {
    let large = 8 * 1024 * 1024;
    let daemon = Daemon::start_with(Echo { large, ..Echo::default() }, Limits::default());
    let service = Arc::clone(&daemon.service);
    let slow = service.slow.lock().unwrap();
    // One is silent, one does not take its answer, one waits for the service.
    let _silent = daemon.raw();
    let mut deaf = daemon.raw();
    deaf.write_all(b"{\"v\":1,\"cmd\":\"report\"}\n").unwrap();
    let waiting = std::thread::spawn({
        let mut client = daemon.client();
        move || client.ask(&Request::Tasks)
    });
    for _ in 0..3 {
        assert_eq!(daemon.client().ask(&Request::Status).unwrap(), b"{}");
    }
    assert!(!waiting.is_finished());
    drop(slow);
    assert_eq!(waiting.join().unwrap().unwrap(), b"[]");
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let limits = Limits { write: Duration::from_millis(100), ..Limits::default() };
    let large = 8 * 1024 * 1024;
    let daemon = Daemon::start_with(Echo { large, ..Echo::default() }, limits);
    let mut deaf = daemon.raw();
    deaf.write_all(b"{\"v\":1,\"cmd\":\"report\"}\n").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let mut taken = Vec::new();
    deaf.read_to_end(&mut taken).unwrap();
    assert!(taken.len() < large, "{}", taken.len());
}

#[test]
fn one_client_too_many_is_told_and_the_place_is_free_again() {
    let daemon = Daemon::start(Limits { clients: 2, ..Limits::default() });
    let mut first = daemon.client();
    let mut second = daemon.client();
    first.ask(&Request::Status).unwrap();
    second.ask(&Request::Status).unwrap();
    assert_eq!(code(daemon.client().ask(&Request::Status)), Code::Busy);
    drop(first);
    let began = Instant::now();
    while daemon.client().ask(&Request::Status).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(second.ask(&Request::Status).unwrap(), b"{}");
}

/// Connects as another user; the socket's mode is opened first, so that it is the credentials that refuse.
#[test]
fn another_user_is_denied() {
    use std::os::unix::fs::PermissionsExt as _;
    if peer::own_uid() != 0 {
        eprintln!("skipped: needs root, to connect as another user");
        return;
    }
    let daemon = Daemon::start(Limits::default());
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(daemon.path.parent().unwrap(), 0o711);
    let as_nobody = |path: PathBuf| {
        let thread = std::thread::spawn(move || {
            // SAFETY: takes three integers; the raw call changes this one thread only.
            let returned = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
            assert_eq!(returned, 0);
            Client::connect(&path)?.ask(&Request::Status)
        });
        thread.join().unwrap()
    };
    let by_mode = as_nobody(daemon.path.clone());
    assert!(matches!(by_mode, Err(ClientError::NoAccess { .. })), "{by_mode:?}");
    open(&daemon.path, 0o666);
    let by_credentials = as_nobody(daemon.path.clone());
    assert_eq!(by_credentials.as_ref().unwrap_err().to_string(), "user 65534 may not use a daemon of user 0");
    assert_eq!(code(by_credentials), Code::Denied);
    assert_eq!(daemon.service.asked.load(Ordering::Relaxed), 0);
}

/// A client must survive a daemon that lies, too.
#[test]
fn a_strange_daemon_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strange.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let long = vec![b'['; protocol::HEADER_MAX + 1];
    let answers: [&[u8]; 6] = [
        b"",
        b"hello\n",
        b"{\"v\":2,\"ok\":true,\"bytes\":1}\nx",
        b"{\"v\":1,\"ok\":true,\"bytes\":10}\nshort",
        b"{\"v\":1,\"ok\":true,\"bytes\":18446744073709551615}\n",
        &long,
    ];
    for answer in answers {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = [0; 64];
                let _ = stream.read(&mut line).unwrap();
                let _ = stream.write_all(answer);
            });
            let error = Client::connect(&path).unwrap().ask(&Request::Status).unwrap_err();
            assert!(!matches!(error, ClientError::Refused { .. }), "{error:?}");
        });
    }
}
