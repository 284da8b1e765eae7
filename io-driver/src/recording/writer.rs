//! The thread that writes segments, and its bounded queue. A disk that is slow or full costs segments, never time of the
//! loop.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use dpmp_core::trace::EndReason;
use log::Level;

use super::ring::{Create, Ring};
use crate::background;
use crate::logs::line;
use crate::metrics::RecordingSeries;

/// Pieces that may wait for the disk. Each is about as large as a flush, save for checkpoints.
const QUEUE: usize = 32;

/// What the thread is told.
enum Message {
    Begin(u64),
    Bytes(Vec<u8>),
    End(EndReason),
    Resize(u64),
}

/// The loop's end.
pub(super) struct Writer {
    messages: SyncSender<Message>,
    done: Receiver<()>,
    /// The number of the last segment that could not be written.
    failed: Arc<AtomicU64>,
}

/// The queue is full: the disk does not keep up.
#[derive(Debug)]
pub(super) struct Full;

impl Writer {
    /// Opens the folder and starts the thread. Gives the number of the next segment.
    pub(super) fn start(
        folder: PathBuf,
        max_bytes: u64,
        create: Create,
        series: RecordingSeries,
    ) -> io::Result<(Writer, u64)> {
        let ring = Ring::open(folder, max_bytes, create)?;
        let next = ring.next_number();
        series.size.set(i64::try_from(ring.bytes()).unwrap_or(i64::MAX));
        let (messages, receiver) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let failed = Arc::new(AtomicU64::new(0));
        let mut work = Work { ring, series, failed: failed.clone(), number: 0, failing: false };
        background::spawn("recording", move || {
            receiver.into_iter().for_each(|message| work.take(message));
            // Fails only if nobody waits.
            let _ = finished.send(());
        })?;
        Ok((Writer { messages, done, failed }, next))
    }

    fn send(&self, message: Message) -> Result<(), Full> {
        self.messages.try_send(message).map_err(|_| Full)
    }

    pub(super) fn begin(&self, number: u64) -> Result<(), Full> {
        self.send(Message::Begin(number))
    }

    pub(super) fn bytes(&self, bytes: Vec<u8>) -> Result<(), Full> {
        self.send(Message::Bytes(bytes))
    }

    pub(super) fn end(&self, reason: EndReason) -> Result<(), Full> {
        self.send(Message::End(reason))
    }

    /// From now on, all files together have at most so many bytes.
    pub(super) fn resize(&self, max_bytes: u64) -> Result<(), Full> {
        self.send(Message::Resize(max_bytes))
    }

    /// The segment of this number could not be written.
    pub(super) fn failed(&self, number: u64) -> bool {
        self.failed.load(Ordering::Relaxed) == number
    }

    /// Waits until all that was taken is written, at most this long.
    pub(super) fn finish(self, at_most: Duration) {
        drop(self.messages);
        // A time-out is the bound that was asked for.
        let _ = self.done.recv_timeout(at_most);
    }
}

/// The thread's side.
struct Work {
    ring: Ring,
    series: RecordingSeries,
    failed: Arc<AtomicU64>,
    /// The segment at hand; 0 if it was given up.
    number: u64,
    /// The last one failed, and it was said.
    failing: bool,
}

impl Work {
    fn take(&mut self, message: Message) {
        let result = match message {
            Message::Begin(number) => {
                self.number = number;
                self.ring.begin(number)
            }
            Message::Resize(max_bytes) => {
                self.ring.resize(max_bytes);
                Ok(())
            }
            // The rest of a segment that was given up.
            _ if self.number == 0 => Ok(()),
            Message::Bytes(bytes) => {
                let result = self.ring.write(&bytes);
                if result.is_ok() {
                    self.series.bytes.inc_by(bytes.len() as u64);
                }
                result
            }
            Message::End(reason) => {
                self.ring.end();
                self.ended(reason);
                Ok(())
            }
        };
        let squeezed = self.ring.squeezed();
        if squeezed > 0 {
            line(Level::Warn, "recording_shortened")
                .value("segments", squeezed)
                .text(
                    "text",
                    "the disk is full: the oldest segments of the recording were removed to make room for the newest",
                )
                .send();
        }
        if let Err(error) = result {
            self.give_up(&error);
        }
        self.series.size.set(i64::try_from(self.ring.bytes()).unwrap_or(i64::MAX));
    }

    fn ended(&mut self, reason: EndReason) {
        self.series.segments.inc();
        self.failing = false;
        let level = if reason == EndReason::Full { Level::Debug } else { Level::Info };
        line(level, "recording_closed")
            .show("path", self.ring.path(self.number).display())
            .text("reason", reason.text())
            .send();
        self.number = 0;
    }

    fn give_up(&mut self, error: &io::Error) {
        self.series.dropped.inc();
        self.failed.store(self.number, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            line(Level::Warn, "recording_failed")
                .show("path", self.ring.path(self.number).display())
                .show("err", error)
                .text("text", "mining goes on; what happens now is not recorded until the disk takes it again")
                .send();
        }
        self.number = 0;
    }
}
