//! Not a Tokio program: a loop that sleeps, until its standard input ends.

use std::io::Read as _;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    println!("{{\"event\":\"ready\",\"pid\":{}}}", std::process::id());
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
