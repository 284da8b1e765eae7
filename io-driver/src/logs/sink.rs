//! The thread that writes log lines, behind a bounded channel: a reader of stdout that blocks costs lines, never time.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::clock::{rfc3339, unix_micros};

/// Lines that may wait: a second of a large farm.
const BOUND: usize = 8192;
/// After a write, lines gather for this long: a busy log costs a hundred wake-ups a second, not one a line.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are gathered for one write.
const BATCH: usize = 64 * 1024;

enum Item {
    Line(Vec<u8>),
    Flushed(SyncSender<()>),
}

/// The loop's end: takes lines, never waits.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    items: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Sink {
    /// Starts the thread. The second value is what env_logger writes to.
    pub(super) fn start(output: Box<dyn Write + Send>) -> io::Result<(Sink, Sink)> {
        let (items, receiver) = sync_channel(BOUND);
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Sink { items, dropped: dropped.clone() };
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(output, &receiver, &dropped))?;
        Ok((sink.clone(), sink))
    }

    /// Waits until everything up to now is written, at most this long.
    pub(super) fn flush(&self, at_most: Duration) {
        let (done, written) = sync_channel(1);
        let deadline = std::time::Instant::now() + at_most;
        let mut item = Item::Flushed(done);
        loop {
            match self.items.try_send(item) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if std::time::Instant::now() < deadline => {
                    item = back;
                    thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return,
            }
        }
        // A time-out is the bound that was asked for.
        let _ = written.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now()));
    }
}

/// env_logger writes one whole line a call.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.items.try_send(Item::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(mut output: Box<dyn Write + Send>, items: &Receiver<Item>, dropped: &AtomicU64) {
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    while let Ok(first) = items.recv() {
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Line(line) => batch.extend_from_slice(&line),
                Item::Flushed(done) => waiting.push(done),
            }
            next = if batch.len() < BATCH { items.try_recv().ok() } else { None };
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let ts = rfc3339(unix_micros() / 1_000_000);
            let text = "whoever reads the log was too slow";
            batch.extend_from_slice(
                format!("{{\"ts\":\"{ts}\",\"event\":\"log_lines_dropped\",\"lines\":{lost},\"reason\":\"{text}\"}}\n")
                    .as_bytes(),
            );
        }
        // A log that cannot be written cannot say so either; mining goes on.
        let _ = output.write_all(&batch);
        let _ = output.flush();
        batch.clear();
        if waiting.is_empty() {
            thread::sleep(GATHER);
        }
        for done in waiting.drain(..) {
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    /// Blocks in its first write until told.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>, bool);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !std::mem::replace(&mut self.2, true) {
                self.0.recv().unwrap();
            }
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_reader_costs_lines_not_time() {
        let (go, blocked) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (sink, mut writer) = Sink::start(Box::new(Stuck(blocked, written.clone(), false))).unwrap();
        let line = "x".repeat(99);
        for _ in 0..3 * BOUND {
            writer.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        sink.flush(Duration::from_millis(20));
        go.send(()).unwrap();
        sink.flush(Duration::from_secs(5));
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("\"event\":\"log_lines_dropped\""), "{}", text.len());
        let kept = text.lines().filter(|l| *l == line).count();
        assert!((BOUND..3 * BOUND).contains(&kept), "{kept}");
    }
}
