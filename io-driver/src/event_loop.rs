//! The loop: readiness in, events to the engine, actions done in order. One thread, one engine, all mining sockets.
//!
//! Each event is one [`Engine::step`]; what it asks for is done before the next. Sockets are edge-triggered: readiness is
//! remembered and worked off in turns of bounded size, so that no connection waits for a busy one. The loop waits only in
//! `poll`; names, files and log lines are other threads' work.

mod actions;
mod changes;
mod listening;
mod reading;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use dpmp_core::trace::EndReason;
use dpmp_core::{ActionBuf, Command, Conn, Engine, Event, Memory, PoolId, Span, Time, UpstreamId};
use log::Level;
use mio::{Events, Poll, Token};

use crate::clock::{Clock, unix_micros};
use crate::conn::Connection;
use crate::dial::Dialer;
use crate::facts::Facts;
use crate::listener::Listener;
use crate::logs::line;
use crate::recording::{self, Recording};
use crate::requests::{LoopHandle, Request};
pub(crate) use changes::{Change, RecordingChange};

/// Bytes of one read.
const READ_SIZE: usize = 16 * 1024;
/// Reads of one connection in one turn; then the others have theirs.
const READS_A_TURN: usize = 4;
/// Connections that can wait which are read in one turn, before those that cannot are looked for again.
const PATIENT_A_TURN: usize = 8;
/// Connections that nobody mines on which are read in one turn, however many others there are.
const SPARE_A_TURN: usize = 1;
/// Requests of other threads that are served in one turn.
const MOST_REQUESTS: usize = 32;
/// Ticks in one turn. The engine's next deadline is always later than the last, so more than a few are a bug of ours.
const TICKS_A_TURN: usize = 64;
/// The engine's memory is looked at, and handed on if it changed, this often.
const SAVE_EVERY: Span = Span::secs(10);
/// What happened is handed to the threads that count and show it this long after, all in one: a hand-over wakes two
/// threads, which at each share cost it more than all its other work.
const HAND_OVER_EVERY: Span = Span::millis(100);
/// More than so many facts do not wait for that.
const HAND_OVER_AT: usize = 4096;
/// The engine has this long to answer and close everything.
const DRAIN_AT_MOST: Span = Span::millis(1_500);
/// The wall clock is compared with the monotonic one this often, and told anew when it is off by as much.
const WALL_CHECK: Span = Span::secs(1);

/// Why the loop ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was asked to.
    Drained,
    /// The engine panicked: a bug of ours.
    Crashed(String),
    /// The system refused something without which there is no loop.
    Failed(io::Error),
}

/// What waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Accept(usize),
    HandOver,
    Save,
    DrainEnd,
}

/// What is to be told to the engine after the actions at hand are done.
enum Pending {
    Queue(Conn, u32),
    Closed(Conn, String),
    Connected(UpstreamId),
    ConnectFailed(UpstreamId, String),
    OracleFailed(String),
}

/// What of the bytes at hand was passed on, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// Nothing that is measured.
    Nothing,
    /// A miner has submitted a share.
    Submit,
    /// It is written to the pool.
    Share,
    /// A pool's job is written to its miners.
    Job,
}

/// What one wake-up said about one token.
struct Woken {
    token: Token,
    readable: bool,
    writable: bool,
    broken: bool,
    /// The other end will send no more.
    read_closed: bool,
}

struct Peer {
    connection: Connection,
    /// None for a miner.
    pool: Option<PoolId>,
    /// We have sent something and nothing has come back since: most likely a share waits for its answer.
    awaits_answer: bool,
    /// Since when we know that there is something to read.
    listed_at: Time,
}

impl Peer {
    fn new(connection: Connection, pool: Option<PoolId>) -> Peer {
        Peer { connection, pool, awaits_answer: false, listed_at: Time::ZERO }
    }

    /// Shares and their answers go before jobs: a new job comes on all connections to a pool at once, and no share should
    /// wait for a hundred of them.
    fn urgent(&self) -> bool {
        self.pool.is_none() || self.awaits_answer
    }
}

