//! Every key of V2.md and DESIGN §9: what holds when it is absent, written, and out of bounds.

use dpmp_core::config::{
    Address, LogFormat, LogLevel, Mode, OracleFallback, OracleSource, Overrides, Parsed, PoolConfig, ReadAccess,
    Severity, parse, parse_with,
};
use dpmp_core::{Config, Difficulty, PoolId, Span};

/// A file with two pools and these members besides.
fn with(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"pools": {{"A": {{"host": "a.example"}}, "B": {{"host": "b.example"}}}}{comma} {members}}}"#)
}

/// A file whose pool A has these members.
fn pool_a(members: &str) -> String {
    format!(r#"{{"pools": {{"A": {{{members}}}, "B": {{}}}}}}"#)
}

#[track_caller]
fn read(text: &str) -> Parsed {
    match parse(text) {
        Ok(parsed) => parsed,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{text}\n{}", lines.join("\n"))
        }
    }
}

/// The file is fine, without a word.
#[track_caller]
fn silent(text: &str) -> Config {
    let parsed = read(text);
    assert_eq!(parsed.warnings, [], "{text}");
    parsed.config
}

/// The file is fine, with this one warning.
#[track_caller]
fn warned(text: &str, path: &str, event: &str, words: &str) -> Config {
    let parsed = read(text);
    let [warning] = &parsed.warnings[..] else { panic!("{text}: {:?}", parsed.warnings) };
    assert_eq!((warning.path.as_str(), warning.event, warning.severity), (path, event, Severity::Warning), "{text}");
    assert!(warning.to_string().contains(words), "{warning}");
    parsed.config
}

