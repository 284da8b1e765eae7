//! The statistics' thread: facts in, snapshots out, and what lasts to the disk. It may be slow; nobody waits for it but
//! those who ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dpmp_core::config::Config;
use dpmp_core::ledger::Ledger;
use dpmp_core::{Memory, Notice, Time};
use log::Level;
use serde::{Deserialize, Serialize};

use super::channel::{Inbox, Message};
use super::latency::Readings;
use super::live::Live;
use super::snapshot::{Block, Snapshot};
use super::take::Subject;
use super::tell::tell;
use crate::clock::{Clock, unix_micros};
use crate::live_weights::LiveWeights;
use crate::logs::line;
use crate::records::bests::BestShares;
use crate::state::{Document, Files, Job, MEMORY, Moved, section};

/// What lasts is written this often, if anything has changed.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// What the disk was too slow for is tried again after this time.
const RETRY: Duration = Duration::from_secs(2);
/// The log tells of the split this often, if there is work.
const TELL_EVERY: Duration = Duration::from_secs(300);
/// A snapshot that is no older than this is shown again.
const FRESH: Duration = Duration::from_millis(900);
/// What is still to be written at the end has this long.
const LAST_WORDS: Duration = Duration::from_millis(800);
/// Blocks that are shown.
const BLOCKS: usize = 100;
/// The section of the ledger, and its version.
pub(super) const LEDGER: &str = "ledger";
const LEDGER_VERSION: u32 = 1;

/// The ledger as it is saved.
#[derive(Serialize)]
struct Saving<'a> {
    version: u32,
    /// Microseconds since 1970.
    saved: u64,
    ledger: &'a Ledger,
}

/// The ledger as it was saved.
#[derive(Deserialize)]
pub(super) struct Saved {
    pub(super) saved: u64,
    pub(super) ledger: Ledger,
}

impl Saved {
    /// An error says why it cannot be used.
    pub(super) fn of(document: &Document) -> Result<Option<Saved>, String> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        // The version first: a later form need not have our fields.
        match document.get::<Header>(LEDGER)? {
            None => Ok(None),
            Some(header) if header.version == LEDGER_VERSION => document.get(LEDGER),
            Some(header) => {
                let found = header.version;
                Err(format!("section {LEDGER}: its version is {found}, this dpmp reads {LEDGER_VERSION}"))
            }
        }
    }
}

/// Everything that the thread owns.
pub(super) struct Keeper {
    pub(super) inbox: Inbox,
    pub(super) clock: Clock,
    pub(super) config: Config,
    pub(super) ledger: Ledger,
    pub(super) live: Live,
    pub(super) readings: Readings,
    pub(super) best_shares: BestShares,
    pub(super) blocks: Vec<Block>,
    pub(super) document: Document,
    pub(super) memory: Memory,
    /// None: nothing lasts.
    pub(super) files: Option<Files>,
    /// What remembers weights that were moved; none: nothing.
    pub(super) weights: Option<Arc<LiveWeights>>,
    pub(super) state: Pending,
}

/// What is to be done, and when.
pub(super) struct Pending {
    /// There are new best shares, which the loop has written down.
    news: bool,
    moved: Option<Moved>,
    /// Something has changed since the last save.
    changed: bool,
    bests_changed: bool,
    saved: Instant,
    told: Instant,
    shown: Option<(Instant, Arc<Snapshot>)>,
}

impl Pending {
    /// `bests_changed`: the file is to be written at the first save.
    pub(super) fn new(bests_changed: bool) -> Pending {
        let now = Instant::now();
        Pending { news: false, moved: None, changed: false, bests_changed, saved: now, told: now, shown: None }
    }
}

impl Keeper {
    /// Runs until the loop has ended; gives the last snapshot.
    pub(super) fn run(mut self) -> Arc<Snapshot> {
        loop {
            match self.inbox.next(self.deadline()) {
                Some(Message::Facts(facts)) => self.facts(&facts),
                Some(Message::Config(config)) => {
                    let before: Vec<_> = self.ledger.slots().iter().map(|slot| slot.pool.clone()).collect();
                    self.ledger.configure(self.clock.now(), &config);
                    for (id, (slot, before)) in config.pool_ids().zip(self.ledger.slots().iter().zip(before)) {
                        if slot.pool != before {
                            self.live.replaced(id);
                        }
                    }
                    self.config = *config;
                    self.state.changed = true;
                }
                Some(Message::Memory(memory)) => {
                    self.state.changed |= memory != self.memory;
                    // Who switches the automatic balance wants that to last, whatever happens next.
                    let chosen = memory.oracle.choice != self.memory.oracle.choice;
                    self.memory = memory;
                    if chosen {
                        self.save(None);
                    }
                }
                Some(Message::Ask(reply)) => reply(self.snapshot(FRESH)),
                Some(Message::End) => break,
                None => {}
            }
            self.housekeeping();
        }
        let last = self.snapshot(Duration::ZERO);
        self.finish();
        last
    }

