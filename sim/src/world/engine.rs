//! The engine's side of the world: steps, its deadline, and the actions that follow.

use dpmp_core::{Action, ActionBuf, Command, Conn, Event, MinerId, Time, UpstreamId};

use super::model::Circumstances;
use super::net::{Line, Peer, Way};
use super::{Item, Proxy, QUEUE_STEP, World};

/// What may wait for a peer beyond its socket's buffer, the last message included.
const MOST_QUEUED: usize = 600 << 10;

impl<P: Proxy> World<P> {
    pub(super) fn step(&mut self, event: Event<'_>) {
        let now = Time(self.now_us);
        self.model_hears(&event);
        self.proxy.step(now, event, &mut self.buf);
        self.steps += 1;
        let buf = std::mem::take(&mut self.buf);
        self.model.read_notices(now.0, &buf, &mut self.complaints);
        self.follow_weights();
        for action in buf.actions() {
            self.perform(action, &buf);
        }
        self.buf = buf;
        self.buf.clear();
        self.model.after_step(now.0, &self.pools, &mut self.complaints);
        if self.proxy.next_timeout().is_some_and(|at| at <= now) {
            self.complaints.push(now.0, || "after a step its deadline is not later: livelock".into());
        }
        self.note_first(false);
        self.plan_engine();
    }

    fn model_hears(&mut self, event: &Event<'_>) {
        self.model.begin_step();
        match event {
            Event::Received { conn: Conn::Miner(id), bytes } => {
                self.model.miner_said(self.now_us, *id, bytes, &self.pools);
            }
            Event::Received { conn: Conn::Upstream(id), bytes } => self.model.pool_said(*id, bytes),
            Event::Closed { conn, .. } => self.model.gone(*conn),
            Event::ConnectFailed { upstream, .. } => self.model.gone(Conn::Upstream(*upstream)),
            Event::SendQueue { conn, bytes } => self.model.queue(*conn, *bytes),
            Event::Command(Command::Drain) => self.model.drains(),
            _ => {}
        }
    }

    /// A miner's connection is closed: is that in order?
    fn judge_close(&mut self, id: MinerId) {
        let Some(Line { peer: Peer::Miner(index), since_us, .. }) = self.lines.get(&Conn::Miner(id)) else { return };
        let (index, now) = (*index, self.now_us);
        let seat = &self.miners[index];
        let bad = [seat.clogged_until, seat.slow_until, seat.held_until].into_iter().max().unwrap_or(0);
        let about = Circumstances {
            miner: &seat.miner,
            slow: bad > 0 && now < bad + 60_000_000,
            waits_for_pool: (0..self.pools.len()).any(|pool| self.is_out(pool)),
            age_us: now.saturating_sub(*since_us),
        };
        match self.model.may_close(now, id, &about) {
            Ok(()) => drop(self.excused.insert(id)),
            Err(why) if seat.miner.stays() => {
                self.complaints
                    .push(now, || format!("ends: miner {index} ({}): {why}", seat.miner.spec().personality.label));
            }
            Err(_) => {}
        }
    }

    pub(super) fn plan_engine(&mut self) {
        let Some(Time(at)) = self.proxy.next_timeout() else { return };
        // Never twice at one instant, whatever the engine says.
        let at = at.max(self.now_us + 1);
        if at < self.engine_tick_us {
            self.engine_tick_us = at;
            self.at(at, Item::EngineTick);
        }
    }

    pub(super) fn perform(&mut self, action: &Action, buf: &ActionBuf) {
        match action {
            Action::Connect { upstream, host, port, .. } => self.connect(*upstream, host, *port),
            Action::Send { conn, bytes } => self.send(*conn, buf.bytes(bytes)),
            Action::FetchOracle { .. } => self.oracle_asked(),
            Action::PauseReading(conn) => {
                if let Some(line) = self.lines.get_mut(conn) {
                    line.paused = true;
                }
            }
            Action::ResumeReading(conn) => {
                if let Some(line) = self.lines.get_mut(conn) {
                    line.paused = false;
                }
                self.plan_delivery(*conn, Way::In);
            }
            Action::Close(conn) => {
                if let Conn::Miner(id) = conn {
                    self.judge_close(*id);
                }
                self.check_drained(*conn);
                self.model.gone(*conn);
                if self.lines.contains_key(conn) {
                    self.close(*conn, Way::Out);
                } else if !self.known.contains(conn) {
                    self.complaints.push(self.now_us, || format!("closes {conn:?}, which never was"));
                }
            }
            Action::Notice(notice) => {
                if self.keep_notices {
                    self.notices.push((self.now_us, notice.clone()));
                }
            }
            Action::Drained if self.drained || !self.draining => {
                self.complaints.push(self.now_us, || "drain: it says that it is done, unasked or once more".into());
            }
            Action::Drained => self.drained = true,
        }
    }

