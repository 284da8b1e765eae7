//! What the engine wants done, done.

use dpmp_core::notice::JobReason;
use dpmp_core::{Action, ActionBuf, Conn, Notice, Time};

use super::{EventLoop, Outcome, Passed, Pending};
use crate::oracle;

impl EventLoop {
    pub(super) fn perform(&mut self, now: Time, action: &Action, buffer: &ActionBuf) {
        match action {
            Action::Send { conn, bytes } => {
                if let Some(peer) = self.peers.get_mut(conn) {
                    let message = buffer.bytes(bytes);
                    self.facts.sent(peer.pool, message);
                    peer.connection.send(message);
                    peer.awaits_answer = true;
                    if let (Conn::Upstream(_), Passed::Submit) = (conn, self.passed) {
                        self.passed = Passed::Share;
                    }
                    self.look_after(*conn, false);
                }
            }
            Action::Notice(notice) => {
                match notice {
                    Notice::CommandRefused { why } => self.refused = Some(why.clone()),
                    Notice::JobForwarded { why: JobReason::New, .. } => self.passed = Passed::Job,
                    Notice::ShareSubmitted { .. } => self.passed = Passed::Submit,
                    _ => {}
                }
                self.facts.notice(now, notice);
                if *notice == Notice::ConfigApplied {
                    self.facts.config(self.engine.config());
                }
            }
            Action::Connect { upstream, pool, host, port } => {
                self.pool_of.insert(*upstream, *pool);
                self.dialer.start(now, *upstream, host, *port, self.poll.registry());
            }
            Action::PauseReading(conn) => {
                if let Some(peer) = self.peers.get_mut(conn) {
                    peer.connection.paused = true;
                }
            }
            Action::ResumeReading(conn) => {
                if let Some(peer) = self.peers.get_mut(conn) {
                    peer.connection.paused = false;
                    self.look_after(*conn, false);
                }
            }
            Action::FetchOracle { url } => {
                if let Err(error) = oracle::ask(url.clone(), self.handle.clone()) {
                    self.pending.push_back(Pending::OracleFailed(format!("no thread to ask it: {error}")));
                }
            }
            Action::Close(conn) => self.close(*conn),
            Action::Drained => self.end = Some(Outcome::Drained),
        }
    }

    /// The engine is done with a connection: whatever was still to be told about it no longer is.
    fn close(&mut self, conn: Conn) {
        if let Conn::Upstream(upstream) = conn {
            self.dialer.cancel(upstream, self.poll.registry(), &mut self.scratch);
        }
        self.remove(conn);
        self.pending.retain(|pending| match pending {
            Pending::Queue(other, _) | Pending::Closed(other, _) => *other != conn,
            Pending::Connected(id) | Pending::ConnectFailed(id, _) => Conn::Upstream(*id) != conn,
            Pending::OracleFailed(_) => true,
        });
    }
}
