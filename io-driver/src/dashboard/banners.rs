//! What a page says first: each state with words of its own, the worst first.

use dpmp_core::PoolId;
use dpmp_core::config::{Config, PoolConfig};
use dpmp_core::oracle::OracleState;
use serde::Serialize;

use super::board::Board;
use super::links::Shown;
use super::state::works;
use super::timeline::{Kind, Weight};
use super::workers::{Word, word};
use crate::logs::redact;

/// One banner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Banner {
    /// The same banner has the same id; a dismissed one does not come again.
    pub(super) id: String,
    pub(super) weight: Weight,
    pub(super) title: String,
    pub(super) text: String,
    /// It may be put away.
    pub(super) dismiss: bool,
    /// Where it can be mended: a page.
    pub(super) link: Option<&'static str>,
    /// The number of the config to go back to.
    pub(super) undo: Option<u64>,
}

/// A banner about something that happened stays for this long, unless it is put away.
const STAYS: u64 = 30 * 86_400_000;

/// A change of pools or wallets is shown for this long.
const DAY: u64 = 86_400_000;

impl Banner {
    fn new(id: impl Into<String>, weight: Weight, title: impl Into<String>, text: impl Into<String>) -> Banner {
        Banner { id: id.into(), weight, title: title.into(), text: text.into(), dismiss: false, link: None, undo: None }
    }

    fn at(mut self, link: &'static str) -> Banner {
        self.link = Some(link);
        self
    }
}

/// True if the pool still has the example's values.
pub(super) fn is_placeholder(pool: &PoolConfig) -> bool {
    let marked = |text: &str, end: &str| text.contains("POOL_") && text.contains(end);
    marked(&pool.address.host, "_HOST") || marked(&pool.wallet, "_WALLET")
}

/// All that applies, the worst first.
pub(super) fn banners(board: &Board, config: &Config, first: bool) -> Vec<Banner> {
    let mut banners = Vec::new();
    pools(board, config, &mut banners);
    shares(board, &mut banners);
    silent(board, &mut banners);
    oracle(board, &mut banners);
    if first {
        let text =
            "The first password stands in dashboard-password.txt beside the config. Sign in and choose your own.";
        banners.push(Banner::new("first", Weight::Note, "Nobody has signed in yet", text));
    }
    if let Some(change) = board.timeline.pools_change.as_ref().filter(|c| super::board::unix_millis() < c.at + DAY) {
        let text = format!(
            "Changed on this page: {}. If it was not you, go back and change the password.",
            change.paths.join(", ")
        );
        let banner = Banner::new(format!("pools-{}", change.at), Weight::Warn, "Pools or wallets were changed", text);
        banners.push(Banner { undo: change.before, ..banner.at("#config") });
    }
    happened(board, &mut banners);
    banners.sort_by_key(|banner| std::cmp::Reverse(banner.weight));
    banners
}

