//! A program that uses Tokio's channels and no runtime: it has Tokio's strings and no task vtable, hence no probe site.
//! (A `Runtime` alone has one: its own workers are blocking tasks.)

use std::io::Read as _;
use std::time::Duration;

use tokio::sync::mpsc;

fn main() -> std::io::Result<()> {
    println!("{{\"event\":\"ready\",\"pid\":{}}}", std::process::id());
    let (sender, mut receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        while sender.blocking_send(std::process::id()).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    std::thread::spawn(move || while receiver.blocking_recv().is_some() {});
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