    fn deadline(&self) -> Instant {
        let tell = self.state.told + TELL_EVERY;
        let waits = self.state.news || self.state.moved.is_some();
        let retry = waits.then(|| Instant::now() + Duration::from_millis(20));
        let save = self.state.changed.then(|| (self.state.saved + SAVE_EVERY).max(Instant::now()));
        [Some(tell), save, retry].into_iter().flatten().min().unwrap_or(tell)
    }

    fn facts(&mut self, facts: &[(Time, Notice)]) {
        for (now, notice) in facts {
            self.live.observe(*now, notice);
            self.ledger.observe(*now, notice);
            match notice {
                Notice::WeightsChanged { weights } => self.config.scheduler.weights = weights.to_vec(),
                Notice::WeightsMoved { prev, weights, source } => {
                    let (prev, now, source) = (prev.clone(), weights.clone(), *source);
                    // Only the last counts, but what it was before is told by each.
                    self.state.moved = self.weights.clone().map(|live| Moved { live, prev, now, source });
                }
                Notice::BlockCandidate { .. } => self.block(notice),
                _ => {}
            }
        }
        self.state.changed |= !facts.is_empty();
        let news = self.ledger.take_news().count() > 0;
        self.state.news |= news;
        self.state.bests_changed |= news;
    }

    fn block(&mut self, notice: &Notice) {
        let key = |pool: dpmp_core::PoolId| self.ledger.slots().get(pool.index()).map(|slot| slot.pool.clone());
        if let Some(block) = super::block_line(notice, self.ledger.unix(self.ledger.now()), key) {
            self.blocks.push(Block::from(&block));
            self.blocks.drain(..self.blocks.len().saturating_sub(BLOCKS));
        }
    }

    fn housekeeping(&mut self) {
        if self.state.news {
            self.state.news = self.files.as_ref().is_some_and(|files| files.offer(Job::News).is_err());
        }
        if let Some(moved) = self.state.moved.take()
            && let Some(files) = &self.files
            && let Err(Job::Weights(moved)) = files.offer(Job::Weights(moved))
        {
            self.state.moved = Some(moved);
        }
        if self.state.changed && self.state.saved.elapsed() >= SAVE_EVERY {
            self.save(None);
        }
        if self.state.told.elapsed() >= TELL_EVERY {
            self.state.told = Instant::now();
            let snapshot = self.snapshot(FRESH);
            tell(&snapshot);
        }
    }

    /// Brings the ledger up to date, and shows all there is. One that is young enough is shown again.
    fn snapshot(&mut self, fresh: Duration) -> Arc<Snapshot> {
        if let Some((taken, snapshot)) = &self.state.shown
            && taken.elapsed() < fresh
        {
            return snapshot.clone();
        }
        let now = self.clock.now();
        self.ledger.wall_clock(now, unix_micros());
        self.ledger.tick(now);
        self.readings.fetch(now);
        let subject = Subject {
            now,
            ledger: &self.ledger,
            live: &mut self.live,
            readings: &self.readings,
            config: &self.config,
            imported: &self.best_shares.imported,
            blocks: &self.blocks,
            facts_lost: self.inbox.lost(),
        };
        let snapshot = Arc::new(subject.take());
        self.state.shown = Some((Instant::now(), snapshot.clone()));
        snapshot
    }

    /// Writes what lasts. With a deadline: waits for a place until then.
    fn save(&mut self, deadline: Option<Instant>) {
        self.state.saved = Instant::now();
        let now = self.clock.now();
        self.ledger.wall_clock(now, unix_micros());
        self.ledger.tick(now);
        let Some(files) = &self.files else { return };
        let saving = Saving { version: LEDGER_VERSION, saved: unix_micros(), ledger: &self.ledger };
        let written = section(&saving).and_then(|ledger| {
            self.document.set(LEDGER, ledger);
            self.document.set(MEMORY, section(&self.memory)?);
            self.document.text()
        });
        let mut jobs = Vec::new();
        match written {
            Ok(text) => jobs.push(Job::State(text)),
            Err(error) => line(Level::Error, "state_not_written").show("err", error).send(),
        }
        if self.state.bests_changed {
            self.best_shares.bests = self.ledger.bests().clone();
            jobs.push(Job::Bests(Box::new(self.best_shares.clone())));
        }
        for job in jobs {
            let bests = matches!(job, Job::Bests(_));
            let taken = match deadline {
                Some(deadline) => {
                    files.insist(job, deadline);
                    true
                }
                None => files.offer(job).is_ok(),
            };
            // What is not taken now is written a little later.
            if bests {
                self.state.bests_changed = !taken;
            } else {
                self.state.changed = !taken;
            }
            if !taken && let Some(soon) = self.state.saved.checked_sub(SAVE_EVERY - RETRY) {
                self.state.saved = soon;
            }
        }
    }

    fn finish(mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        if let (Some(files), Some(moved)) = (&self.files, self.state.moved.take()) {
            files.insist(Job::Weights(moved), deadline);
        }
        if self.state.changed || self.state.bests_changed {
            self.save(Some(deadline));
        }
        if let Some(files) = self.files.take() {
            files.finish(deadline);
        }
    }
}
