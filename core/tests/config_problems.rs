//! What is reported, and how it reads: errors, broken JSON, placeholders, misspelt keys, and never a wallet.

use dpmp_core::config::{Problem, Severity, parse};

const EXAMPLE: &str = include_str!("../../config_v2_example.json");

fn filled() -> String {
    let mut text = EXAMPLE.to_owned();
    for (placeholder, value) in [
        ("POOL_A_HOST", "a.example"),
        ("POOL_B_HOST", "b.example"),
        ("POOL_A_WALLET", "bc1qexample"),
        ("POOL_B_WALLET", "qexample"),
    ] {
        text = text.replace(placeholder, value);
    }
    text
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn errors(text: &str) -> Vec<Problem> {
    let problems = parse(text).expect_err(text);
    problems.into_iter().filter(|p| p.severity == Severity::Error).collect()
}

/// One line for each problem, whether the file can be used or not.
fn report(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(parsed) => lines(&parsed.warnings),
        Err(problems) => lines(&problems),
    }
}

#[test]
fn the_example_has_placeholders_and_nothing_else() {
    let mend_host =
        "still the placeholder of the example; replace it by your pool's host name, such as solo.ckpool.org";
    let mend_wallet = "still the placeholder of the example; replace it by your payout address for this pool, or by \"\" \
                       if the pool pays an account by the worker's name";
    assert_eq!(
        report(EXAMPLE),
        [
            format!("error: pools.A.host = \"POOL_A_HOST\": {mend_host}"),
            format!("error: pools.A.wallet = \"POOL_A_WALLET\": {mend_wallet}"),
            format!("error: pools.B.host = \"POOL_B_HOST\": {mend_host}"),
            format!("error: pools.B.wallet = \"POOL_B_WALLET\": {mend_wallet}"),
        ]
    );
    assert!(parse(EXAMPLE).unwrap_err().iter().all(|p| p.event == "config_placeholder"));
}

#[test]
fn the_example_filled_in_is_fine() {
    let parsed = parse(&filled()).unwrap();
    assert_eq!(parsed.warnings, []);
    assert_eq!(parsed.config.listen.port, 3351);
    assert_eq!(parsed.config.metrics.map(|m| m.port), Some(9210));
    assert_eq!(parsed.config.dashboard.address.port, 8855);
    assert_eq!(parsed.config.scheduler.min_switch.as_secs(), 50);
    assert_eq!(parsed.config.scheduler.slice.as_secs(), 30);
    assert_eq!(parsed.config.scheduler.weights, [500_000, 500_000]);
    assert!(parsed.config.logging.deny.iter().any(|e| e == "share_result"));
}

/// As v2's own screens write it.
#[test]
fn a_file_of_v2_loads_without_a_word() {
    let text = r#"{
        "downstream_diff": {"default_min": 1, "poolA_min": 1, "poolA_max": null, "poolB_min": 8192.0},
        "listen": {"host": "0.0.0.0", "port": 3351},
        "logging": {"allow": [], "deny": ["authorize_rewrite", "prune_job_owner", "share_result"], "json": true, "level": "INFO"},
        "metrics": {"enabled": true, "host": "0.0.0.0", "port": "9210"},
        "pools": {
            "A": {"host": "a.example", "name": "Solo", "port": 3333, "wallet": "bc1qexample", "chain": "BTC"},
            "B": {"host": "192.0.2.9", "name": "Home", "port": 2020.0, "wallet": "", "chain": "NONE"}
        },
        "scheduler": {
            "min_switch_seconds": 50, "mode": "ratio", "poolA_weight": 95, "poolB_weight": 5, "slice_seconds": 10,
            "auto_balance": false, "auto_balance_max_deviation": 20,
            "oracle_url": "https://www.sr-analyst.com/dpmp/oracle.php", "oracle_poll_seconds": 600
        }
    }"#;
    let parsed = parse(text).unwrap();
    assert_eq!(parsed.warnings, []);
    assert_eq!(parsed.config.scheduler.weights, [950_000, 50_000]);
    assert_eq!(parsed.config.pools[1].address.port, 2020);
}

