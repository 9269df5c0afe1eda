//! `curl` and `token`: a request that asks to be profiled, against the demo's axum service.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, Ended, run_to_end, to_end};
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, needs_root, skip, text};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_mins(1);

/// The demo's service, and the key that it has.
struct Service {
    process: Process,
    address: String,
    folder: TempDir,
}

impl Service {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        let key = folder.path().join("service.key");
        new_key(&key)?;
        let mut process =
            Process::start(Command::new(binaries::demo()?).args(["--workers", "2"]).env("PROFILER_PROFILE_KEY_FILE", key))?;
        let said = |line: &str| line.strip_prefix("listening on ").map(str::to_owned);
        let address = process.stdout.wait("the service's address", LIMIT, said)?;
        Ok(Self { process, address, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, order: &str) -> String {
        format!("http://{}/orders/{order}", self.address)
    }

    /// `profiler-daemon curl` with these words, the URL and `-o report.json`.
    fn curl(&self, url: &str, words: &[&str]) -> Result<Ended> {
        let report = self.path("report.json");
        let report = report.to_string_lossy();
        let mut all = vec!["curl"];
        all.extend(words);
        all.extend([url, "-o", &*report]);
        run_to_end(all)
    }

    fn report(&self) -> Result<Report> {
        Report::read(&self.path("report.json"))
    }

    fn token(&self, words: &[&str]) -> Result<String> {
        let key = self.path("service.key");
        let key = key.to_string_lossy();
        let ended = run_to_end(["token", "--profile-key-file", &*key].into_iter().chain(words.iter().copied()))?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        Ok(ended.stdout.trim().to_owned())
    }

    /// A request by curl alone; its status.
    fn ask(&self, headers: &[String]) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &self.url("17")]);
        for header in headers {
            curl.args(["-H", header]);
        }
        let output = curl.output().map_err(Failure::io("curl"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn new_key(path: &Path) -> Result<()> {
    let ended = run_to_end(["token", "--new-key", "--profile-key-file", &*path.to_string_lossy()])?;
    assert_eq!((ended.code(), &*ended.stdout, &*ended.stderr), (0, "", ""));
    Ok(())
}

fn has_curl() -> bool {
    Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_key_is_for_its_owner_and_never_replaced() -> Result<()> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let path = folder.path().join("key");
    new_key(&path)?;
    let about = std::fs::metadata(&path).map_err(Failure::io("the key"))?;
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let name = path.to_string_lossy();
    let again = run_to_end(["token", "--new-key", "--profile-key-file", &*name])?;
    assert_eq!(again.code(), 53, "{}", again.stderr);
    let token = run_to_end(["token", "--profile-key-file", &*name, "--valid", "10m"])?;
    assert!(token.code() == 0 && token.stdout.starts_with("v1.") && token.stdout.trim().len() == 95, "{}", token.stdout);
    for (words, reason) in [
        (&["--profile-key-file", "/etc/hostname"][..], "is not a key"),
        (&["--profile-key-file", "/no/key"], "cannot read"),
        (&[], "no key"),
    ] {
        let ended = run_to_end(["token"].into_iter().chain(words.iter().copied()))?;
        assert!(ended.code() == 53 && ended.stderr.contains(reason), "{}", ended.stderr);
    }
    Ok(())
}

/// One command, one profile: of this request, found by the URL's port, with curl's own options in between.
#[test]
fn one_request_is_sent_and_profiled() -> Result<()> {
    needs_root!();
    if !has_curl() {
        skip!("curl is not installed");
    }
    let _turn = turn();
    let service = Service::start()?;
    let (key, body) = (service.path("service.key"), service.path("body"));
    let (key, body) = (key.to_string_lossy(), body.to_string_lossy());
    let ended = service
        .curl(&service.url("17-slow"), &["-H", "accept: */*", "--profile-key-file", &key, "--body", &body, "-X", "GET"])?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("answer: status 200") && !ended.stderr.contains("note: the token"), "{}", ended.stderr);
    let report = service.report()?;
    assert!(matches!(report.requests.as_slice(), [one] if one.id.starts_with("curl-") && one.complete), "{:?}", report.requests);
    // The demo sleeps 30 ms on the worker for an order of this name.
    assert!(report.requests[0].times.blocked_ns > 25_000_000, "{:?}", report.requests);
    let body = std::fs::read_to_string(&*body).map_err(Failure::io("the body"))?;
    assert!(body.contains("\"order\":17"), "{body}");

    // By its id alone, which is the user's; as a flamegraph on standard output.
    let named = service.path("named.svg");
    let ended = run_to_end(["curl", "-Hx-request-id: order-42", &service.url("3"), "-o", &named.to_string_lossy()])?;
    assert_eq!((ended.code(), &*ended.stdout), (0, ""), "{}", ended.stderr);
    let drawn = std::fs::read_to_string(&named).map_err(Failure::io("the flamegraph"))?;
    assert!(drawn.contains("<svg") && drawn.contains("order-42"), "{drawn:.300}");
    text::untouched(service.process.pid(), "after")?;
    Ok(())
}

/// Each with a code of its own, and nothing written.
#[test]
fn what_cannot_be_sent_is_told() -> Result<()> {
    needs_root!();
    if !has_curl() {
        skip!("curl is not installed");
    }
    let _turn = turn();
    let service = Service::start()?;
    let other = service.path("other.key");
    new_key(&other)?;
    for (url, words, code, reason) in [
        ("http://127.0.0.1:9/", &[][..], 50, "nobody listens on port 9"),
        ("http://192.0.2.1/", &[], 50, "is not this machine"),
        (&*service.url("17").replace("http:", "https:"), &[], 52, "curl ended with code"),
        (&*service.url("17"), &["--profile-key-file", "/no/key"], 53, "cannot read the key"),
        (&*format!("http://{}/truth/nobody", service.address), &[], 32, "needs profiler-annotate's layer"),
    ] {
        let ended = service.curl(url, words)?;
        assert!(ended.code() == code && ended.stderr.contains(reason), "{url} {words:?}: {} {}", ended.code(), ended.stderr);
        assert!(!service.path("report.json").exists());
    }
    // A token of another key is of no use, and said; the id still serves.
    let ended = service.curl(&service.url("17"), &["--profile-key-file", &other.to_string_lossy()])?;
    assert!(ended.code() == 0 && ended.stderr.contains("refused (1 wrong, 0 expired, 0 malformed)"), "{}", ended.stderr);
    // An answer that curl takes for a failure has its profile all the same.
    let ended = service.curl(&service.url("1000"), &["--fail"])?;
    assert!(ended.code() == 52 && ended.stderr.contains("the profile is written"), "{}", ended.stderr);
    assert_eq!(service.report()?.requests.len(), 1);

    let mut command = Command::new(binaries::profiler()?);
    let output = service.path("x.svg");
    command.args(["curl", "a:1", "-o"]).arg(output).env("PATH", service.folder.path());
    let ended = to_end(Process::start(&mut command)?)?;
    assert!(ended.code() == 51 && ended.stderr.contains("install it"), "{}", ended.stderr);
    Ok(())
}

/// Of many requests only those with a good token are seen, and every other token is counted.
#[test]
fn a_daemon_sees_marked_requests_only() -> Result<()> {
    needs_root!();
    if !has_curl() {
        skip!("curl is not installed");
    }
    let _turn = turn();
    let service = Service::start()?;
    let (good, brief) = (service.token(&[])?, service.token(&["--valid", "1s"])?);
    std::thread::sleep(Duration::from_millis(2100));
    let header = |id: &str, token: &str| [format!("x-request-id: {id}"), format!("x-profile: {token}")];
    // Nobody asks yet.
    assert_eq!(service.ask(&header("early", &good))?, "200");
    let daemon = Daemon::attach(service.process.pid(), &["--marked"])?;
    let wrong = format!("{}{}", &good[..94], if good.ends_with('0') { '1' } else { '0' });
    for (id, token) in [("good-1", &*good), ("wrong", &wrong), ("expired", &brief), ("malformed", "please"), ("good-2", &good)] {
        assert_eq!(service.ask(&header(id, token))?, "200", "{id}");
    }
    assert_eq!(service.ask(&["x-request-id: plain".to_owned()])?, "200");
    let report = daemon.report()?;
    let mut ids: Vec<&str> = report.requests.iter().map(|request| request.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["good-1", "good-2"]);
    let ended = daemon.end(libc::SIGTERM)?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("tokens: 2 good, 1 wrong, 1 expired, 1 malformed"), "{}", ended.stderr);
    Ok(())
}
