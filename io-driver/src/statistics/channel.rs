//! The way from the loop to the statistics, and for others to ask. Bounded; the loop never waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use dpmp_core::config::Config;
use dpmp_core::{Memory, Notice, Time};

use super::snapshot::Snapshot;

/// Messages that may wait in the channel.
const MESSAGES: usize = 256;
/// Notices that may wait on the loop's side while the channel is full.
const WAITING: usize = 100_000;

/// Who is told of a snapshot.
pub type Reply = Box<dyn FnOnce(Arc<Snapshot>) + Send>;

/// What the statistics are told.
pub(super) enum Message {
    /// What happened, each with its time.
    Facts(Vec<(Time, Notice)>),
    /// Another config is in force.
    Config(Box<Config>),
    /// What the engine wants to remember over a restart.
    Memory(Memory),
    /// Somebody wants a snapshot.
    Ask(Reply),
    /// The loop has ended.
    End,
}

/// The loop's end.
#[derive(Debug)]
pub struct Reporter {
    batch: Vec<(Time, Notice)>,
    config: Option<Box<Config>>,
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// Everybody else's end.
#[derive(Clone)]
pub struct Statistics {
    messages: SyncSender<Message>,
}

/// The statistics' own end.
pub(super) struct Inbox {
    messages: Receiver<Message>,
    lost: Arc<AtomicU64>,
}

/// Nobody takes the question: the program is ending, or too many ask.
#[derive(Debug)]
pub struct NotTaken;

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the statistics take no questions")
    }
}

impl std::error::Error for NotTaken {}

pub(super) fn channel() -> (Reporter, Statistics, Inbox) {
    let (messages, receiver) = sync_channel(MESSAGES);
    let lost = Arc::new(AtomicU64::new(0));
    let reporter = Reporter { batch: Vec::new(), config: None, messages: messages.clone(), lost: lost.clone() };
    (reporter, Statistics { messages }, Inbox { messages: receiver, lost })
}

impl Reporter {
    /// Takes a copy; a notice's texts are shared, not copied.
    pub(crate) fn push(&mut self, now: Time, notice: &Notice) {
        if self.batch.len() >= WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.batch.push((now, notice.clone()));
        }
    }

    /// How much waits to be handed over.
    pub(crate) fn waiting(&self) -> usize {
        self.batch.len() + usize::from(self.config.is_some())
    }

    /// Hands over what has gathered, if it is taken.
    pub(crate) fn flush(&mut self) {
        // If nobody reads any more there is nobody to count for.
        if !self.batch.is_empty()
            && let Err(TrySendError::Full(Message::Facts(batch))) =
                self.messages.try_send(Message::Facts(std::mem::take(&mut self.batch)))
        {
            self.batch = batch;
        }
        if self.batch.is_empty()
            && let Some(config) = self.config.take()
            && let Err(TrySendError::Full(Message::Config(config))) = self.messages.try_send(Message::Config(config))
        {
            self.config = Some(config);
        }
    }

    /// Another config is in force: told with the next [`Reporter::flush`], after what has gathered.
    pub(crate) fn config(&mut self, config: &Config) {
        self.config = Some(Box::new(config.clone()));
    }

    /// Hands the engine's memory over. False: try again later.
    pub(crate) fn memory(&mut self, memory: Memory) -> bool {
        !matches!(self.messages.try_send(Message::Memory(memory)), Err(TrySendError::Full(_)))
    }

    /// The loop ends; the last memory goes with it. Waits for a full channel this long at most.
    pub(crate) fn end(mut self, memory: Memory, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let batch = Message::Facts(std::mem::take(&mut self.batch));
        for mut message in [batch, Message::Memory(memory), Message::End] {
            while let Err(TrySendError::Full(back)) = self.messages.try_send(message) {
                if Instant::now() >= deadline {
                    return;
                }
                message = back;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

impl Statistics {
    /// Asks for a snapshot, at most a second old. The reply is called in the statistics' thread, and may not wait.
    ///
    /// # Errors
    /// When the program is ending, or too many ask.
    pub fn ask(&self, reply: impl FnOnce(Arc<Snapshot>) + Send + 'static) -> Result<(), NotTaken> {
        self.messages.try_send(Message::Ask(Box::new(reply))).map_err(|_| NotTaken)
    }

    /// Asks and waits: not for an async thread. None if no answer came in time.
    pub fn snapshot(&self, at_most: Duration) -> Option<Arc<Snapshot>> {
        let (sender, receiver) = sync_channel(1);
        let reply = move |snapshot| {
            // Fails only if nobody waits any more.
            let _ = sender.try_send(snapshot);
        };
        self.ask(reply).ok()?;
        receiver.recv_timeout(at_most).ok()
    }
}

impl fmt::Debug for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Statistics")
    }
}

impl Inbox {
    /// The next message; none at the deadline.
    pub(super) fn next(&self, deadline: Instant) -> Option<Message> {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::End),
        }
    }

    /// Facts that were dropped because this thread was too slow.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