    pub(super) fn connect(&mut self, upstream: UpstreamId, host: &str, port: u16) {
        let known = |slot: &&dpmp_core::config::PoolConfig| slot.address.host == host && slot.address.port == port;
        let slot = self.spec.config.pools.iter().find(known);
        let Some(pool) = slot.and_then(|slot| self.pool_of(&slot.address.host)) else {
            self.complaints.push(self.now_us, || format!("connects to {host}:{port}, which is not configured"));
            return self.at(self.now_us + 1000, Item::ConnectFailed(upstream, "unknown host"));
        };
        if !self.known.insert(Conn::Upstream(upstream)) {
            self.complaints.push(self.now_us, || format!("uses {upstream:?} a second time"));
        }
        let line = Line::new(Peer::Pool(pool), &self.spec.net, &mut self.rng);
        let there = self.now_us + 2 * line.latency_us();
        let held = self.pools[pool].held_until;
        if held > self.now_us + 15_000_000 {
            return self.at(self.now_us + 15_000_000, Item::ConnectFailed(upstream, "timed out"));
        }
        self.lines.insert(Conn::Upstream(upstream), line);
        self.at(there.max(held), Item::Connected(upstream, pool));
    }

    pub(super) fn upstream_connected(&mut self, upstream: UpstreamId, pool: usize) {
        let conn = Conn::Upstream(upstream);
        let Some(line) = self.lines.get_mut(&conn).filter(|line| !line.engine_closed()) else { return };
        line.connected = true;
        if self.pools[pool].pool.refuses() {
            self.lines.remove(&conn);
            return self.step(Event::ConnectFailed { upstream, reason: "connection refused" });
        }
        let caller = self.model.caller(upstream);
        self.with_pool(pool, |pool, now, out| {
            pool.accept(upstream.0, now, out);
            if let Some(caller) = caller {
                pool.called_by(upstream.0, caller.0);
            }
        });
        self.step(Event::Connected { upstream });
    }

    /// The engine sends.
    pub(super) fn send(&mut self, conn: Conn, bytes: &[u8]) {
        let lines = bytes.iter().filter(|b| **b == b'\n').count();
        if !bytes.ends_with(b"\n") {
            self.complaints.push(self.now_us, || format!("sends {conn:?} a piece of a line"));
        }
        let Some(line) = self.lines.get_mut(&conn) else {
            if !self.known.contains(&conn) {
                self.complaints.push(self.now_us, || format!("sends to {conn:?}, which never was"));
            }
            return;
        };
        if let Peer::Miner(miner) = line.peer
            && lines > 1
            && self.miners[miner].miner.spec().personality.one_message_a_write
        {
            self.complaints.push(self.now_us, || format!("{lines} messages in one write to miner {miner}"));
        }
        line.send(Way::Out, bytes.to_vec(), self.now_us, &self.spec.net, &mut self.rng);
        let most = self.spec.net.socket_buffer + MOST_QUEUED;
        if line.outward.bytes > most {
            let waits = line.outward.bytes;
            self.complaints.push(self.now_us, || format!("I7: {waits} bytes wait for {conn:?}"));
        }
        self.model.sends(self.now_us, conn, bytes, &self.pools, &mut self.complaints);
        self.plan_delivery(conn, Way::Out);
        self.tell_queue(conn);
    }

    /// The driver's news about its send queue, for a peer that does not read.
    pub(super) fn tell_queue(&mut self, conn: Conn) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let clogged = match line.peer {
            Peer::Miner(miner) => {
                let seat = &self.miners[miner];
                seat.clogged_until.max(seat.slow_until).max(seat.held_until) > self.now_us
            }
            Peer::Pool(pool) => self.pools[pool].held_until > self.now_us,
        };
        let waiting = if clogged { line.outward.bytes.saturating_sub(self.spec.net.socket_buffer) as u32 } else { 0 };
        let news = waiting > 0 && (line.told_queue == 0 || waiting >= line.told_queue + QUEUE_STEP);
        if news || waiting == 0 && line.told_queue > 0 {
            line.told_queue = waiting;
            // An event of its own: not inside the step that sent.
            self.at(self.now_us, Item::Queue(conn, waiting));
        }
    }
}