fn pools(board: &Board, config: &Config, banners: &mut Vec<Banner>) {
    let used: Vec<(PoolId, &PoolConfig)> =
        config.pool_ids().zip(&config.pools).filter(|(pool, _)| board.in_use(*pool)).collect();
    let mut down = Vec::new();
    for (pool, settings) in &used {
        let Some(state) = board.pool_state(*pool) else { continue };
        let name = format!("Pool {pool} ({})", settings.name);
        let words = state.words.unwrap_or_default();
        let since = state.since.map_or(0, |since| board.wall(since));
        match state.shown {
            Shown::Down => down.push((*pool, name, words, since, state.next_try)),
            Shown::Refused => {
                let text = format!("It says: “{words}”. Check the wallet and the worker's name.");
                let id = format!("refused-{pool}");
                banners.push(Banner::new(id, Weight::Bad, format!("{name} refuses your wallet"), text).at("#config"));
            }
            Shown::Partly => {
                let text = format!("{} miners can work for it, others cannot: {words}", state.usable);
                banners.push(Banner::new(format!("partly-{pool}"), Weight::Warn, format!("{name} is unsteady"), text));
            }
            _ => {}
        }
    }
    let now = board.clock.now();
    let works_somewhere = used.iter().any(|(pool, _)| board.pool_state(*pool).is_some_and(|state| works(state.shown)));
    if down.len() > 1 && down.len() == used.len() {
        let reasons: Vec<String> = down.iter().map(|(pool, _, words, ..)| format!("{pool}: {words}")).collect();
        let text = format!("Miners stay connected and wait; work resumes by itself. {}", reasons.join(" · "));
        banners.push(Banner::new("all-down", Weight::Bad, "No pool can be reached", text));
        return;
    }
    for (pool, name, words, since, next_try) in down {
        let retry = next_try.map_or(String::new(), |at| format!(" Next try in {} s.", at.since(now).as_secs()));
        let instead = if works_somewhere { " Its work goes to the other pool." } else { "" };
        let banner =
            Banner::new(format!("down-{pool}"), Weight::Bad, format!("{name} is down"), words + "." + &retry + instead);
        let _ = since;
        banners.push(banner);
    }
    for (pool, settings) in config.pool_ids().zip(&config.pools).filter(|(_, pool)| is_placeholder(pool)) {
        let text = format!(
            "Set host and wallet of {} in the config; until then all work goes to the other pool.",
            settings.name
        );
        let title = format!("Pool {pool} still has the example's values");
        banners.push(Banner::new(format!("placeholder-{pool}"), Weight::Warn, title, text).at("#config"));
    }
}

/// Auto-balance is on and has no numbers.
fn oracle(board: &Board, banners: &mut Vec<Banner>) {
    let Some(status) = board.oracle.as_ref().filter(|status| status.active) else { return };
    let (title, text) = match &status.state {
        OracleState::Failing { failures, why } => (
            "Auto-balance gets no fresh numbers",
            format!("{failures} tries failed: {}. What was last applied holds.", redact(why)),
        ),
        OracleState::Fallback { why } => {
            ("Auto-balance has no fresh numbers", format!("{}. Until there are, the fallback holds.", redact(why)))
        }
        OracleState::Off(why) => ("Auto-balance cannot be used", format!("{why}. The weights are the slider's.")),
        _ => return,
    };
    banners.push(Banner::new("oracle", Weight::Warn, title, text));
}

/// Miners that are connected and send nothing.
fn silent(board: &Board, banners: &mut Vec<Banner>) {
    let numbers = &board.numbers;
    let silent: Vec<String> = numbers
        .workers
        .iter()
        .filter(|worker| word(worker, numbers.at) == Word::Silent)
        .map(|worker| redact(&worker.name).into_owned())
        .collect();
    if let Some(first) = silent.first() {
        let (title, others) = match silent.len() {
            1 => ("A miner is silent", String::new()),
            n => ("Miners are silent", format!(" and {} more", n - 1)),
        };
        let text = format!("{first}{others}: connected, but no share for a while.");
        banners.push(Banner::new("silent", Weight::Warn, title, text).at("#stats"));
    }
}

fn shares(board: &Board, banners: &mut Vec<Banner>) {
    let session = &board.numbers.session;
    let (good, bad) = (session.accepted, session.rejected);
    if good + bad >= 200 && bad * 50 > good + bad {
        let percent = bad as f64 * 100.0 / (good + bad) as f64;
        let text = format!("{percent:.1} % of the shares were refused. Switching costs none: see the reasons by pool.");
        banners.push(Banner::new("rejects", Weight::Warn, "Many shares are rejected", text).at("#stats"));
    }
}

/// Blocks and the like, from the timeline.
fn happened(board: &Board, banners: &mut Vec<Banner>) {
    let oldest = super::board::unix_millis().saturating_sub(STAYS);
    for entry in board.timeline.after(0).rev().filter(|entry| entry.at >= oldest) {
        let (title, id) = match entry.kind {
            Kind::Block => ("★ Block candidate", format!("block-{}", entry.at)),
            Kind::Best => ("★ New best share", format!("best-{}", entry.at)),
            _ => continue,
        };
        let banner = Banner::new(id, Weight::Good, title, entry.text.clone());
        banners.push(Banner { dismiss: true, ..banner });
    }
}
