//! Who the proxy says it is at a pool: each miner in its own words, under the pool's wallet; and that what a pool asks is
//! answered at once.

use dpmp_core::UpstreamId;
use serde_json::Value;

use super::Model;
use crate::frame::Complaints;

/// What a miner has said of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Introduction {
    agent: String,
    user: String,
    password: String,
}

impl Introduction {
    /// From a line of the miner's.
    pub(super) fn hear(&mut self, method: &str, message: &Value) {
        let text = |i: usize| message.pointer(&format!("/params/{i}")).and_then(Value::as_str).unwrap_or_default();
        match method {
            "mining.subscribe" => text(0).clone_into(&mut self.agent),
            "mining.authorize" => {
                text(0).clone_into(&mut self.user);
                text(1).clone_into(&mut self.password);
            }
            _ => {}
        }
    }

    /// The text after the last dot.
    fn worker(&self) -> &str {
        self.user.rsplit('.').next().unwrap_or_default()
    }
}

impl Model {
    /// The proxy sends this to a pool: an answer, or an introduction.
    pub(super) fn introduces(&mut self, now_us: u64, id: UpstreamId, message: &Value, out: &mut Complaints) {
        let up = self.ups.entry(id).or_default();
        let params = message.get("params").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let text = |i: usize| params.get(i).and_then(Value::as_str).unwrap_or_default();
        match message.get("method").and_then(Value::as_str) {
            None => {
                let answered = message.get("id").map_or(String::new(), Value::to_string);
                if let Some(asked) = self.asked.get_mut(&id) {
                    asked.retain(|asked| *asked != answered);
                }
            }
            Some("mining.subscribe") => text(0).clone_into(&mut up.agent),
            Some("mining.authorize") => {
                let (user, password) = (text(0), text(1));
                let worker = user.rsplit('.').next().unwrap_or_default();
                let given = |own: &str| if own.is_empty() { "x".to_owned() } else { own.to_owned() };
                let is = |who: &Introduction| {
                    who.worker() == worker && given(&who.password) == password && who.agent == up.agent
                };
                if params.len() != 2 || !self.sides.values().any(|side| is(&side.introduction)) {
                    let agent = up.agent.clone();
                    out.push(now_us, || format!("logins: no miner is {params:?} with agent {agent:?}"));
                }
            }
            Some(_) => {}
        }
    }

    /// What a pool asked in this step has been answered in this step.
    pub(super) fn check_answered(&mut self, now_us: u64, out: &mut Complaints) {
        for (up, asked) in std::mem::take(&mut self.asked) {
            for asked in asked.into_iter().filter(|_| self.ups.contains_key(&up)) {
                out.push(now_us, || format!("logins: a pool's question {asked} is not answered"));
            }
        }
    }
}
