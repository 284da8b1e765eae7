//! Under systemd (`Type=notify`): ready when miners can connect, a line on how it goes, and a sign of life that only a
//! turning loop gives. Without systemd all of this is nothing.

use std::env;
use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState::{Ready, Status, Stopping, Watchdog};

use crate::metrics::Metrics;
use crate::requests::{LoopHandle, Request};

/// The line is brought up to date this often, or as often as the watchdog asks.
const LOOK: Duration = Duration::from_secs(10);

/// Tells systemd that miners can connect, and from now on how it goes. The thread ends with the loop.
pub fn supervise(handle: LoopHandle, metrics: Metrics) -> io::Result<()> {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    // Three signs in the time that systemd waits: one may be late.
    let every = sd_notify::watchdog_enabled().map_or(LOOK, |limit| (limit / 3).min(LOOK));
    sd_notify::notify(&[Ready, Status("listening for miners")])?;
    thread::Builder::new().name("systemd".to_owned()).spawn(move || {
        loop {
            let (answer, answered) = sync_channel(1);
            let reply = Box::new(move || {
                // Fails only when nobody waits any more.
                let _ = answer.send(());
            });
            // A loop that is busy takes the request later; one that has ended never does.
            if handle.send(Request::Refresh(reply)).is_ok() && answered.recv_timeout(every).is_ok() {
                // Whoever does not listen any more needs no words.
                let _ = sd_notify::notify(&[Watchdog, Status(&metrics.status_line())]);
            }
            thread::sleep(every);
        }
    })?;
    Ok(())
}

/// Tells systemd that the end has begun.
pub fn stopping() {
    if env::var_os("NOTIFY_SOCKET").is_some() {
        let _ = sd_notify::notify(&[Stopping, Status("stopping: pools have a moment to answer")]);
    }
}
