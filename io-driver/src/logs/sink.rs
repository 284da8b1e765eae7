//! The thread that writes log lines, behind a bounded channel: a reader of stdout that blocks costs lines, never time.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::burst::Suppressed;
use super::counts::count;
use super::line::suppressed;
use super::open::Output;
use super::tail;
use super::text;
use crate::background;
use crate::clock::{rfc3339, unix_micros};

/// Lines that may wait: a second of a large farm.
const BOUND: usize = 8192;
/// After a write, lines gather for this long: a busy log costs a hundred wake-ups a second, not one a line.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are gathered for one write.
const BATCH: usize = 64 * 1024;
/// A burst that has ended is told no later than this after its time.
const TELL: Duration = Duration::from_secs(1);

enum Item {
    Line(Vec<u8>),
    Flushed(SyncSender<()>),
    Output(Box<dyn Output>),
    Reopen,
}

/// The loop's end: takes lines, never waits.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    items: SyncSender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Lines that had no place in the channel and are not told yet.
    dropped: AtomicU64,
    /// Lines are for people.
    text: AtomicBool,
}

impl Sink {
    /// Starts the thread. The second value is what env_logger writes to.
    pub(super) fn start(output: Box<dyn Output>) -> io::Result<(Sink, Sink)> {
        let (items, receiver) = sync_channel(BOUND);
        let shared = Arc::new(Shared::default());
        let sink = Sink { items, shared: shared.clone() };
        let mut pen = Pen { output, shared, batch: Vec::new(), waiting: Vec::new(), lost: 0 };
        background::spawn("log", move || pen.write_all(&receiver))?;
        Ok((sink.clone(), sink))
    }

    /// Lines for people from now on, or JSON.
    pub(super) fn set_text(&self, text: bool) {
        self.shared.text.store(text, Ordering::Relaxed);
    }

    /// Waits until everything up to now is written, at most this long.
    pub(super) fn flush(&self, at_most: Duration) {
        let (done, written) = sync_channel(1);
        let deadline = Instant::now() + at_most;
        if self.insist(Item::Flushed(done), deadline) {
            // A time-out is the bound that was asked for.
            let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    }

    /// Lines after this go to another output. False if the thread has no place for the order.
    pub(super) fn redirect(&self, output: Box<dyn Output>, at_most: Duration) -> bool {
        self.insist(Item::Output(output), Instant::now() + at_most)
    }

    /// The output is opened anew; if the thread has no place for the order, it notices by itself within a second.
    pub(super) fn reopen(&self) {
        let _ = self.items.try_send(Item::Reopen);
    }

    fn insist(&self, mut item: Item, deadline: Instant) -> bool {
        loop {
            match self.items.try_send(item) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => {
                    item = back;
                    thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return false,
            }
        }
    }
}

/// env_logger writes one whole line a call.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.items.try_send(Item::Line(line.to_vec())).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            count(|counts| &counts.dropped, 1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's side.
struct Pen {
    output: Box<dyn Output>,
    shared: Arc<Shared>,
    /// Whole JSON lines.
    batch: Vec<u8>,
    waiting: Vec<SyncSender<()>>,
    /// Lines that the output did not take and that are not told yet.
    lost: u64,
}

impl Pen {
    fn write_all(&mut self, items: &Receiver<Item>) {
        loop {
            let mut next = match items.recv_timeout(TELL) {
                Ok(item) => Some(item),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(item) = next {
                match item {
                    Item::Line(line) => self.batch.extend_from_slice(&line),
                    Item::Flushed(done) => self.waiting.push(done),
                    Item::Output(other) => {
                        self.write();
                        self.output = other;
                    }
                    Item::Reopen => {
                        self.write();
                        // If there is no other file to be had, the one at hand is better than none.
                        let _ = self.output.reopen();
                    }
                }
                next = if self.batch.len() < BATCH { items.try_recv().ok() } else { None };
            }
            for burst in suppressed(!self.waiting.is_empty()) {
                self.tell_suppressed(&burst);
            }
            let wrote = self.write();
            if self.waiting.is_empty() && wrote {
                thread::sleep(GATHER);
            }
            for done in self.waiting.drain(..) {
                let _ = done.send(());
            }
        }
    }

    fn tell(&mut self, event: &str, fields: &str) {
        let ts = rfc3339(unix_micros() / 1_000_000);
        let line = format!("{{\"ts\":\"{ts}\",\"event\":\"{event}\",{fields},\"level\":\"warn\"}}\n");
        self.batch.extend_from_slice(line.as_bytes());
    }

    fn tell_suppressed(&mut self, burst: &Suppressed) {
        let Suppressed { event, lines, time } = burst;
        let seconds = time.as_secs_f64().ceil();
        let text = format!("event {event} suppressed {lines} in {seconds} s; logging.burst is the bound");
        let fields = format!("\"of\":\"{event}\",\"lines\":{lines},\"seconds\":{seconds},\"text\":\"{text}\"");
        self.tell("log_suppressed", &fields);
    }

    /// Writes the batch. False if there was nothing to write.
    fn write(&mut self) -> bool {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let text = "whoever reads the log was too slow";
            self.tell("log_lines_dropped", &format!("\"lines\":{dropped},\"reason\":\"{text}\""));
        }
        if self.batch.is_empty() {
            return false;
        }
        if self.lost > 0 {
            let (lost, text) = (self.lost, "the log could not be written: is the disk full?");
            self.tell("log_lines_dropped", &format!("\"lines\":{lost},\"reason\":\"{text}\""));
        }
        tail::keep(&self.batch);
        let lines = self.batch.iter().filter(|byte| **byte == b'\n').count() as u64;
        let written = if self.shared.text.load(Ordering::Relaxed) {
            self.output.write_all(&text::render(&self.batch))
        } else {
            self.output.write_all(&self.batch)
        };
        // A log that cannot be written cannot say so at once; mining goes on.
        if written.and_then(|()| self.output.flush()).is_ok() {
            self.lost = 0;
            count(|counts| &counts.written, lines);
        } else {
            // The line that told of those before is among them.
            let news = lines - u64::from(self.lost > 0);
            self.lost += news;
            count(|counts| &counts.dropped, news);
        }
        self.batch.clear();
        true
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

    impl Output for Stuck {}

    /// Takes nothing until it is told to.
    struct Full(Arc<AtomicBool>, Arc<Mutex<Vec<u8>>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.load(Ordering::Relaxed) {
                return Err(io::Error::other("no space left"));
            }
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Full {}

    #[test]
    fn a_full_disk_is_told_when_there_is_room_again() {
        let (full, written) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let (sink, mut writer) = Sink::start(Box::new(Full(full.clone(), written.clone()))).unwrap();
        for n in 0..7 {
            writer.write_all(format!("{n}\n").as_bytes()).unwrap();
            sink.flush(Duration::from_secs(5));
        }
        full.store(false, Ordering::Relaxed);
        writer.write_all(b"again\n").unwrap();
        sink.flush(Duration::from_secs(5));
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("again") && text.contains("\"lines\":7,"), "{text}");
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
