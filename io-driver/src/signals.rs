//! SIGTERM and SIGINT, watched by a thread of its own so that they end the program even if the loop is stuck; and
//! SIGUSR1, which asks for the recording, and SIGHUP, which asks for the config to be read again.

use std::io;
use std::process::exit;
use std::thread;
use std::time::Duration;

use log::Level;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::logs;

/// The program has ended by itself this long after the first signal, or is ended.
const LONGEST_END: Duration = Duration::from_millis(1_850);

/// Calls `report` at each SIGUSR1, `reload` at each SIGHUP (without it, SIGHUP ends the program as it does any other), and
/// `stop` at the first other signal. Whatever happens then, the program ends within 2 s; at a second signal at once.
/// None of them may wait.
pub fn watch(
    stop: impl FnOnce() + Send + 'static,
    report: impl Fn() + Send + 'static,
    reload: Option<impl Fn() + Send + 'static>,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    if reload.is_some() {
        signals.add_signal(SIGHUP)?;
    }
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut stop = Some(stop);
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                report();
                continue;
            }
            if let (SIGHUP, Some(reload)) = (signal, &reload) {
                reload();
                continue;
            }
            let Some(stop) = stop.take() else { exit(1) };
            let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
            // The bound first: nothing that follows may be without it.
            let watchdog = thread::Builder::new().name("watchdog".to_owned()).spawn(|| {
                thread::sleep(LONGEST_END);
                exit(0);
            });
            logs::line(Level::Info, "shutdown_signal").text("signal", name).send();
            stop();
            if watchdog.is_err() {
                exit(0);
            }
        }
    })?;
    Ok(())
}