#[track_caller]
fn scheduler(members: &str) -> Config {
    silent(&with(&format!(r#""scheduler": {{{members}}}"#)))
}

#[track_caller]
fn scheduler_warned(members: &str, path: &str, event: &str, words: &str) -> Config {
    warned(&with(&format!(r#""scheduler": {{{members}}}"#)), path, event, words)
}

fn at(host: &str, port: u16) -> Address {
    Address { host: host.into(), port }
}

#[test]
fn absent_keys_have_v2_defaults() {
    let config = silent(r#"{"pools": {"A": {}, "B": {}}}"#);
    let pools = vec![PoolConfig::new("A"), PoolConfig::new("B")];
    let mut defaults = Config::with_pools(pools, vec![500_000, 500_000]);
    defaults.oracle.base_weights = vec![500_000, 500_000];
    assert_eq!(config, defaults);
    assert_eq!(config.listen, at("0.0.0.0", 3350));
    assert_eq!(config.metrics, Some(at("0.0.0.0", 9109)));
    assert_eq!(config.pools[0].address, at("127.0.0.1", 3333));
    assert_eq!((config.pools[1].name.as_str(), config.pools[1].key.as_str()), ("B", "B"));
    assert_eq!((config.pools[0].wallet.as_str(), config.pools[0].chain.as_str()), ("", ""));
    assert_eq!((config.scheduler.min_switch, config.scheduler.slice), (Span::secs(30), Span::secs(25)));
    assert_eq!(config.scheduler.repay, Span::mins(60));
    assert_eq!((config.oracle.max_deviation, config.oracle.poll), (20, Span::secs(600)));
    assert_eq!(config.oracle.url, "", "with the own source nobody is asked");
    assert_eq!((config.oracle.source, config.oracle.fallback), (OracleSource::Own, OracleFallback::Config));
    assert_eq!((config.logging.level, config.logging.rotate_mib, config.logging.keep), (LogLevel::Info, 50, 3));
    assert_eq!((config.limits.max_miners, config.limits.per_address), (10_000, 0));
    assert_eq!(config.dashboard.address, at("0.0.0.0", 8855));
    assert!(config.dashboard.enabled && config.recording.enabled && config.vardiff.enabled);
    assert_eq!((config.recording.max_mib, config.recording.dir.as_str()), (64, "recording"));
    assert_eq!(config.vardiff.millishares_per_minute, 12_000);
}

#[test]
fn null_is_absent() {
    let nulls = r#""listen": null, "metrics": {"port": null}, "scheduler": {"min_switch_seconds": null, "pins": null},
        "logging": {"deny": null, "level": null}, "limits": null, "downstream_diff": null"#;
    assert_eq!(silent(&with(nulls)), silent(&with("")));
}

#[test]
fn listen_and_metrics() {
    assert_eq!(silent(&with(r#""listen": {"host": "::1", "port": "3351"}"#)).listen, at("::1", 3351));
    let older =
        r#""listen_host": "127.0.0.1", "listen_port": "3360", "metrics_host": "127.0.0.1", "metrics_port": 9211"#;
    let config = silent(&with(older));
    assert_eq!(config.listen, at("127.0.0.1", 3360));
    assert_eq!(config.metrics, Some(at("127.0.0.1", 9211)));
    let both = format!(r#""listen": {{"port": 1}}, "metrics": {{"host": "::"}}, {older}"#);
    let config = silent(&with(&both));
    assert_eq!(config.listen, at("127.0.0.1", 1));
    assert_eq!(config.metrics, Some(at("::", 9211)));
    assert_eq!(silent(&with(r#""metrics": {"enabled": false}"#)).metrics, None);
    assert_eq!(silent(&with(r#""metrics_enabled": false"#)).metrics, None);
    assert!(silent(&with(r#""metrics_enabled": false, "metrics": {"enabled": 1}"#)).metrics.is_some());
    let text = with(r#""metrics": {"enabled": "no"}"#);
    assert_eq!(warned(&text, "metrics.enabled", "config_value_corrected", "without quotes").metrics, None);
    let text = with(r#""metrics": {"port": 70000}"#);
    let metrics = warned(&text, "metrics.port", "config_value_corrected", "taken as 9109").metrics;
    assert_eq!(metrics, Some(at("0.0.0.0", 9109)));
    assert_eq!(silent(&with(r#""listen": {"host": "", "port": 0}"#)).listen, at("0.0.0.0", 0));
    let text = with(r#""listen": {"host": "127.0.0.1:3352"}"#);
    assert_eq!(warned(&text, "listen.host", "config_value_corrected", "3352").listen, at("127.0.0.1", 3352));
}

#[test]
fn pools() {
    let config = silent(&pool_a(
        r#""name": " Solo ", "host": "solo.example", "port": "3334", "wallet": "bc1qexample", "chain": "btc",
           "password": "d=64", "algorithm": "SHA256d", "silence_seconds": "90""#,
    ));
    let a = &config.pools[0];
    assert_eq!((a.name.as_str(), &a.address), ("Solo", &at("solo.example", 3334)));
    assert_eq!((a.wallet.as_str(), a.chain.as_str(), a.password.as_deref()), ("bc1qexample", "BTC", Some("d=64")));
    assert_eq!((a.sha256d, a.silence), (true, Span::secs(90)));
    assert!(!silent(&pool_a(r#""algorithm": "scrypt""#)).pools[0].sha256d);
    assert!(
        !warned(&pool_a(r#""algorithm": "SHA-256""#), "pools.A.algorithm", "config_value_ignored", "sha256d").pools[0]
            .sha256d
    );
    assert_eq!(silent(&pool_a(r#""password": """#)).pools[0].password, None);
    assert_eq!(silent(&pool_a(r#""password": 123, "name": 7"#)).pools[0].password.as_deref(), Some("123"));
    let text = pool_a(r#""silence_seconds": 5"#);
    let config = warned(&text, "pools.A.silence_seconds", "config_value_corrected", "at least 30");
    assert_eq!(config.pools[0].silence, Span::secs(30));
    let text = pool_a(r#""port": 3333.7"#);
    let config = warned(&text, "pools.A.port", "config_value_corrected", "taken as 3333");
    assert_eq!(config.pools[0].address.port, 3333);
    let text = pool_a(r#""wallet": " bc1qexample\n""#);
    let config = warned(&text, "pools.A.wallet", "config_value_corrected", "(hidden, 13 characters)");
    assert_eq!(config.pools[0].wallet, "bc1qexample");
    let config = warned(&pool_a(r#""wallet": "bc1q example""#), "pools.A.wallet", "config_value_corrected", "copy it");
    assert_eq!(config.pools[0].wallet, "bc1q example");
    let config = warned(&pool_a(r#""host": " ""#), "pools.A.host", "config_value_corrected", "no host");
    assert_eq!(config.pools[0].address, at("127.0.0.1", 3333));
}

#[test]
fn hosts_with_more_around_them() {
    for (members, host, port, words) in [
        (r#""host": "stratum+tcp://p.example:3335""#, "p.example", 3335, "taken as \"p.example\", port 3335"),
        (r#""host": "stratum+tcp://p.example", "port": 3336"#, "p.example", 3336, "more than a host"),
        (r#""host": "p.example:3335", "port": 3336"#, "p.example", 3336, "the port is that of the key port"),
        (r#""host": "p.example:3335", "port": null"#, "p.example", 3335, "port 3335"),
        (r#""host": "[2001:db8::1]:3335""#, "2001:db8::1", 3335, "port 3335"),
        (r#""host": " p.example""#, "p.example", 3333, "space around"),
        (r#""host": "p. example""#, "p. example", 3333, "invisible character"),
        (r#""host": "tcp://bc1qsecret:x@p.example:3335""#, "p.example", 3335, "(hidden)@p.example"),
    ] {
        let config = warned(&pool_a(members), "pools.A.host", "config_value_corrected", words);
        assert_eq!(config.pools[0].address, at(host, port), "{members}");
    }
    let problems = read(&pool_a(r#""host": "tcp://bc1qsecret:x@p.example:3335""#)).warnings;
    assert!(!problems[0].to_string().contains("secret"));
}

#[test]
fn more_and_fewer_pools() {
    let text = r#"{"pools": {"C": {"host": "c"}, "A": {"host": "a"}, "B": {"host": "b"}},
        "scheduler": {"weights": {"A": 50, "B": 30, "C": 20}, "poolA_weight": 1, "failover": "c", "pins": {"rig": "C"}}}"#;
    let config = silent(text);
    let keys: Vec<&str> = config.pools.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["A", "B", "C"]);
    assert_eq!(config.scheduler.weights, [500_000, 300_000, 200_000]);
    assert_eq!(config.scheduler.failover, Some(PoolId(2)));
    assert_eq!(config.scheduler.pins.get("rig"), Some(&PoolId(2)));

    let all = r#"{"pools": {"A":{},"B":{},"C":{},"D":{},"E":{},"F":{},"G":{},"H":{}},
        "scheduler": {"poolC_weight":50,"poolD_weight":50,"poolE_weight":50,"poolF_weight":50,"poolG_weight":50,"poolH_weight":50}}"#;
    assert_eq!(silent(all).scheduler.weights, [125_000; 8]);

    let config = warned(r#"{"pools": {"A": {}}}"#, "pools.B", "config_value_ignored", "not configured");
    assert_eq!((config.pools.len(), config.scheduler.weights), (1, vec![1_000_000]));

    // The slots keep their letters; one without a pool gets no work.
    let config = warned(r#"{"pools": {"B": {}}}"#, "pools.A", "config_value_ignored", "not configured");
    assert_eq!((config.pools[1].key.as_str(), config.scheduler.weights), ("B", vec![0, 1_000_000]));

    let three = r#"{"pools": {"A": {}, "B": {}, "C": {}}}"#;
    let config = warned(three, "scheduler.poolC_weight", "config_value_corrected", "taken as 50");
    assert_eq!(config.scheduler.weights, [333_334, 333_333, 333_333]);
    let spare =
        r#"{"pools": {"A": {}, "B": {}, "C": {}}, "scheduler": {"failover": "C", "weights": {"A": 1, "B": 1}}}"#;
    assert_eq!(silent(spare).scheduler.weights, [500_000, 500_000, 0]);
    let spare = r#"{"pools": {"A": {}, "B": {}, "C": {}}, "scheduler": {"failover": "C"}}"#;
    assert_eq!(silent(spare).scheduler.weights, [500_000, 500_000, 0]);

    let ninth = r#"{"pools": {"A": {}, "B": {}, "I": {}, "_note": "x"}}"#;
    assert_eq!(warned(ninth, "pools.I", "config_unknown_key", "A to H").pools.len(), 2);
    let small = r#"{"pools": {"A": {}, "B": {}, "c": {}}}"#;
    assert_eq!(warned(small, "pools.c", "config_unknown_key", "did you mean \"C\"").pools.len(), 2);
}

#[test]
fn weights() {
    for (members, weights) in [
        (r#""poolA_weight": 70, "poolB_weight": 30"#, [700_000, 300_000]),
        (r#""poolA_weight": "7", "poolB_weight": "3""#, [700_000, 300_000]),
        (r#""poolA_weight": 0.7, "poolB_weight": 0.3"#, [700_000, 300_000]),
        (r#""poolA_weight": 2, "poolB_weight": 1"#, [666_667, 333_333]),
        (r#""poolA_weight": 100, "poolB_weight": 0"#, [1_000_000, 0]),
        (r#""poolA_weight": 0, "poolB_weight": 1e-3"#, [0, 1_000_000]),
        (r#""poolA_weight": 150"#, [750_000, 250_000]),
        (r#""weights": {}, "poolA_weight": 150"#, [750_000, 250_000]),
        (r#""weights": {"A": 1, "B": 3}, "poolA_weight": -5"#, [250_000, 750_000]),
    ] {
        assert_eq!(scheduler(members).scheduler.weights, weights, "{members}");
    }
    let even = [500_000, 500_000];
    for (members, path, words) in [
        (r#""poolA_weight": 0, "poolB_weight": 0"#, "scheduler.poolA_weight", "no pool has a weight"),
        (r#""poolA_weight": -1, "poolB_weight": 30"#, "scheduler.poolA_weight", "negative"),
        (r#""poolA_weight": 30, "poolB_weight": "-0.5""#, "scheduler.poolB_weight", "negative"),
        (r#""weights": {"A": 0, "B": 0}"#, "scheduler.weights", "no pool has a weight"),
    ] {
        let config = scheduler_warned(members, path, "config_value_corrected", words);
        assert_eq!(config.scheduler.weights, even, "{members}");
    }
    let path = "scheduler.weights.B";
    let config = scheduler_warned(r#""weights": {"A": 9}"#, path, "config_value_corrected", "it gets no work");
    assert_eq!(config.scheduler.weights, [1_000_000, 0]);
    let members = r#""weights": {"A": 9, "B": 1, "D": 5}"#;
    let config = scheduler_warned(members, "scheduler.weights.D", "config_value_ignored", "no such pool");
    assert_eq!(config.scheduler.weights, [900_000, 100_000]);
    scheduler_warned(r#""poolC_weight": 5"#, "scheduler.poolC_weight", "config_value_ignored", "no such pool");
}

#[test]
fn dwell_times() {
    for (members, min_switch, slice) in [
        (r#""min_switch_seconds": 50, "slice_seconds": 30"#, 50, 30),
        (r#""min_switch_seconds": "50""#, 50, 30),
        (r#""min_switch_seconds": 25"#, 25, 20),
        (r#""min_switch_seconds": 3e1, "slice_seconds": 1"#, 30, 1),
    ] {
        let s = scheduler(members).scheduler;
        assert_eq!((s.min_switch, s.slice), (Span::secs(min_switch), Span::secs(slice)), "{members}");
    }
    let switch = ("scheduler.min_switch_seconds", "config_safety_min_switch_clamped");
    let sliced = ("scheduler.slice_seconds", "config_safety_slice_clamped");
    for (members, (path, event), min_switch, slice) in [
        (r#""min_switch_seconds": 24, "slice_seconds": 10"#, switch, 25, 10),
        (r#""min_switch_seconds": -5, "slice_seconds": 10"#, switch, 25, 10),
        (r#""min_switch_seconds": 1e99, "slice_seconds": 10"#, switch, 1_000_000_000, 10),
        (r#""slice_seconds": 30"#, sliced, 30, 25),
        (r#""min_switch_seconds": 50, "slice_seconds": 90"#, sliced, 50, 45),
        (r#""slice_seconds": 0"#, sliced, 30, 1),
        (r#""slice_seconds": -7"#, sliced, 30, 1),
    ] {
        let s = scheduler_warned(members, path, event, "taken as").scheduler;
        assert_eq!((s.min_switch, s.slice), (Span::secs(min_switch), Span::secs(slice)), "{members}");
    }
}

#[test]
fn the_rest_of_the_scheduler() {
    assert_eq!(scheduler(r#""mode": "ratio""#).scheduler.mode, Mode::Ratio);
    assert_eq!(scheduler(r#""mode": "Fleet""#).scheduler.mode, Mode::Fleet);
    let corrected = "config_value_corrected";
    assert_eq!(
        scheduler_warned(r#""mode": "auto""#, "scheduler.mode", corrected, "ratio or fleet").scheduler.mode,
        Mode::Ratio
    );
    assert_eq!(scheduler_warned(r#""mode": 5"#, "scheduler.mode", corrected, "ratio").scheduler.mode, Mode::Ratio);

    assert_eq!(scheduler(r#""failover": "B""#).scheduler.failover, Some(PoolId(1)));
    assert_eq!(scheduler(r#""failover": null"#).scheduler.failover, None);
    assert_eq!(scheduler(r#""failover": """#).scheduler.failover, None);
    let config = scheduler_warned(r#""failover": "C""#, "scheduler.failover", "config_value_ignored", "no such pool");
    assert_eq!(config.scheduler.failover, None);
    scheduler_warned(r#""pins": {"rig": "X"}"#, "scheduler.pins.rig", "config_value_ignored", "no such pool");
    assert_eq!(scheduler(r#""repay_minutes": 0"#).scheduler.repay, Span::ZERO);
    let config = scheduler_warned(r#""repay_minutes": -1"#, "scheduler.repay_minutes", corrected, "at least 0");
    assert_eq!(config.scheduler.repay, Span::ZERO);
}

#[test]
fn oracle() {
    let config = scheduler(
        r#""auto_balance": true, "auto_balance_max_deviation": "30", "oracle_url": "http://o.example/", "oracle_poll_seconds": 900,
           "oracle_fallback": "even""#,
    );
    let o = config.oracle;
    assert_eq!((o.auto_balance, o.max_deviation, o.poll), (true, 30, Span::secs(900)));
    assert_eq!((o.source, o.fallback, o.url.as_str()), (OracleSource::Url, OracleFallback::Even, "http://o.example/"));
    assert_eq!(
        scheduler(r#""oracle_url": "http://o.example/", "oracle_source": "own""#).oracle.source,
        OracleSource::Own
    );
    let o = scheduler(r#""oracle_source": "url""#).oracle;
    assert_eq!((o.source, o.url.as_str()), (OracleSource::Url, "https://www.sr-analyst.com/dpmp/oracle.php"));
    assert_eq!(scheduler(r#""oracle_url": """#).oracle.source, OracleSource::Own);
    let deviation = ("scheduler.auto_balance_max_deviation", "config_safety_max_deviation_clamped");
    for (written, taken) in [(4, 5), (46, 45), (-1, 5)] {
        let members = format!(r#""auto_balance_max_deviation": {written}"#);
        let config = scheduler_warned(&members, deviation.0, deviation.1, &format!("taken as {taken}"));
        assert_eq!(config.oracle.max_deviation, taken);
    }
    let members = r#""oracle_poll_seconds": 60"#;
    let config = scheduler_warned(members, "scheduler.oracle_poll_seconds", "config_safety_oracle_poll_clamped", "600");
    assert_eq!(config.oracle.poll, Span::secs(600));
    scheduler_warned(r#""oracle_url": "o.example""#, "scheduler.oracle_url", "config_invalid", "https://");
    let members = r#""oracle_source": "x""#;
    scheduler_warned(members, "scheduler.oracle_source", "config_value_corrected", "own or url");
}

#[test]
fn difficulties() {
    let bounds = |members: &str| {
        let parsed = read(&with(&format!(r#""downstream_diff": {{{members}}}"#)));
        let shown = |d: Option<Difficulty>| d.map_or("-".to_owned(), |d| d.to_string());
        let pools: Vec<String> = parsed
            .config
            .pools
            .iter()
            .map(|p| format!("{} {}", shown(p.min_difficulty), shown(p.max_difficulty)))
            .collect();
        let warnings: Vec<String> = parsed.warnings.iter().map(|w| w.path.replace("downstream_diff.", "")).collect();
        format!("{} | {}", pools.join(", "), warnings.join(" "))
    };
    for (members, expected) in [
        (r#""#, "- -, - - | "),
        (r#""default_min": 1"#, "1 -, 1 - | "),
        (r#""default_min": 8, "poolA_min": "16", "poolB_min": null"#, "16 -, - - | "),
        (r#""default_min": null, "poolB_min": 0.5, "poolA_max": 1e6"#, "- 1000000, 0.5 - | "),
        (r#""poolA_min": 0, "poolB_min": -1"#, "- -, - - | "),
        (r#""poolA_min": 1_0"#, ""),
        (r#""poolA_min": "1_024", "poolB_max": " 7 ""#, "1024 -, - 7 | "),
        (r#""poolA_min": 100, "poolA_max": 10"#, "10 10, - - | poolA_min"),
        (r#""default_min": 100, "poolA_max": 10, "poolB_max": 20"#, "10 10, 20 20 | default_min default_min"),
        (r#""poolA_min": "much", "poolB_max": 0"#, "- -, - - | poolA_min poolB_max"),
        (r#""poolA_min": [1], "poolB_min": true"#, "- -, - - | poolA_min poolB_min"),
        (r#""default_min": {}"#, "- -, - - | default_min"),
    ] {
        if !expected.is_empty() {
            assert_eq!(bounds(members), expected, "{members}");
        }
    }
    warned(&with(r#""downstream_diff": 5"#), "downstream_diff", "config_value_ignored", "an object must stand");
}

#[test]
fn logging() {
    for (word, level) in [
        ("quiet", LogLevel::Off),
        ("off", LogLevel::Off),
        ("NONE", LogLevel::Off),
        ("INFO", LogLevel::Info),
        (" Warn", LogLevel::Warn),
        ("warning", LogLevel::Warn),
        ("error", LogLevel::Error),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
        ("", LogLevel::Info),
    ] {
        assert_eq!(silent(&with(&format!(r#""logging": {{"level": "{word}"}}"#))).logging.level, level, "{word}");
    }
    let text = with(r#""logging": {"level": "loud"}"#);
    assert_eq!(warned(&text, "logging.level", "config_value_corrected", "taken as info").logging.level, LogLevel::Info);
    let logging = silent(&with(
        r#""logging": {"allow": " a , b,,a", "deny": ["never_heard_of", "c", "c", ""], "json": {"any": "thing"},
           "file": "dpmp.log", "rotate_mib": "10", "keep": 0}"#,
    ))
    .logging;
    assert_eq!(logging.allow, ["a", "b"]);
    assert_eq!(logging.deny, ["never_heard_of", "c"]);
    assert_eq!((logging.file.as_deref(), logging.rotate_mib, logging.keep), (Some("dpmp.log"), 10, 0));
    assert_eq!(silent(&with(r#""logging": {"file": ""}"#)).logging.file, None);
    warned(&with(r#""logging": {"deny": ["a", null]}"#), "logging.deny.1", "config_value_ignored", "not a name");
    assert_eq!((logging.gzip, logging.format, logging.burst), (false, LogFormat::Json, 1_000));
    let logging = silent(&with(r#""logging": {"gzip": true, "format": "Text", "burst": 0}"#)).logging;
    assert_eq!((logging.gzip, logging.format, logging.burst), (true, LogFormat::Text, 0));
    warned(&with(r#""logging": {"format": "xml"}"#), "logging.format", "config_value_corrected", "json or text");
    warned(&with(r#""logging": {"rotate_mib": 0}"#), "logging.rotate_mib", "config_value_corrected", "at least 1");
}

#[test]
fn the_environment_wins() {
    let text = with(r#""logging": {"level": "debug", "allow": ["a"], "deny": ["b"]}"#);
    let set = Overrides { log_level: Some("Error"), log_allow: Some("c, d"), log_deny: Some("e") };
    let logging = parse_with(&text, &set).unwrap().config.logging;
    assert_eq!(
        (logging.level, logging.allow, logging.deny),
        (LogLevel::Error, vec!["c".into(), "d".into()], vec!["e".into()])
    );
    let set = Overrides { log_level: Some(""), log_allow: Some(" "), log_deny: None };
    let logging = parse_with(&text, &set).unwrap().config.logging;
    assert_eq!((logging.level, logging.allow, logging.deny), (LogLevel::Debug, vec!["a".into()], vec!["b".into()]));
    let parsed = parse_with(&text, &Overrides { log_level: Some("loud"), ..Overrides::default() }).unwrap();
    assert_eq!((parsed.warnings[0].path.as_str(), parsed.config.logging.level), ("DPMP_LOG_LEVEL", LogLevel::Info));
}

#[test]
fn new_sections() {
    let config = silent(&with(
        r#""limits": {"max_miners": 50, "per_address": "4"}, "vardiff": {"enabled": false, "shares_per_minute": 7.5},
           "dashboard": {"enabled": false, "host": "127.0.0.1", "port": 8080, "read": "Login", "lock_wallets": true,
                         "allowed_hosts": "dpmp.lan, miner.lan"},
           "recording": {"enabled": false, "max_mib": 128, "dir": "flight"}"#,
    ));
    assert_eq!((config.limits.max_miners, config.limits.per_address), (50, 4));
    assert_eq!((config.vardiff.enabled, config.vardiff.millishares_per_minute), (false, 7_500));
    let d = config.dashboard;
    assert_eq!((d.enabled, d.address, d.read, d.lock_wallets), (false, at("127.0.0.1", 8080), ReadAccess::Login, true));
    assert_eq!(d.allowed_hosts, ["dpmp.lan", "miner.lan"]);
    assert_eq!(
        (config.recording.enabled, config.recording.max_mib, config.recording.dir.as_str()),
        (false, 128, "flight")
    );

    let corrected = "config_value_corrected";
    for (text, path, words) in [
        (r#""limits": {"max_miners": 0}"#, "limits.max_miners", "taken as 1"),
        (r#""limits": {"per_address": -1}"#, "limits.per_address", "taken as 0"),
        (r#""vardiff": {"shares_per_minute": 0}"#, "vardiff.shares_per_minute", "0.1 to 600"),
        (r#""dashboard": {"port": -1}"#, "dashboard.port", "taken as 8855"),
        (r#""dashboard": {"read": "everybody"}"#, "dashboard.read", "taken as \"login\""),
        (r#""recording": {"max_mib": 0}"#, "recording.max_mib", "taken as 1"),
    ] {
        warned(&with(text), path, corrected, words);
    }
}
