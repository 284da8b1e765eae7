//! Sockets that woke the loop: what is written on, and whose turn it is to be read.

use dpmp_core::{Conn, Event, Span};

use super::{EventLoop, Passed, Pending, READS_A_TURN, Woken};
use crate::conn::ReadResult;
use crate::statistics::Measured;
use crate::token::Source;

impl EventLoop {
    pub(super) fn wake(&mut self, woken: &Woken) {
        let source = Source::of(woken.token);
        match source {
            Source::Waker => self.take_requests(),
            Source::Listener(index) => {
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.ready = true;
                }
            }
            Source::Miner(_) | Source::Upstream(..) => {
                let Some(conn) = source.conn() else { return };
                let Some(peer) = self.peers.get_mut(&conn) else {
                    if let Source::Upstream(upstream, attempt) = source {
                        self.dialer.ready(self.clock.now(), upstream, attempt, self.poll.registry());
                        self.settle();
                    }
                    return;
                };
                if woken.writable {
                    peer.connection.flush();
                }
                if woken.readable || woken.broken {
                    peer.connection.readable = true;
                }
                peer.connection.read_closed |= woken.read_closed || woken.broken;
                self.look_after(conn, woken.broken);
                self.settle();
            }
        }
    }

    /// After something happened to a socket: what is to be told about its queue, and whether it waits for its turn.
    pub(super) fn look_after(&mut self, conn: Conn, broken: bool) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        if let Some(bytes) = peer.connection.queue_to_tell() {
            self.pending.push_back(Pending::Queue(conn, bytes));
        }
        let failed = peer.connection.write_error.is_some();
        if peer.connection.paused {
            // Nobody will read it, so nobody would find out that it broke.
            if failed || broken {
                let reason = peer.connection.write_error.take();
                self.lost(conn, reason.unwrap_or_else(|| "the connection broke".to_owned()));
            }
            return;
        }
        // A failed write: what is left to read comes first, then the end.
        peer.connection.readable |= failed;
        if peer.connection.readable && !peer.connection.listed {
            peer.connection.listed = true;
            peer.listed_at = self.clock.now();
            let list = match conn {
                _ if peer.urgent() => &mut self.urgent,
                Conn::Upstream(upstream) if !self.engine.is_mined(upstream) => &mut self.spare,
                _ => &mut self.patient,
            };
            list.push_back(conn);
        }
    }

    pub(super) fn lost(&mut self, conn: Conn, reason: String) {
        self.remove(conn);
        self.pending.push_back(Pending::Closed(conn, reason));
    }

    pub(super) fn remove(&mut self, conn: Conn) {
        if let Some(peer) = self.peers.remove(&conn) {
            peer.connection.close(self.poll.registry(), &mut self.scratch);
        }
        if let Conn::Upstream(upstream) = conn {
            self.pool_of.remove(&upstream);
        }
    }

    /// What was read has been dealt with, and everything that follows from it is written.
    fn measure(&mut self, conn: Conn, took: Span) {
        match (conn, self.passed) {
            (Conn::Upstream(_), Passed::Job) => self.facts.measured(Measured::JobFanout, took),
            (Conn::Miner(_), Passed::Share) => self.facts.measured(Measured::Share, took),
            _ => {}
        }
    }

    /// A connection's turn to be read.
    pub(super) fn read(&mut self, conn: Conn) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.connection.listed = false;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..READS_A_TURN {
            let Some(peer) = self.peers.get_mut(&conn) else { break };
            if !peer.connection.readable || peer.connection.paused || self.end.is_some() {
                break;
            }
            match peer.connection.read(&mut buffer) {
                ReadResult::Empty => break,
                ReadResult::Bytes(n) => {
                    peer.awaits_answer = false;
                    let since = std::mem::take(&mut peer.listed_at);
                    self.passed = Passed::Nothing;
                    self.step(Event::Received { conn, bytes: &buffer[..n] });
                    let now = self.clock.now();
                    self.measure(conn, now.since(since));
                    if let Some(peer) = self.peers.get_mut(&conn) {
                        // What is read next has come by now.
                        peer.listed_at = now;
                    }
                }
                ReadResult::Closed(reason) => {
                    self.lost(conn, reason);
                    self.settle();
                }
            }
        }
        self.buffer = buffer;
        self.look_after(conn, false);
        self.settle();
    }
}