/// What the loop is made of; [`EventLoop::new`] takes it apart.
pub(crate) struct Parts {
    pub(crate) poll: Poll,
    pub(crate) handle: LoopHandle,
    pub(crate) requests: Receiver<Request>,
    pub(crate) listeners: Vec<std::net::TcpListener>,
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) facts: Facts,
    pub(crate) recording: Option<Recording>,
}

/// The loop.
pub(crate) struct EventLoop {
    poll: Poll,
    requests: Receiver<Request>,
    listeners: Vec<Listener>,
    engine: Engine,
    clock: Clock,
    facts: Facts,
    recording: Option<Recording>,
    saved: Memory,
    actions: ActionBuf,
    peers: HashMap<Conn, Peer>,
    handle: LoopHandle,
    dialer: Dialer,
    timers: BTreeSet<(Time, Timer)>,
    /// To be read: shares and answers.
    urgent: VecDeque<Conn>,
    /// To be read: jobs that a miner waits for.
    patient: VecDeque<Conn>,
    /// To be read: jobs that nobody mines on for now. Each miner stands by at its other pool.
    spare: VecDeque<Conn>,
    pending: VecDeque<Pending>,
    woken: Vec<Woken>,
    buffer: Box<[u8]>,
    /// For bytes that nobody wants.
    scratch: Box<[u8]>,
    last_miner: u64,
    pool_of: HashMap<UpstreamId, PoolId>,
    wall_offset: u64,
    wall_checked: Time,
    save_armed: bool,
    hand_over_armed: bool,
    /// The engine's words if it refused the command at hand.
    refused: Option<Arc<str>>,
    /// What of the bytes at hand was passed on.
    passed: Passed,
    end: Option<Outcome>,
}

impl EventLoop {
    /// A loop ready to run.
    pub(crate) fn new(parts: Parts) -> io::Result<EventLoop> {
        let listeners = listening::watch(parts.listeners, parts.poll.registry())?;
        Ok(EventLoop {
            saved: parts.engine.memory(),
            handle: parts.handle.clone(),
            dialer: Dialer::new(parts.handle),
            poll: parts.poll,
            requests: parts.requests,
            listeners,
            engine: parts.engine,
            clock: parts.clock,
            facts: parts.facts,
            recording: parts.recording,
            actions: ActionBuf::new(),
            peers: HashMap::new(),
            timers: BTreeSet::new(),
            urgent: VecDeque::new(),
            patient: VecDeque::new(),
            spare: VecDeque::new(),
            pending: VecDeque::new(),
            woken: Vec::new(),
            buffer: vec![0; READ_SIZE].into_boxed_slice(),
            scratch: vec![0; READ_SIZE].into_boxed_slice(),
            last_miner: 0,
            pool_of: HashMap::new(),
            wall_offset: 0,
            wall_checked: Time::ZERO,
            save_armed: false,
            hand_over_armed: false,
            refused: None,
            passed: Passed::Nothing,
            end: None,
        })
    }

