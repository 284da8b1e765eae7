//! What a change of config does to miners and pools, in words, before it is applied.

use dpmp_core::PoolId;
use dpmp_core::config::{Address, Config, PoolConfig};
use serde::Serialize;

use super::ports::wanted;
use crate::http::Site;
use crate::proxy::show;

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// `listen`, `metrics`, `dashboard`, `pool`, `weights`, `schedule`, `limits`, `logging`, `recording`, `other`.
    pub kind: &'static str,
    /// One sentence.
    pub text: String,
}

/// All effects; none: nothing changes but the file.
pub fn effects(old: &Config, new: &Config) -> Vec<Effect> {
    let mut out = Effects(Vec::new());
    if old.listen != new.listen {
        let (from, to) = (show(&old.listen), show(&new.listen));
        out.say("listen", format!("miners are awaited on {to} instead of {from}; those that are connected stay"));
    }
    out.site("metrics", wanted(Site::Metrics, old), wanted(Site::Metrics, new));
    out.site("dashboard", wanted(Site::Dashboard, old), wanted(Site::Dashboard, new));
    out.pools(old, new);
    let (before, after) = (&old.scheduler, &new.scheduler);
    if before.weights != after.weights {
        let (from, to) = (percent(&before.weights), percent(&after.weights));
        out.say("weights", format!("the weights {to} are in force at once (in the file before: {from})"));
    }
    if (before.mode, before.min_switch, before.slice) != (after.mode, after.min_switch, after.slice)
        || (before.failover, before.repay, &before.pins) != (after.failover, after.repay, &after.pins)
    {
        out.say("schedule", "miners are scheduled anew; each stays where it is until its next turn".to_owned());
    }
    if old.limits != new.limits {
        let text = "the limits hold for miners that come from now on; nobody who is connected is sent away";
        out.say("limits", text.to_owned());
    }
    if old.logging != new.logging {
        let text = if old.logging.file == new.logging.file {
            "what is logged changes from the next line on".to_owned()
        } else {
            let place = new.logging.file.as_deref().unwrap_or("stdout");
            format!("the log goes on in {place}")
        };
        out.say("logging", text);
    }
    if old.recording != new.recording {
        let text = match (old.recording.enabled, new.recording.enabled) {
            (_, false) => "nothing is recorded any more; what was recorded stays".to_owned(),
            (false, true) => format!("recording begins, with {} MiB at most", new.recording.max_mib),
            (true, true) => format!("recording goes on, with {} MiB at most", new.recording.max_mib),
        };
        out.say("recording", text);
    }
    let rest = |c: &Config| (c.vardiff, c.dashboard.read, c.dashboard.lock_wallets, c.dashboard.allowed_hosts.clone());
    if rest(old) != rest(new) || old.oracle != new.oracle || old.metrics_per_worker != new.metrics_per_worker {
        out.say("other", "the rest is in force at once".to_owned());
    }
    out.0
}

/// `70 : 30`, rounded to whole percent where that is exact enough.
fn percent(weights: &[u32]) -> String {
    let parts: Vec<String> = weights.iter().map(|w| format!("{}", f64::from(*w) / 1e4)).collect();
    parts.join(" : ")
}

struct Effects(Vec<Effect>);

impl Effects {
    fn say(&mut self, kind: &'static str, text: String) {
        self.0.push(Effect { kind, text });
    }

    fn site(&mut self, kind: &'static str, old: Option<&Address>, new: Option<&Address>) {
        match (old, new) {
            (None, Some(to)) => self.say(kind, format!("served on {} from now on", show(to))),
            (Some(_), None) => self.say(kind, "no longer served".to_owned()),
            (Some(from), Some(to)) if from != to => {
                self.say(kind, format!("moves from {} to {}", show(from), show(to)));
            }
            _ => {}
        }
    }

    fn pools(&mut self, old: &Config, new: &Config) {
        for slot in 0..old.pools.len().max(new.pools.len()) {
            let pool = PoolId(u8::try_from(slot).unwrap_or(u8::MAX));
            let text = match (old.pool(pool), new.pool(pool)) {
                (Some(_), None) => format!("pool {pool} is gone; its miners work for the others in the same instant"),
                (None, Some(to)) => format!("pool {pool} ({}) is new", show(&to.address)),
                (Some(from), Some(to)) if login(from) != login(to) => {
                    let still = "miners stay connected, and work for the other pool meanwhile if it has a weight";
                    format!("pool {pool} ({}) is connected anew, which takes about 2 s; {still}", show(&to.address))
                }
                (Some(from), Some(to)) if from != to => format!("pool {pool}: in force at once, without a reconnect"),
                _ => continue,
            };
            self.say("pool", text);
        }
    }
}

/// What a pool's connection depends on.
fn login(pool: &PoolConfig) -> (&Address, &str, Option<&str>, bool) {
    (&pool.address, &pool.wallet, pool.password.as_deref(), pool.sha256d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(change: impl FnOnce(&mut Config)) -> Vec<&'static str> {
        let old = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![500_000, 500_000]);
        let mut new = old.clone();
        change(&mut new);
        effects(&old, &new).into_iter().map(|effect| effect.kind).collect()
    }

    #[test]
    fn each_change_has_its_words() {
        assert_eq!(kinds(|_| ()), [""; 0]);
        assert_eq!(kinds(|c| c.listen.port = 1), ["listen"]);
        assert_eq!(kinds(|c| c.metrics = None), ["metrics"]);
        assert_eq!(kinds(|c| c.dashboard.enabled = false), ["dashboard"]);
        assert_eq!(kinds(|c| c.pools[1].wallet = "w".to_owned()), ["pool"]);
        assert_eq!(kinds(|c| drop(c.pools.pop())), ["pool"]);
        assert_eq!(kinds(|c| c.scheduler.weights = vec![300_000, 700_000]), ["weights"]);
        assert_eq!(kinds(|c| c.scheduler.failover = Some(PoolId(1))), ["schedule"]);
        assert_eq!(kinds(|c| c.limits.per_address = 3), ["limits"]);
        assert_eq!(kinds(|c| c.logging.keep = 1), ["logging"]);
        assert_eq!(kinds(|c| c.recording.enabled = false), ["recording"]);
        assert_eq!(kinds(|c| c.dashboard.lock_wallets = true), ["other"]);
    }
}
