//! What a page says first: each state with words of its own, the worst first.

use dpmp_core::config::{Config, MAX_POOLS, PoolConfig};
use dpmp_core::oracle::OracleState;
use dpmp_core::{PoolId, Time};
use serde::Serialize;

use super::board::Board;
use super::links::Shown;
use super::state::works;
use super::timeline::{Kind, Weight};
use super::workers::{SILENT_AFTER, Word, word};
use crate::logs::redact;
use crate::statistics::snapshot::Shares;

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

/// Banners that a page is given: the worst, and the latest.
const MOST: usize = 20;

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
    silent(board, board.clock.now(), &mut banners);
    oracle(board, &mut banners);
    if first {
        let text =
            "The first password stands in dashboard-password.txt beside the config. Sign in and choose your own.";
        banners.push(Banner::new("first", Weight::Note, "The first password still holds", text));
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
fn silent(board: &Board, now: Time, banners: &mut Vec<Banner>) {
    let numbers = &board.numbers;
    if !had_work(board, now) {
        return;
    }
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

/// True if a pool has been there for long enough that a miner without a share is to blame itself.
fn had_work(board: &Board, now: Time) -> bool {
    (0..MAX_POOLS as u8).map(PoolId).filter(|pool| board.in_use(*pool)).any(|pool| {
        let state = board.pool_state(pool).filter(|state| works(state.shown));
        state.is_some_and(|state| state.since.is_some_and(|since| now.since(since).as_secs_f64() >= SILENT_AFTER))
    })
}

fn shares(board: &Board, banners: &mut Vec<Banner>) {
    banners.extend(too_many_bad(&board.numbers.session));
}

/// More than one share of fifty brought nothing: refused by a pool, or dropped here.
fn too_many_bad(session: &Shares) -> Option<Banner> {
    let (all, rejected, dropped) = (session.ended, session.rejected, session.dropped);
    if all < 200 || (rejected + dropped) * 50 <= all {
        return None;
    }
    let percent = |part: u64| part as f64 * 100.0 / all as f64;
    let title = match (rejected, dropped) {
        (_, 0) => "Many shares are rejected",
        (0, _) => "Many shares are dropped",
        _ => "Many shares are rejected or dropped",
    };
    let by_pools = format!("{:.1} % of the shares were refused by pools", percent(rejected));
    let by_us = format!("{:.1} % were dropped here, as they were no valid work", percent(dropped));
    let parts = [(rejected, by_pools), (dropped, by_us)].into_iter().filter(|(count, _)| *count > 0);
    let text = parts.map(|(_, text)| text).collect::<Vec<_>>().join("; ") + ". See the reasons by pool and by miner.";
    Some(Banner::new("rejects", Weight::Warn, title, text).at("#stats"))
}

/// Blocks and the like, from the timeline.
fn happened(board: &Board, banners: &mut Vec<Banner>) {
    let oldest = super::board::unix_millis().saturating_sub(STAYS);
    let lately = || board.timeline.after(0).rev().filter(|entry| entry.at >= oldest);
    let good =
        |id: String, title: &str, text: String| Banner { dismiss: true, ..Banner::new(id, Weight::Good, title, text) };
    // A better one takes the place of the one before.
    if let Some(entry) = lately().find(|entry| entry.kind == Kind::Best) {
        banners.push(good(format!("best-{}", entry.at), "★ New best share", entry.text.clone()));
    }
    let blocks: Vec<_> = lately().filter(|entry| entry.kind == Kind::Block).collect();
    // What does not fit is told in one, so that a page can put all of them away.
    let room = MOST.saturating_sub(banners.len() + 1).max(1);
    let (shown, older) = blocks.split_at(room.min(blocks.len()));
    for entry in shown {
        banners.push(good(format!("block-{}-{}", entry.at, entry.seq), "★ Block candidate", entry.text.clone()));
    }
    if let Some(newest) = older.first() {
        let text = format!("{} more before these. Stats has all of them.", older.len());
        banners
            .push(good(format!("blocks-{}-{}", newest.at, newest.seq), "★ Older block candidates", text).at("#stats"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::board::tests::board;
    use crate::statistics::Snapshot;
    use crate::statistics::snapshot::Worker;
    use dpmp_core::notice::Who;
    use dpmp_core::{MinerId, Notice, Span};
    use std::sync::Arc;

    fn session(ended: u64, rejected: u64, dropped: u64) -> Shares {
        Shares { ended, accepted: ended - rejected - dropped, rejected, dropped, ..Shares::default() }
    }

    #[test]
    fn dropped_shares_are_bad_ones_too() {
        assert_eq!(too_many_bad(&session(1_000, 10, 10)), None);
        assert_eq!(too_many_bad(&session(199, 0, 199)), None);
        let dropped = too_many_bad(&session(1_000, 0, 500)).unwrap();
        assert_eq!(dropped.title, "Many shares are dropped");
        assert!(dropped.text.starts_with("50.0 % were dropped here"), "{}", dropped.text);
        let both = too_many_bad(&session(1_000, 15, 15)).unwrap();
        assert!(both.text.contains("1.5 % of the shares were refused by pools; 1.5 % were dropped"), "{}", both.text);
        assert_eq!(too_many_bad(&session(1_000, 30, 0)).unwrap().title, "Many shares are rejected");
    }

    #[test]
    fn a_crowd_of_blocks_is_a_page_of_banners() {
        let (mut board, config) = board();
        for n in 0..117 {
            board.tell(Kind::Block, Weight::Good, None, format!("block {n}"));
            board.tell(Kind::Best, Weight::Good, None, format!("best {n}"));
        }
        let shown = banners(&board, &config, true);
        assert_eq!(shown.len(), MOST);
        let texts: Vec<_> = shown.iter().map(|banner| banner.text.as_str()).collect();
        assert!(texts.contains(&"best 116") && texts.contains(&"block 116") && !texts.contains(&"block 0"));
        assert_eq!(shown.iter().filter(|banner| banner.id.starts_with("best-")).count(), 1);
        assert!(shown.last().unwrap().text.starts_with("100 more before these"), "{:?}", shown.last());
        let ids: std::collections::BTreeSet<_> = shown.iter().map(|banner| &banner.id).collect();
        assert_eq!(ids.len(), MOST, "each is put away by itself");
    }

    #[test]
    fn nobody_is_silent_while_no_pool_gives_work() {
        let (mut board, _) = board();
        let worker = Worker { name: "rig".into(), connections: 1, ..Worker::default() };
        board.numbers = Arc::new(Snapshot { at: 10_000, workers: vec![worker], ..Snapshot::default() });
        let says = |board: &Board, now: u64| {
            let mut found = Vec::new();
            silent(board, Time::ZERO + Span::secs(now), &mut found);
            !found.is_empty()
        };
        assert!(!says(&board, 4_000), "no pool is up");
        let who = Who { miner: MinerId(1), peer: ([192, 0, 2, 5], 51_234).into(), worker: "rig".into() };
        board.links.observe(
            Time::ZERO + Span::secs(4_000),
            &Notice::PoolUsable { who, pool: PoolId(0), reconnected: false, other_alive: false },
        );
        assert!(!says(&board, 4_200), "it has just come back");
        assert!(says(&board, 4_400));
    }
}