    /// Runs until the proxy is to end. What the engine remembers is handed on then.
    pub(crate) fn run(mut self) -> Outcome {
        let mut events = Events::with_capacity(1024);
        self.tell_wall_clock();
        let outcome = loop {
            if let Some(outcome) = self.end.take() {
                break outcome;
            }
            let timeout = self.timeout();
            if timeout != Some(Duration::ZERO) {
                self.at_rest();
            }
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => self.turn(&events),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Outcome::Failed(error),
            }
        };
        if let Some(recording) = self.recording.take() {
            let (reason, patience) = match &outcome {
                Outcome::Crashed(_) => (EndReason::Crash, Duration::from_secs(2)),
                Outcome::Drained | Outcome::Failed(_) => (EndReason::Stopped, Duration::from_millis(200)),
            };
            recording.finish(reason, patience);
        }
        self.facts.end(self.engine.memory());
        outcome
    }

    /// Nothing waits for us, as far as we know.
    fn at_rest(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.at_rest(&self.engine, self.clock.now());
        }
    }

    /// How long `poll` may wait. mio rounds up to whole milliseconds, so a deadline is never met too early.
    fn timeout(&self) -> Option<Duration> {
        if [&self.urgent, &self.patient, &self.spare].iter().any(|l| !l.is_empty())
            || self.listeners.iter().any(|l| l.ready)
        {
            return Some(Duration::ZERO);
        }
        let own = self.timers.first().map(|(when, _)| *when);
        let engine = self.engine.poll_timeout().map(|(when, _)| when);
        let next = [engine, self.dialer.timeout(), own].into_iter().flatten().min()?;
        Some(Clock::until(self.clock.now(), next))
    }

    /// One turn: what woke us, what is due, and a bounded piece of what is ready.
    fn turn(&mut self, events: &Events) {
        self.woken.extend(events.iter().map(|event| Woken {
            token: event.token(),
            readable: event.is_readable() || event.is_read_closed(),
            writable: event.is_writable() || event.is_write_closed(),
            broken: event.is_error() || event.is_write_closed(),
            read_closed: event.is_read_closed(),
        }));
        let mut woken = std::mem::take(&mut self.woken);
        for woken in woken.drain(..) {
            self.wake(&woken);
        }
        self.woken = woken;
        self.due();
        for index in 0..self.listeners.len() {
            self.accept(index);
        }
        for _ in 0..self.urgent.len() {
            if let Some(conn) = self.urgent.pop_front() {
                self.read(conn);
            }
        }
        let patient = self.patient.len().min(PATIENT_A_TURN);
        for _ in 0..patient {
            if let Some(conn) = self.patient.pop_front() {
                self.read(conn);
            }
        }
        if patient == 0 && !self.spare.is_empty() {
            // Whoever runs on this machine too and got something from us may work on it: nobody waits for the rest.
            std::thread::yield_now();
        }
        for _ in 0..SPARE_A_TURN.max(PATIENT_A_TURN - patient) {
            let Some(conn) = self.spare.pop_front() else { break };
            self.read(conn);
        }
        self.check_wall_clock();
        self.arm_hand_over();
    }

    /// If there is something to hand over, it will be in time.
    fn arm_hand_over(&mut self) {
        let waiting = self.facts.waiting();
        if waiting >= HAND_OVER_AT {
            self.facts.flush();
        } else if waiting > 0 && !self.hand_over_armed {
            self.hand_over_armed = true;
            self.timers.insert((self.clock.now() + HAND_OVER_EVERY, Timer::HandOver));
        }
    }

    fn take_requests(&mut self) {
        self.dialer.take_answers(self.clock.now(), self.poll.registry());
        self.settle();
        for taken in 0.. {
            // Whoever asks for a lot waits: miners come in between.
            if taken == MOST_REQUESTS {
                self.handle.wake();
                break;
            }
            let Ok(request) = self.requests.try_recv() else { break };
            match request {
                Request::Engine(command) => {
                    if command == Command::Drain {
                        self.timers.insert((self.clock.now() + DRAIN_AT_MOST, Timer::DrainEnd));
                    }
                    self.step(Event::Command(command));
                }
                Request::Ask(command, answer) => {
                    self.refused = None;
                    let chooses = matches!(command, Command::SetAutoBalance(_) | Command::SetWeights(_));
                    self.step(Event::Command(command));
                    if chooses {
                        self.save();
                    }
                    answer(self.refused.take().map_or(Ok(()), |why| Err(why.to_string())));
                }
                Request::Change(change) => self.change(*change),
                Request::Refresh(reply) => {
                    self.facts.refresh(self.clock.now());
                    reply();
                }
                Request::CloseRecording => recording::close_for_report(self.recording.as_mut()),
                Request::Resolved => {}
                Request::OracleAnswer(answer) => {
                    let answer = answer.as_deref().map_err(String::as_str);
                    self.step(Event::OracleAnswer(answer));
                }
            }
        }
        // Who asked for something wants to see what came of it.
        self.facts.flush();
    }

    /// Everything whose time has come.
    fn due(&mut self) {
        let now = self.clock.now();
        self.dialer.expire(now, self.poll.registry());
        self.settle();
        while let Some((when, timer)) = self.timers.first().copied()
            && when <= now
        {
            self.timers.remove(&(when, timer));
            match timer {
                Timer::Accept(index) => {
                    if let Some(listener) = self.listeners.get_mut(index) {
                        listener.ready = true;
                    }
                }
                Timer::HandOver => {
                    self.hand_over_armed = false;
                    self.facts.flush();
                }
                Timer::Save => self.save(),
                Timer::DrainEnd => self.end = Some(Outcome::Drained),
            }
        }
        for _ in 0..TICKS_A_TURN {
            if self.end.is_some() || self.engine.poll_timeout().is_none_or(|(when, _)| when > self.clock.now()) {
                return;
            }
            self.step(Event::Tick);
        }
    }

    fn save(&mut self) {
        self.save_armed = false;
        let memory = self.engine.memory();
        if memory == self.saved {
            return;
        }
        if self.facts.remember(memory.clone()) {
            self.saved = memory;
        } else {
            self.arm_save();
        }
    }

    fn arm_save(&mut self) {
        if !self.save_armed {
            self.save_armed = true;
            self.timers.insert((self.clock.now() + SAVE_EVERY, Timer::Save));
        }
    }

    fn tell_wall_clock(&mut self) {
        let wall = unix_micros();
        self.wall_offset = wall.saturating_sub(self.clock.now().0);
        self.step(Event::WallClock { unix_micros: wall });
    }

    fn check_wall_clock(&mut self) {
        let now = self.clock.now();
        if now.since(self.wall_checked) < WALL_CHECK {
            return;
        }
        self.wall_checked = now;
        let expected = self.wall_offset.saturating_add(now.0);
        let off = unix_micros().abs_diff(expected);
        if off > WALL_CHECK.0 {
            line(Level::Info, "wall_clock_jumped").number("seconds", off as f64 / 1e6).send();
            self.tell_wall_clock();
        }
    }

    /// One event, everything that it asks for, and everything that follows from that.
    fn step(&mut self, event: Event<'_>) {
        self.arm_save();
        self.step_once(event);
        self.settle();
    }

    /// Tells the engine what came of its own actions, until nothing is left to tell.
    fn settle(&mut self) {
        loop {
            for (upstream, outcome) in std::mem::take(&mut self.dialer.outcomes) {
                self.pending.push_back(match outcome {
                    Ok(connection) => {
                        let pool = self.pool_of.get(&upstream).copied();
                        self.peers.insert(Conn::Upstream(upstream), Peer::new(connection, pool));
                        Pending::Connected(upstream)
                    }
                    Err(reason) => {
                        self.pool_of.remove(&upstream);
                        Pending::ConnectFailed(upstream, reason)
                    }
                });
            }
            if self.end.is_some() {
                return;
            }
            match self.pending.pop_front() {
                None => return,
                Some(Pending::Queue(conn, bytes)) => {
                    if self.peers.contains_key(&conn) {
                        self.step_once(Event::SendQueue { conn, bytes });
                    }
                }
                Some(Pending::Closed(conn, reason)) => self.step_once(Event::Closed { conn, reason: &reason }),
                Some(Pending::Connected(upstream)) => {
                    self.step_once(Event::Connected { upstream });
                    // It may have spoken first.
                    self.look_after(Conn::Upstream(upstream), false);
                }
                Some(Pending::OracleFailed(why)) => self.step(Event::OracleAnswer(Err(&why))),
                Some(Pending::ConnectFailed(upstream, reason)) => {
                    self.step_once(Event::ConnectFailed { upstream, reason: &reason });
                }
            }
        }
    }

    fn step_once(&mut self, event: Event<'_>) {
        if self.end.is_some() {
            return;
        }
        let now = self.clock.now();
        let (engine, actions, recording) = (&mut self.engine, &mut self.actions, &mut self.recording);
        // After a panic the engine is not stepped again, so what it left half done is never seen.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| match recording {
            Some(recording) => recording.step(engine, now, event, actions),
            None => engine.step(now, event, actions),
        })) {
            let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
            self.end = Some(Outcome::Crashed(words.unwrap_or_else(|| "a panic without words".to_owned())));
            return;
        }
        let mut actions = std::mem::take(&mut self.actions);
        self.facts.before(actions.actions());
        for action in actions.actions() {
            self.perform(now, action, &actions);
        }
        actions.clear();
        self.actions = actions;
    }
}
