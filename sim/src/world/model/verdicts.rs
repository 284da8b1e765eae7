//! I2: what a miner is told of its share is what its pool has said of it, no more and no less; where no pool has said
//! anything, the proxy says why.

use dpmp_core::{MinerId, UpstreamId};
use serde_json::Value;

use super::{Model, Up};
use crate::frame::Complaints;
use crate::hex;

/// The proxy answers for a pool that says nothing for this long.
const PATIENCE_US: u64 = 30_000_000;

/// A request of a miner's that has no reply yet.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) at_us: u64,
    /// Its id, as JSON text.
    pub(super) request: String,
    pub(super) submit: bool,
}

/// Who waits for a pool's verdict on a share.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    pub(super) from: MinerId,
    pub(super) miner: usize,
    /// The id of its request, as JSON text.
    pub(super) request: String,
    pub(super) since_us: u64,
}

/// What is said of a share, by a pool or by the proxy.
#[derive(Clone, Debug, PartialEq)]
struct Words {
    accepted: bool,
    /// None where a pool gives none.
    code: Option<i64>,
    text: String,
}

/// A pool's verdict that has come with this step.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    up: UpstreamId,
    for_whom: Waits,
    words: Words,
}

/// A reply to a submit that the proxy gave in this step.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    to: MinerId,
    request: String,
    words: Words,
}

impl Words {
    /// From any of the shapes that pools give their answers.
    fn read(message: &Value) -> Words {
        let error = message.get("error").filter(|error| !error.is_null());
        let reason = message.get("reject-reason").filter(|reason| !reason.is_null());
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (code, text) = match (error, reason) {
            (Some(Value::Array(parts)), _) => (parts.first().and_then(Value::as_i64), text(parts.get(1))),
            (Some(Value::Object(parts)), _) => (parts.get("code").and_then(Value::as_i64), text(parts.get("message"))),
            (Some(words), _) | (None, Some(words)) => (None, text(Some(words))),
            (None, None) => (None, String::new()),
        };
        let accepted = error.is_none() && message.get("result").is_some_and(|result| *result == Value::Bool(true));
        Words { accepted, code, text }
    }

    /// The miner was told what the pool said.
    fn passes_on(&self, pool: &Words) -> bool {
        self.accepted == pool.accepted
            && (self.accepted || self.text == pool.text && pool.code.is_none_or(|code| self.code == Some(code)))
    }
}

impl Up {
    /// A line of the pool's that is no call: its verdict on a share, if somebody waits for it.
    pub(super) fn judged(&mut self, up: UpstreamId, line: &[u8]) -> Option<Verdict> {
        let message: Value = serde_json::from_slice(line).ok()?;
        let id = message.get("id")?.to_string();
        let at = self.waiting.iter().position(|(request, _)| *request == id)?;
        let (_, for_whom) = self.waiting.remove(at);
        Some(Verdict { up, for_whom, words: Words::read(&message) })
    }
}

impl Model {
    /// The engine replies to a miner.
    pub(super) fn replies(&mut self, now_us: u64, id: MinerId, message: &Value, out: &mut Complaints) {
        let Some(side) = self.sides.get_mut(&id) else { return };
        let request = message.get("id").map_or("none".to_owned(), Value::to_string);
        let at = side.open.iter().position(|open| open.request == request);
        match at.and_then(|at| side.open.remove(at)) {
            Some(open) if open.submit => self.replied.push(Reply { to: id, request, words: Words::read(message) }),
            Some(_) => {}
            None if request == "null" => {}
            None => out.push(now_us, || {
                format!("I2: miner {} gets a reply that it has or never asked: {request}", side.miner)
            }),
        }
        // Only the reply to subscribe is a list of three with a text in the middle.
        if let Some([_, Value::String(extranonce1), extranonce2_bytes]) =
            message.get("result").and_then(Value::as_array).map(Vec::as_slice)
        {
            side.extranonce1 = hex::decode(extranonce1).unwrap_or_default();
            side.extranonce2_bytes = extranonce2_bytes.as_u64().unwrap_or_default();
        }
    }

    /// At the end of a step: each verdict has become a reply, and each reply has a verdict or a reason behind it.
    pub(super) fn check_verdicts(&mut self, now_us: u64, out: &mut Complaints) {
        for Verdict { up, for_whom, words } in std::mem::take(&mut self.verdicts) {
            let Waits { from, miner, request, .. } = for_whom;
            let ended = !self.ups.contains_key(&up);
            let at = self.replied.iter().position(|reply| reply.to == from && reply.request == request);
            match at.map(|at| self.replied.remove(at).words) {
                // What came behind the line that ended the connection is not read.
                Some(told) if told.passes_on(&words) || ended && !told.accepted => {}
                Some(told) => {
                    out.push(now_us, || format!("I2: miner {miner} is told {told:?}, its pool said {words:?}"))
                }
                None if ended || !self.sides.contains_key(&from) => {}
                None => out.push(now_us, || format!("I2: miner {miner} is not told that its pool said {words:?}")),
            }
        }
        for reply in std::mem::take(&mut self.replied) {
            // One that is closed in the same step has lost its books.
            if self.sides.contains_key(&reply.to) && !self.has_reason(now_us, &reply) {
                let Reply { to, words, .. } = reply;
                let miner = self.sides.get(&to).map_or(usize::MAX, |side| side.miner);
                out.push(now_us, || format!("I2: miner {miner} is told {words:?}, and no pool has said so"));
            }
        }
    }

    /// A reply without a pool's verdict: the share came with this step and went nowhere, or its pool has not answered in
    /// time or is gone. Only a share that its pool would not want is accepted without it.
    fn has_reason(&mut self, now_us: u64, reply: &Reply) -> bool {
        let Reply { to, request, words } = reply;
        // One id may be that of many: any of them may be meant.
        let mut now = self.expected.iter().filter(|e| e.from == *to && e.request == *request && !e.forwarded);
        if now.any(|share| !words.accepted || !share.good && !share.again) {
            return true;
        }
        let is = |waits: &Waits| waits.from == *to && waits.request == *request;
        if !words.accepted {
            if let Some(at) = self.ended.iter().position(is) {
                self.ended.remove(at);
                return true;
            }
            let late = |waits: &Waits| is(waits) && now_us >= waits.since_us + PATIENCE_US;
            for up in self.ups.values_mut() {
                if let Some(at) = up.waiting.iter().position(|(_, waits)| late(waits)) {
                    up.waiting.remove(at);
                    return true;
                }
            }
        }
        // What can be told apart comes first.
        let Some(side) = self.sides.get_mut(to) else { return false };
        let at = side.untraced.iter().position(|untraced| untraced == request);
        at.map(|at| side.untraced.remove(at)).is_some()
    }
}
