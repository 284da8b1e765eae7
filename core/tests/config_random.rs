//! What holds for any text and any weights.

use dpmp_core::config::{MAX_POOLS, WEIGHT_SUM, normalise, parse, tree};
use dpmp_core::{Config, Span};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../config_v2_example.json");

/// Any JSON value, with keys and words of ours among the strange ones.
fn value() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("3333".to_owned()),
        Just("-1".to_owned()),
        Just("stratum+tcp://h:1".to_owned()),
        Just("a,b".to_owned()),
        Just("ratio".to_owned()),
        "[ -~]{0,8}".prop_map(|s| s.replace(['"', '\\'], "")),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        (any::<i32>(), any::<u16>(), -400i32..400).prop_map(|(a, b, e)| format!("{a}.{b}e{e}")),
        (-5i32..70_000).prop_map(|n| n.to_string()),
        word.prop_map(|w| format!("\"{w}\"")),
    ];
    let key = prop::sample::select(vec![
        "pools",
        "A",
        "B",
        "C",
        "H",
        "I",
        "host",
        "port",
        "wallet",
        "name",
        "chain",
        "password",
        "algorithm",
        "listen",
        "metrics",
        "enabled",
        "scheduler",
        "poolA_weight",
        "poolB_weight",
        "poolC_weight",
        "weights",
        "min_switch_seconds",
        "slice_seconds",
        "mode",
        "failover",
        "pins",
        "oracle_url",
        "oracle_poll_seconds",
        "auto_balance",
        "auto_balance_max_deviation",
        "downstream_diff",
        "default_min",
        "poolA_min",
        "poolA_max",
        "logging",
        "level",
        "allow",
        "deny",
        "limits",
        "max_miners",
        "vardiff",
        "shares_per_minute",
        "dashboard",
        "read",
        "recording",
        "dir",
        "silence_seconds",
        "walet",
    ]);
    leaf.prop_recursive(4, 80, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn check(config: &Config) {
    assert!((1..=MAX_POOLS).contains(&config.pools.len()));
    assert_eq!(config.scheduler.weights.len(), config.pools.len());
    assert_eq!(config.scheduler.weights.iter().sum::<u32>(), WEIGHT_SUM);
    assert!(config.scheduler.min_switch >= Span::secs(25));
    assert!(config.scheduler.slice < config.scheduler.min_switch && config.scheduler.slice >= Span::secs(1));
    assert!((5..=45).contains(&config.oracle.max_deviation) && config.oracle.poll >= Span::secs(600));
    for (i, pool) in config.pools.iter().enumerate() {
        assert_eq!(pool.key, ((b'A' + i as u8) as char).to_string());
        assert!(pool.address.port > 0 && !pool.address.host.is_empty());
        if let (Some(min), Some(max)) = (pool.min_difficulty, pool.max_difficulty) {
            assert!(min <= max);
        }
    }
    let bytes = postcard::to_allocvec(config).expect("a config can be written");
    assert_eq!(&postcard::from_bytes::<Config>(&bytes).expect("what was written can be read"), config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn a_damaged_example_is_answered(at in 0..EXAMPLE.len(), cut in 0usize..40, put in "[ -~\u{e9}\\n]{0,3}") {
        let end = (at + cut).min(EXAMPLE.len());
        let _ = parse(&format!("{}{put}{}", &EXAMPLE[..at], &EXAMPLE[end..]));
    }

    #[test]
    fn any_json_gives_a_valid_config_or_errors(
        pools in value(), a in value(), scheduler in value(), difficulty in value(), top in value()
    ) {
        for text in [
            top,
            format!(r#"{{"pools": {pools}, "scheduler": {scheduler}}}"#),
            format!(r#"{{"pools": {{"A": {a}, "B": {{}}}}, "scheduler": {scheduler}, "downstream_diff": {difficulty}}}"#),
            format!(r#"{{"pools": {{"A": {{}}, "B": {{}}}}, "scheduler": {{"poolA_weight": {a}, "weights": {scheduler}}}}}"#),
        ] {
            if let Ok(parsed) = parse(&text) {
                check(&parsed.config);
            }
        }
    }

    #[test]
    fn the_tree_keeps_what_was_written(text in value()) {
        let document = tree::read(&text).unwrap();
        let again = tree::read(&document.root.to_string()).unwrap();
        prop_assert_eq!(&again.root, &document.root);
        prop_assert!(again.duplicates.is_empty());
    }

    #[test]
    fn weights_are_shared_out_exactly(
        weights in prop::collection::vec(prop_oneof![Just(0u128), 1u128..4, 1u128..1_000_000, any::<u128>()], 1..=MAX_POOLS)
    ) {
        let Some(shares) = normalise(&weights) else {
            prop_assert!(weights.iter().all(|w| *w == 0));
            return Ok(());
        };
        prop_assert_eq!(shares.iter().sum::<u32>(), WEIGHT_SUM);
        let capped: Vec<u128> = weights.iter().map(|w| (*w).min(10u128.pow(31))).collect();
        let sum: u128 = capped.iter().sum();
        for i in 0..weights.len() {
            prop_assert_eq!(shares[i] == 0, weights[i] == 0);
            let exact = (capped[i] * 1_000_000 / sum) as u32;
            prop_assert!(shares[i].abs_diff(exact) <= weights.len() as u32);
            for j in 0..weights.len() {
                prop_assert!(capped[i] <= capped[j] || shares[i] >= shares[j], "{:?} {:?}", weights, shares);
                prop_assert!(capped[i] != capped[j] || shares[i].abs_diff(shares[j]) <= weights.len() as u32);
            }
        }
    }
}

/// A recording holds every field: a config that differs in one alone is another one when it is replayed, too.
#[test]
fn a_recorded_config_is_the_same_in_every_field() {
    let more = r#", "metrics": {"per_worker": true}, "logging": {"gzip": true, "format": "text", "burst": 7}}"#;
    let pools = r#"{"pools": {"A": {"host": "a", "port": 1}, "B": {"host": "b", "port": 1}}"#;
    let text = format!("{pools}{more}");
    let config = parse(&text).expect("all of it is allowed").config;
    assert!(config.metrics_per_worker && config.logging.gzip && config.logging.burst == 7);
    let text = serde_json::to_string(&config).expect("plain data");
    assert_eq!(serde_json::from_str::<Config>(&text).expect("what was written"), config);
}
