//! The examples in each command's help: a newcomer copies these before reading anything.

/// Of the program.
pub(super) const TOP: &str = "\
Examples:
  # What can be profiled in this service?
  sudo profiler-daemon inspect --pid 1234
  # A wall flamegraph of everything the service does in ten seconds
  sudo profiler-daemon record --pid 1234 --all -o wall.svg
  # One request among many, as soon as it comes
  sudo profiler-daemon record --pid 1234 --request order-42 -o order-42.svg
  # Stay attached, and look from another terminal
  sudo profiler-daemon run --pid 1234
  sudo profiler-daemon requests";

/// Of `run`.
pub(super) const RUN: &str = "\
Examples:
  # Measure everything until ctrl-c or the service's end
  sudo profiler-daemon run --pid 1234
  # Only two requests; the others reach no probe
  sudo profiler-daemon run --pid 1234 --request order-42 --request order-43
  # Slow requests of one kind, and a sample of all
  sudo profiler-daemon run --pid 1234 --request-prefix orders/ --slower-than 200ms
  sudo profiler-daemon run --pid 1234 --sample 1/1000
  # Requests named by the program's own tokio::task_local!, which needs no change
  sudo profiler-daemon run --pid 1234 --request-key shop::REQUEST_ID
  # A socket of your own
  sudo profiler-daemon run --pid 1234 --socket /run/shop.sock
  # Start a service, and see it from its first instruction
  sudo profiler-daemon run -- target/release/shop --port 8080

Ends on SIGINT, SIGTERM, or with the target, and leaves the target as it was. A service that it started gets these signals instead (not
those of a key of the terminal, which it has already), and the profiler ends with it, by its exit code. Under sudo, the service runs as
the user who called sudo.";

/// Of `record`.
pub(super) const RECORD: &str = "\
Examples:
  # Where does the time of one request go? Waits up to a minute for it
  sudo profiler-daemon record --pid 1234 --request order-42 --duration 1m -o order-42.svg
  # The same where the program's own tokio::task_local! names its requests
  sudo profiler-daemon record --pid 1234 --request order-42 --request-key shop::REQUEST_ID -o order-42.svg
  # The next five requests, whichever they are
  sudo profiler-daemon record --pid 1234 --next 5 -o next.svg
  # What burns CPU, over every task, no annotation needed
  sudo profiler-daemon record --pid 1234 --all --metric cpu -o cpu.svg
  # The numbers, for a program
  sudo profiler-daemon record --pid 1234 --all --duration 5s --format json -o - | jq .tasks
  # The first five seconds of a service, which is asked to end after them (SIGTERM)
  sudo profiler-daemon record --duration 5s -o start.svg -- target/release/shop --port 8080";

/// Of `curl`.
pub(super) const CURL: &str = "\
Examples:
  # Where does the time of this request go? The service is found by the port
  sudo profiler-daemon curl http://localhost:8080/orders/42 -o order-42.svg
  # Any request that curl can send; the key is the service's own
  sudo profiler-daemon curl -X POST -d @order.json -k --http2 https://localhost/orders -o post.svg --profile-key-file shop.key
  # The answer's body too
  sudo profiler-daemon curl http://localhost:8080/orders/42 -o order-42.json --body order.txt

The request gets the headers x-request-id, unless you give it one, and x-profile with a token that is good until the request's time is
over. curl gets `--globoff` and `-sS`, and everything that is not ours (`-o` and what is listed above; `-v` is curl's). A request that is
redirected (`-L`) counts with each of its steps.";

/// Of `token`.
pub(super) const TOKEN: &str = "\
Examples:
  # A key, for the service (PROFILER_PROFILE_KEY_FILE, or RequestIdLayer::profile_key) and for us
  profiler-daemon token --new-key --profile-key-file shop.key
  # A token for any client
  profiler-daemon token --profile-key-file shop.key --valid 10m
  # The daemon that asks for requests with one
  sudo profiler-daemon run --pid 1234 --marked

Send it as the header x-profile while such a daemon, or `record --marked`, is attached.";

/// Of `requests`.
pub(super) const REQUESTS: &str = "\
Examples:
  sudo profiler-daemon requests
  sudo profiler-daemon requests --pid 1234 --format json | jq '.[] | select(.blocked_ns > 0)'";

/// Of `tasks`.
pub(super) const TASKS: &str = "\
Examples:
  # Which task types block a worker?
  sudo profiler-daemon tasks --sort blocked
  # One table for a log
  sudo profiler-daemon tasks --once
  # A line of JSON every ten seconds
  sudo profiler-daemon tasks --format json --interval 10s
  # What does every task wait for? The three groups that have waited longest
  sudo profiler-daemon tasks --awaits --top 3
  # Ids of the tasks that wait in a function
  sudo profiler-daemon tasks --awaits --format json | jq '.tasks[] | select(.await.stack[]?.name == \"shop::load\") | .id'";

/// Of `blocking`.
pub(super) const BLOCKING: &str = "\
Examples:
  # Which lines block a worker, and which polls never yield?
  sudo profiler-daemon blocking
  # The three worst, with their stacks
  sudo profiler-daemon blocking --top 3 --stacks
  # Polls of 200 µs and more, for a program
  sudo profiler-daemon blocking --threshold 200us --format json | jq .long_polls";

/// Of `export`.
pub(super) const EXPORT: &str = "\
Examples:
  sudo profiler-daemon export --request order-42 -o order-42.svg
  sudo profiler-daemon export --all --metric cpu --format folded -o cpu.folded
  # Which functions call and await which: for a browser, and for graphviz
  sudo profiler-daemon export --request order-42 -o order-42.callgraph.svg
  sudo profiler-daemon export --all -o calls.dot
  sudo profiler-daemon export --task 17 --format json -o -";

/// Of `waits`.
pub(super) const WAITS: &str = "\
Examples:
  # What did this request wait for, and on which lines?
  sudo profiler-daemon waits --request order-42
  # The five await points of each type of task that take the most time
  sudo profiler-daemon waits --all --top 5
  # The stacks, for a program
  sudo profiler-daemon waits --request order-42 --format json | jq '.[].waits[].stack'";

/// Of `family`.
pub(super) const FAMILY: &str = "\
Examples:
  # Which tasks did this request spawn, and which of them was it waiting for?
  sudo profiler-daemon family --request order-42
  # What happened when?
  sudo profiler-daemon family --request order-42 --steps
  # The part of the wall time in which workers were not free, for a program
  sudo profiler-daemon family --request order-42 --format json | jq '.[].critical_path.times.scheduled_ns'";

/// Of `inspect`.
pub(super) const INSPECT: &str = "\
Examples:
  # Before a deployment, no privileges needed
  profiler-daemon inspect target/release/shop
  # What runs
  sudo profiler-daemon inspect --pid 1234";

/// Of `system-info`.
pub(super) const SYSTEM_INFO: &str = "\
Examples:
  sudo profiler-daemon system-info
  profiler-daemon system-info --format json";

/// Of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  profiler-daemon completions bash > ~/.local/share/bash-completion/completions/profiler-daemon
  profiler-daemon completions zsh > ~/.zfunc/_profiler-daemon";

/// Of `man`.
pub(super) const MAN: &str = "\
Examples:
  profiler-daemon man | man -l -
  profiler-daemon man record > profiler-daemon-record.1";
