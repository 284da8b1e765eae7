//! What `/metrics` gives out, read as Prometheus reads it: the text format 0.0.4, line by line.

#![allow(clippy::unwrap_used, reason = "a missing value is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Miner, Pool, Proxy, wait_for};

/// A name and its labels, parsed by the rules of the format.
fn series(text: &str) -> (String, Vec<(String, String)>, &str) {
    let end = text.find(['{', ' ']).unwrap_or_else(|| panic!("no value in {text:?}"));
    let name = text[..end].to_owned();
    let mut rest = &text[end..];
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label in {text:?}"));
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap_or_else(|| panic!("no end of a value in {text:?}")) {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().unwrap().1 {
                        'n' => value.push('\n'),
                        c @ ('\\' | '"') => value.push(c),
                        c => panic!("\\{c} is no escape: {text:?}"),
                    },
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else {
                rest = rest.strip_prefix('}').unwrap_or_else(|| panic!("no end of labels in {text:?}"));
                break;
            }
        }
    }
    (name, labels, rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value in {text:?}")))
}

fn is_name(name: &str, also: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || also.contains(c);
    !name.is_empty() && name.chars().all(good) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Panics at the first line that is not the format. Gives every series with its value.
fn read(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut types, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let (mut found, mut ended, mut last) = (BTreeMap::new(), BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()) && words.len() > 5, "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else {
            let (name, labels, value) = series(line);
            assert!(is_name(&name, ":"), "{line}");
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|tail| {
                let base = name.strip_suffix(tail)?;
                (types.get(base)? == "histogram").then(|| base.to_owned())
            });
            let family = of.unwrap_or_else(|| name.clone());
            assert!(types.contains_key(&family) && helped.contains(&family), "no type or help before {line}");
            // All lines of a family stand together.
            if family != last {
                assert!(ended.insert(family.clone()), "{family} comes twice");
                last.clone_from(&family);
            }
            let mut seen = BTreeSet::new();
            for (label, _) in &labels {
                assert!(is_name(label, "") && !label.starts_with("__") && seen.insert(label), "{line}");
            }
            let value: f64 = match value {
                "+Inf" => f64::INFINITY,
                "-Inf" => f64::NEG_INFINITY,
                "NaN" => f64::NAN,
                number => number.parse().unwrap_or_else(|_| panic!("no number in {line}")),
            };
            if types[&family] == "counter" {
                assert!(value >= 0.0 && family.ends_with("_total"), "a counter that is none: {line}");
            }
            let key = format!("{name}{labels:?}");
            assert!(found.insert(key, value).is_none(), "twice: {line}");
        }
    }
    found
}

#[test]
fn a_scrape_is_valid_and_complete_from_the_start() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let proxy = Proxy::start("exposition", [a.address, b.address], r#","limits":{"max_miners":10}"#);
    let (_, text) = proxy.get("/metrics");
    let first = read(&text);
    // Closed labels are there before anything has happened, with 0.
    for series in [
        "dpmp_share_faults_total{fault=\"proxy\"}",
        "dpmp_share_results_total{result=\"credited\"}",
        "dpmp_pool_rejects_total{pool=\"B\",reason=\"stale\"}",
        "dpmp_credited_difficulty_sum_total{pool=\"A\"}",
        "dpmp_job_fanout_seconds_count",
        "dpmp_share_processing_seconds_count",
        "dpmp_best_share_difficulty{scope=\"all_time\"}",
        "dpmp_workers{state=\"connected\"}",
        "dpmp_switch_lost_work_ratio{window=\"24h\"}",
        "dpmp_statistics_lost_facts",
        "dpmp_pool_blocks{pool=\"A\"}",
        "dpmp_pool_best_share_difficulty{pool=\"B\",scope=\"session\"}",
    ] {
        assert!(text.contains(&format!("\n{series} 0\n")), "{series} is not 0 in\n{text}");
    }
    for series in [
        "dpmp_hashrate{window=\"5m\"}",
        "dpmp_split_error_ratio{pool=\"A\",window=\"1h\"}",
        "dpmp_pool_expected_block_seconds{pool=\"A\"}",
        "dpmp_pool_block_odds_per_day{pool=\"B\"}",
        "dpmp_session_share_luck",
    ] {
        assert!(text.contains(&format!("\n{series} NaN\n")), "{series} is not NaN in\n{text}");
    }
    assert!(!text.contains("dpmp_worker_"), "single workers only if asked for");
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login("x.rig");
    for id in 10..40 {
        miner.submit(id, "x.rig", &job, size);
    }
    wait_for("shares", || (proxy.metric("dpmp_share_processing_seconds_count") >= 30.0).then_some(()));
    let then = read(&proxy.get("/metrics").1);
    let missing: Vec<_> = first.keys().filter(|key| !then.contains_key(*key)).collect();
    assert!(missing.is_empty(), "a series has gone: {missing:?}");
    let payouts = then.iter().filter(|(key, _)| key.starts_with("dpmp_pool_payout"));
    assert_eq!(payouts.clone().count(), 10, "five for each pool");
    wait_for("a payout", || {
        let now = read(&proxy.get("/metrics").1);
        let (payouts, height) = (now.iter().filter(|(key, _)| key.contains("dpmp_pool_payout")), "dpmp_pool_height");
        let known = now.iter().any(|(key, _)| key.starts_with(height));
        (known && payouts.map(|(_, n)| n).sum::<f64>() >= 1.0).then_some(())
    });
    let took = proxy.metric("dpmp_share_processing_seconds_sum") / 30.0;
    assert!(took > 0.0 && took < 1.0, "{took} s for a share");
    assert!(proxy.metric("dpmp_job_fanout_seconds_count") <= 2.0);
}

/// Names are the miners' own: anything may be in them.
#[test]
fn workers_have_series_if_asked_for_and_at_most_two_hundred() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let proxy = Proxy::start_with("per-worker", [a.address, b.address], r#","per_worker":true"#);
    let mut miners: Vec<Miner> = Vec::new();
    for n in 0..205u64 {
        let mut miner = Miner::connect(proxy.port);
        let name = if n == 0 { r#"x.we\"ird\\{name}\n"#.to_owned() } else { format!("x.rig{n}") };
        let (size, job) = miner.login(&name);
        let shares = if n == 0 { 3 } else { 1 };
        for id in 0..shares {
            assert_eq!(miner.submit(1_000 * n + 10 + id, &name, &job, size)["result"], true);
        }
        miners.push(miner);
    }
    let key = "dpmp_workers[(\"state\", \"connected\")]";
    let found = wait_for("all workers", || {
        let found = read(&proxy.get("/metrics").1);
        (found[key] == 205.0).then_some(found)
    });
    let listed: Vec<_> = found.keys().filter(|key| key.starts_with("dpmp_worker_best_share_difficulty")).collect();
    assert_eq!(listed.len(), 200);
    assert!(
        listed.iter().any(|key| key.contains(r#"we\"ird"#)),
        "the one with the most work is among them: {listed:?}"
    );
}