/// In v2 a pool of weight 0 is never connected, so its placeholders do no harm.
#[test]
fn an_unused_pool_may_be_unfinished() {
    let text = EXAMPLE.replace("POOL_A_HOST", "a.example").replace("POOL_A_WALLET", "bc1qexample");
    let text = text.replace("\"poolB_weight\": 50", "\"poolB_weight\": 0").replace("\"port\": 3333", "\"port\": 0");
    let problems = errors(&text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].path, "pools.A.port");
    let text = text.replace("\"port\": 0", "\"port\": 3333");
    let parsed = parse(&text).unwrap();
    let paths: Vec<&str> = parsed.warnings.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["pools.B.host", "pools.B.wallet"]);
    let used = text.replace("\"mode\": \"ratio\"", "\"failover\": \"B\"");
    assert_eq!(errors(&used).len(), 2);
}

#[test]
fn wrong_values_and_types() {
    let pool_a = |members: &str| format!(r#"{{"pools": {{"A": {{{members}}}, "B": {{}}}}}}"#);
    let rest = |members: &str| format!(r#"{{"pools": {{"A": {{}}, "B": {{}}}}, {members}}}"#);
    for (text, line) in [
        (
            pool_a(r#""port": 0"#),
            "error: pools.A.port = 0: not a port; write the pool's Stratum port, a number from 1 to 65535",
        ),
        (
            pool_a(r#""port": "65536""#),
            "error: pools.A.port = \"65536\": not a port; write the pool's Stratum port, a number from 1 to 65535",
        ),
        (
            pool_a(r#""port": -1"#),
            "error: pools.A.port = -1: not a port; write the pool's Stratum port, a number from 1 to 65535",
        ),
        (pool_a(r#""port": "x""#), "error: pools.A.port = \"x\": a text where a number must stand; write a number"),
        (pool_a(r#""port": []"#), "error: pools.A.port = [...]: a list where a number must stand; write a number"),
        (
            pool_a(r#""host": true"#),
            "error: pools.A.host = true: true or false where a text must stand; write a text in double quotes",
        ),
        (
            pool_a(r#""host": "stratum+ssl://p.example:443""#),
            "error: pools.A.host = \"stratum+ssl://p.example:443\": TLS to pools is not supported; write the host alone, and the port on which the pool takes plain Stratum",
        ),
        (
            pool_a(r#""host": "stratum2+tcp://p.example""#),
            "error: pools.A.host = \"stratum2+tcp://p.example\": Stratum v2 is not supported; write the host alone, and the port on which the pool takes Stratum v1",
        ),
        (
            pool_a(r#""wallet": {"x": "bc1qsecret"}"#),
            "error: pools.A.wallet = {...}: an object where a text must stand; write a text in double quotes",
        ),
        (
            pool_a(r#""password": ["secret"]"#),
            "error: pools.A.password = [...]: a list where a text must stand; write a text in double quotes",
        ),
        (
            r#"{"pools": {"A": "bc1qsecret", "B": {}}}"#.into(),
            "error: pools.A = (hidden, 10 characters): a text where an object must stand; write { ... }",
        ),
        (
            rest(r#""listen": {"port": 70000}"#),
            "error: listen.port = 70000: not a port; write a number from 1 to 65535",
        ),
        (rest(r#""listen_port": "x""#), "error: listen_port = \"x\": a text where a number must stand; write a number"),
        (
            rest(r#""listen": "0.0.0.0:3351""#),
            "error: listen = \"0.0.0.0:3351\": a text where an object must stand; write { ... }",
        ),
        (
            rest(r#""metrics": {"enabled": "maybe"}"#),
            "error: metrics.enabled = \"maybe\": a text where true or false must stand; write true or false without quotes",
        ),
        (
            rest(r#""scheduler": {"poolA_weight": "50%"}"#),
            "error: scheduler.poolA_weight = \"50%\": a text where a number must stand; write a number",
        ),
        (
            rest(r#""scheduler": {"weights": [1, 2]}"#),
            "error: scheduler.weights = [...]: a list where an object must stand; write { ... }",
        ),
        (
            rest(r#""scheduler": {"min_switch_seconds": true}"#),
            "error: scheduler.min_switch_seconds = true: true or false where a number must stand; write a number",
        ),
        (
            rest(r#""scheduler": {"pins": {"rig": 5.0}}"#),
            "warning: scheduler.pins.rig = 5.0: no such pool is configured; write the key of a configured pool, such as \"B\"; without effect",
        ),
        (
            rest(r#""logging": {"deny": 5}"#),
            "error: logging.deny = 5: a number where a list must stand; write a list of texts: [\"one\", \"two\"]",
        ),
        (
            "[]".into(),
            "error: the file: a list where an object must stand; the file is one object, { ... }: copy config_v2_example.json and fill it in",
        ),
        (
            "{}".into(),
            "error: pools: no pool is configured; write \"pools\": {\"A\": {\"host\": \"pool.example\", \"port\": 3333, \"wallet\": \"your payout address\"}, \"B\": {...}}",
        ),
        (
            r#"{"pools": {}}"#.into(),
            "error: pools: no pool is configured; write \"pools\": {\"A\": {\"host\": \"pool.example\", \"port\": 3333, \"wallet\": \"your payout address\"}, \"B\": {...}}",
        ),
        (r#"{"pools": []}"#.into(), "error: pools = [...]: a list where an object must stand; write { ... }"),
    ] {
        assert_eq!(report(&text), [line], "{text}");
    }
}

#[test]
fn everything_at_once_in_one_report() {
    let text = r#"{
        "listen": {"port": 99999},
        "metrics": {"enabled": []},
        "pools": {"A": {"host": "POOL_A_HOST", "port": 0, "walet": "bc1qsecret"}, "B": {"host": 5, "port": "x"}},
        "scheduler": {"poolA_weight": "much", "min_switch_seconds": 1, "slice_seconds": 99},
        "downstream_diff": {"poolA_min": 5, "poolA_max": 1},
        "logging": {"level": "loud", "deny": false},
        "limits": {"max_miners": "many"}
    }"#;
    let problems = parse(text).unwrap_err();
    let told: Vec<(&str, bool)> = problems.iter().map(|p| (p.path.as_str(), p.severity == Severity::Error)).collect();
    assert_eq!(
        told,
        [
            ("listen.port", true),
            ("metrics.enabled", true),
            ("scheduler.min_switch_seconds", false),
            ("scheduler.slice_seconds", false),
            ("scheduler.poolA_weight", true),
            ("pools.A.walet", false),
            ("downstream_diff.poolA_min", false),
            ("pools.A.host", true),
            ("pools.A.port", true),
            ("pools.B.port", true),
            ("limits.max_miners", true),
            ("logging.level", false),
            ("logging.deny", true),
        ]
    );
    assert!(!lines(&problems).concat().contains("secret"));
    assert!(problems.iter().all(|p| !p.what.is_empty() && !p.mend.is_empty() && p.event.starts_with("config_")));
}

#[test]
fn broken_json() {
    for (text, place, words) in [
        ("", "line 1, column 1", "empty"),
        (" \n ", "line 1, column 1", "empty"),
        ("{\"a\": 1,\n}", "line 2, column 1", "delete the comma"),
        ("{\"a\": [1, 2,]}", "line 1, column 13", "delete the comma"),
        ("{\n  \"a\": 1\n  \"b\": 2\n}", "line 3, column 3", "write a comma"),
        ("{'a': 1}", "line 1, column 2", "double quotes"),
        ("{\"a\": \u{201c}x\u{201d}}", "line 1, column 7", "double quotes"),
        ("{\"a\": 1, // note\n\"b\": 2}", "line 1, column 10", "no comments"),
        ("{\"a\": True}", "line 1, column 7", "small letters"),
        ("{\"a\": \"x\n}", "line 1, column 9", "closing quote"),
        ("{\"a\" = 1}", "line 1, column 6", "colon"),
        ("{\"a\": 1", "line 1, column 7", "ends too early"),
        ("{\"a\": 1,, \"b\": 2}", "line 1, column 9", "two commas"),
        ("{\"a\": 1} x", "line 1, column 10", "after the end"),
        ("{\"a\": 01}", "line 1, column 8", "not valid JSON"),
        ("{\"\u{e9}\u{e9}\": \"\\ud800\"}", "line 1, column 15", "half of a character"),
    ] {
        let problems = errors(text);
        let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
        assert_eq!((problem.path.as_str(), problem.event), (place, "config_broken"), "{text:?} {problem}");
        assert!(problem.to_string().contains(words), "{text:?}: {problem}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(errors(&deep)[0].what.contains("too deep"));
    let large = format!("{{\"note\": \"{}\"}}", "x".repeat(1 << 20));
    assert!(errors(&large)[0].what.contains("too large"));
    assert!(parse(&format!("\u{feff}{}", filled())).is_ok());
}

#[test]
fn misspelt_and_misplaced_keys() {
    for (members, line) in [
        (
            r#""A": {"walet": "bc1qsecret"}, "B": {}"#,
            "warning: pools.A.walet: unknown key, without effect; did you mean \"wallet\"?",
        ),
        (
            r#""A": {"Host": "x"}, "B": {}"#,
            "warning: pools.A.Host: unknown key, without effect; did you mean \"host\"?",
        ),
        (r#""A": {"prot": 1}, "B": {}"#, "warning: pools.A.prot: unknown key, without effect; did you mean \"port\"?"),
        (
            r#""A": {"min_switch_seconds": 1}, "B": {}"#,
            "warning: pools.A.min_switch_seconds: a key that has no effect here; it belongs to scheduler",
        ),
        (
            r#""A": {"weight": 1}, "B": {}"#,
            "warning: pools.A.weight: a key that has no effect here; it belongs to scheduler.weights",
        ),
    ] {
        assert_eq!(report(&format!(r#"{{"pools": {{{members}}}}}"#)), [line]);
    }
    let told = |members: &str| report(&format!(r#"{{"pools": {{"A": {{}}, "B": {{}}}}, {members}}}"#));
    assert_eq!(
        told(r#""schedular": {}"#),
        ["warning: schedular: unknown key, without effect; did you mean \"scheduler\"?"]
    );
    assert_eq!(
        told(r#""oracle_url": "x""#),
        ["warning: oracle_url: a key that has no effect here; it belongs to scheduler"]
    );
    // Strangers are the operator's own business.
    let strangers =
        r#""_comment": "x", "x": {"y": [1, {}]}, "enabled": 1, "gui": {"dark": true}, "logging": {"colour": 1}"#;
    assert_eq!(told(strangers), [] as [&str; 0]);
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let text = r#"{"pools": {"A": {"port": 1, "wallet": "bc1qsecret", "port": 2, "wallet": "bc1qother"}, "B": {}}, "x": [{"y": 1, "y": 2}]}"#;
    let parsed = parse(text).unwrap();
    assert_eq!((parsed.config.pools[0].address.port, parsed.config.pools[0].wallet.as_str()), (2, "bc1qother"));
    assert_eq!(
        lines(&parsed.warnings),
        [
            "warning: pools.A.port: written more than once; the last one counts: delete the others",
            "warning: pools.A.wallet: written more than once; the last one counts: delete the others",
            "warning: x.0.y: written more than once; the last one counts: delete the others",
        ]
    );
}

#[test]
fn a_report_has_an_end() {
    let many: Vec<String> = (0..500).map(|_| "\"poolA_weigth\": 1".to_owned()).collect();
    let text = format!(r#"{{"pools": {{"A": {{"port": 0}}, "B": {{}}}}, "scheduler": {{{}}}}}"#, many.join(","));
    let problems = parse(&text).unwrap_err();
    assert!(problems.len() < 110, "{}", problems.len());
    assert!(problems.iter().any(|p| p.path == "pools.A.port"));
    let clean = report("{\"pools\": {\"A\": {}, \"B\": {}, \"A\\n\\u001b\": {}}}");
    assert_eq!(clean.len(), 1);
    assert!(!clean[0].contains(char::is_control), "{clean:?}");
}
