//! Serves (`routes`), or keeps a crowd busy: `tasks COUNT`, `requests COUNT`. Prints the port that it listens on, then for each line of standard
//! input what it has used so far, and ends with its standard input.

use std::io;

use bench_service::{crowds, routes, serve};

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let count = || words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    // One worker: the benchmark gives the process one CPU.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match words.first().map(String::as_str) {
            None => {
                let spawn = |served| drop(tokio::spawn(served));
                serve::serve(routes::app(), spawn).await
            }
            Some("tasks") => {
                crowds::tasks(count()).await;
                Ok(())
            }
            Some("requests") => {
                crowds::requests(count()).await;
                Ok(())
            }
            Some(other) => Err(io::Error::other(format!("no such crowd: {other}"))),
        }
    })
}
