//! The dashboard from outside: who may do what, and what comes of it.

mod support;
#[path = "support/web.rs"]
mod web;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Miner, Pool, Proxy, dpmp, folder, free_port, wait_for, write_config};
use web::{Browser, PASSWORD, Site, raw};

#[test]
fn anybody_reads_and_only_the_owner_changes() {
    let site = Site::start("web-reads", "", Some(PASSWORD));
    let (stranger, owner) = (site.stranger(), site.owner());
    for path in ["state", "workers", "pools", "series?range=24h", "events", "records", "session"] {
        assert_eq!(stranger.get(&format!("/api/v1/{path}")).status, 200, "{path}");
    }
    for path in [
        "config",
        "config/schema",
        "config/history",
        "logs",
        "logs/download",
        "recording",
        "recording/download",
        "about",
        "tokens",
    ] {
        let answer = stranger.get(&format!("/api/v1/{path}"));
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("sign_in")), "{path}");
        assert_eq!(
            owner.get(&format!("/api/v1/{path}")).status,
            200,
            "{path}: {}",
            owner.get(&format!("/api/v1/{path}")).text()
        );
    }
    let before = fs::read_to_string(site.proxy.folder.join("config_v2.json")).unwrap();
    for path in [
        "weights",
        "weights/undo",
        "weights/default",
        "config/check",
        "config/rollback",
        "test-pool",
        "password",
        "tokens",
    ] {
        assert_eq!(stranger.post(&format!("/api/v1/{path}"), "{}").status, 401, "{path}");
    }
    assert_eq!(stranger.send("PUT", "/api/v1/config", &[("If-Match", "x")], Some("{}")).status, 401);
    assert_eq!(stranger.send("DELETE", "/api/v1/tokens/x", &[], None).status, 401);
    assert_eq!(fs::read_to_string(site.proxy.folder.join("config_v2.json")).unwrap(), before);
    // Nothing changes by GET.
    assert_eq!(owner.get("/api/v1/weights").status, 405);
    assert_eq!(owner.get("/api/v1/nothing").status, 404);
}

#[test]
fn wallets_are_cut_for_strangers() {
    let site = Site::start("web-wallets", "", Some(PASSWORD));
    let wallet = "bc1qexampleexampleexampleexample0000";
    let config = site.proxy.folder.join("config_v2.json");
    let text = fs::read_to_string(&config).unwrap().replace("walletA", wallet);
    fs::write(&config, text).unwrap();
    let owner = site.owner();
    wait_for("the new wallet", || owner.get("/api/v1/state").text().contains(wallet).then_some(()));
    for path in ["state", "pools", "workers", "events", "records", "series"] {
        let text = site.stranger().get(&format!("/api/v1/{path}")).text();
        assert!(!text.contains(wallet), "{path}: {text}");
    }
    let shown = site.stranger().get("/api/v1/state").json();
    assert_eq!(shown["pools"][0]["wallet"], "bc1qex…0000");
    // A miner that is called by a wallet.
    Miner::connect(site.proxy.port).login(&format!("x.{wallet}"));
    wait_for("the worker", || owner.get("/api/v1/workers").text().contains(wallet).then_some(()));
    let seen = site.stranger().get("/api/v1/workers").text();
    assert!(!seen.contains(wallet) && seen.contains("bc1qex…0000"), "{seen}");
    let log = owner.get("/api/v1/logs/download").text();
    assert!(!log.contains(wallet) && log.contains("192.0.x.x") | log.contains("127.0.x.x"), "{log}");
}

#[test]
fn reading_can_need_a_login_too() {
    let site = Site::start("web-login", r#","read":"login""#, Some(PASSWORD));
    assert_eq!(site.stranger().get("/api/v1/state").status, 401);
    assert_eq!(site.stranger().get("/").status, 200, "the page itself, to sign in on");
    assert_eq!(site.owner().get("/api/v1/state").status, 200);
}

#[test]
fn names_of_other_sites_are_misdirected() {
    let site = Site::start("web-host", r#","allowed_hosts":["dash.example.com"]"#, Some(PASSWORD));
    let with = |host: &str, path: &str| site.stranger().send("GET", path, &[("Host", host)], None).status;
    for host in ["evil.example", "evil.example:8855", "127.0.0.1.evil.example"] {
        assert_eq!((with(host, "/"), with(host, "/api/v1/state")), (421, 421), "{host}");
    }
    for host in ["localhost:1", "[::1]:8855", "umbrel.local", "dash.example.com"] {
        assert_eq!(with(host, "/api/v1/state"), 200, "{host}");
    }
    // The name in the first line counts too, and so do two names.
    let absolute = b"GET http://evil.example/api/v1/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(site.port, absolute).status, 421);
    let two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(matches!(raw(site.port, two).status, 400 | 421));
    assert_eq!(raw(site.port, b"GET / HTTP/1.0\r\n\r\n").status, 421, "no name at all");
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let site = Site::start("web-origin", "", Some(PASSWORD));
    let owner = site.owner();
    let weights = r#"{"A":90,"B":10}"#;
    let post = |headers: &[(&str, &str)]| owner.send("POST", "/api/v1/weights", headers, Some(weights));
    for origin in ["http://evil.example", "null", &format!("http://127.0.0.1:{}", site.port + 1), "http://localhost"] {
        let answer = post(&[("Origin", origin)]);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("wrong_origin")), "{origin}");
    }
    assert_eq!(post(&[("Origin", "")]).json()["error"], "no_origin");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        assert_eq!(post(&[("Content-Type", kind)]).status, 415, "{kind}");
    }
    assert_eq!(owner.get("/api/v1/state").json()["split"]["moved"], false);
    assert_eq!(post(&[]).status, 200);
    settled(&site, &json!({"A": 90.0, "B": 10.0}));
    let evil = site.stranger().send("POST", "/api/v1/login", &[("Origin", "http://evil.example")], Some("{}"));
    assert_eq!(evil.status, 403, "nor signs anybody in");
    for preflight in ["OPTIONS", "TRACE", "PATCH"] {
        let answer = owner.send(preflight, "/api/v1/weights", &[("Origin", "http://evil.example")], None);
        assert!(answer.status >= 400 && answer.header("access-control-allow-origin").is_none(), "{preflight}");
    }
}

#[test]
fn every_answer_has_its_headers() {
    let site = Site::start("web-headers", "", Some(PASSWORD));
    for path in ["/", "/app.js", "/style.css", "/nothing", "/api/v1/state", "/api/v1/config"] {
        let answer = site.stranger().get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy").as_deref(), Some("no-referrer"), "{path}");
    }
    let page = site.stranger().get("/app.js");
    let tag = page.header("etag").unwrap();
    let again = site.stranger().send("GET", "/app.js", &[("If-None-Match", &tag)], None);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let packed = site.stranger().send("GET", "/app.js", &[("Accept-Encoding", "br, gzip")], None);
    assert_eq!(packed.header("content-encoding").as_deref(), Some("gzip"));
    assert!(packed.body.len() < page.body.len() / 2);
}

#[test]
fn the_first_password_is_in_a_file_and_becomes_ones_own() {
    let folder = folder("web-first");
    let site = Site::start_in(&folder, "", None);
    let line = site.proxy.event("dashboard_password");
    let file = folder.join("dashboard-password.txt");
    assert_eq!(line["path"], file.display().to_string());
    for name in ["auth.json", "dashboard-password.txt"] {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let password = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(!site.proxy.log().contains(&password), "only its path is logged");
    assert_eq!(site.stranger().get("/api/v1/state").json()["setup"]["password"], false);
    let browser = Browser::signed_in(site.port, &password);
    assert_eq!(browser.get("/api/v1/session").json()["first"], true);
    let change = |new: &str| browser.post("/api/v1/password", &json!({"current": password, "new": new}).to_string());
    assert_eq!(change("short").status, 422);
    assert_eq!(change(PASSWORD).status, 200);
    assert!(!file.exists());
    assert_eq!(browser.get("/api/v1/session").json()["first"], false);
    assert!(!site.proxy.log().contains(PASSWORD));
    // Forgotten: a new one, while it runs.
    let output =
        support::dpmp().args(["reset-password", "--config"]).arg(folder.join("config_v2.json")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let new = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert_eq!(site.stranger().post("/api/v1/login", &json!({"password": PASSWORD}).to_string()).status, 401);
    Browser::signed_in(site.port, &new);
    assert_eq!(browser.get("/api/v1/config").status, 401, "whoever was signed in no longer is");
}

#[test]
fn a_reset_mends_an_unusable_file_and_revokes_at_once() {
    let folder = folder("web-reset");
    fs::write(folder.join("auth.json"), "nonsense").unwrap();
    let site = Site::start_in(&folder, "", None);
    let reset = || {
        let output = dpmp().args(["reset-password", "--config"]).arg(folder.join("config_v2.json")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(folder.join("dashboard-password.txt")).unwrap().trim().to_owned()
    };
    let answer = site.stranger().post("/api/v1/login", r#"{"password":"guess"}"#);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("no_passwords")));
    let owner = Browser::signed_in(site.port, &reset());
    let token = owner.post("/api/v1/tokens", r#"{"name":"script"}"#).json()["token"].as_str().unwrap().to_owned();
    let new = reset();
    let bearer = format!("Bearer {token}");
    let script = [("Authorization", bearer.as_str()), ("Origin", "")];
    let again = site.stranger().send("POST", "/api/v1/tokens", &script, Some(r#"{"name":"mine"}"#));
    assert_eq!((again.status, owner.get("/api/v1/config").status), (401, 401));
    Browser::signed_in(site.port, &new);
}

#[test]
fn guessing_has_to_wait() {
    let site = Site::start("web-guess", "", Some(PASSWORD));
    let guess = || site.stranger().post("/api/v1/login", r#"{"password":"guess"}"#);
    for _ in 0..4 {
        assert_eq!(guess().status, 401);
    }
    let fifth = guess();
    assert_eq!(fifth.status, 429, "{}", fifth.text());
    assert!(fifth.header("retry-after").unwrap().parse::<u64>().unwrap() <= 300);
    assert_eq!(
        site.stranger().post("/api/v1/login", &json!({"password": PASSWORD}).to_string()).status,
        429,
        "even the right one"
    );
}

#[test]
fn sessions_end_and_tokens_are_revoked() {
    let site = Site::start("web-tokens", "", Some(PASSWORD));
    let owner = site.owner();
    let made = owner.post("/api/v1/tokens", r#"{"name":"grafana"}"#);
    assert_eq!(made.status, 201);
    let (id, token) =
        (made.json()["id"].as_str().unwrap().to_owned(), made.json()["token"].as_str().unwrap().to_owned());
    let bearer = format!("Bearer {token}");
    let script = |path: &str, body: &str| {
        let headers = [("Authorization", bearer.as_str()), ("Origin", "")];
        site.stranger().send("POST", path, &headers, Some(body)).status
    };
    assert_eq!(script("/api/v1/weights", r#"{"A":1,"B":3}"#), 200);
    let auth = fs::read_to_string(site.proxy.folder.join("auth.json")).unwrap();
    assert!(!auth.contains(&token[5..]), "only its digest is kept");
    assert_eq!(owner.send("DELETE", &format!("/api/v1/tokens/{id}"), &[], None).status, 200);
    assert_eq!(script("/api/v1/weights", r#"{"A":1,"B":1}"#), 401);
    assert_eq!(owner.post("/api/v1/logout", "{}").status, 200);
    assert_eq!(owner.get("/api/v1/tokens").status, 401, "the cookie is of no more use");
}

/// The state shows these weights: at once, or a moment later, as another thread draws it.
fn settled(site: &Site, weights: &serde_json::Value) {
    let shown = || site.stranger().get("/api/v1/state").json()["split"]["weights"].clone();
    support::wait_for(&format!("the weights {weights}"), || (shown() == *weights).then_some(()));
}

#[test]
fn weights_move_are_undone_from_elsewhere_and_outlive_a_restart() {
    let folder = folder("web-weights");
    let (half, moved) = (json!({"A": 50.0, "B": 50.0}), json!({"A": 90.0, "B": 10.0}));
    {
        let mut site = Site::start_in(&folder, "", Some(PASSWORD));
        let (one, other) = (site.owner(), site.owner());
        settled(&site, &half);
        let answer = one.post("/api/v1/weights", r#"{"A": 9, "B": 1}"#).json();
        assert_eq!((&answer["weights"], &answer["previous"], &answer["kept"]), (&moved, &half, &json!(true)));
        settled(&site, &moved);
        assert_eq!(other.get("/api/v1/state").json()["split"]["undo"], half);
        assert_eq!(other.post("/api/v1/weights/undo", "{}").json()["weights"], half);
        settled(&site, &half);
        assert_eq!(one.post("/api/v1/weights/undo", "{}").json()["weights"], moved, "and the undo can be undone");
        for bad in [r#"{"A":1}"#, r#"{"A":0,"B":0}"#, r#"{"A":-1,"B":2}"#, r#"{"A":1,"B":1,"C":1}"#] {
            assert_eq!(one.post("/api/v1/weights", bad).status, 422, "{bad}");
        }
        assert_eq!(one.post("/api/v1/weights", "[").status, 400);
        settled(&site, &moved);
        site.proxy.signal("TERM");
        site.proxy.ended();
    }
    let file: Value = serde_json::from_str(&fs::read_to_string(folder.join("weights_override.json")).unwrap()).unwrap();
    assert_eq!((&file["poolA_weight"], &file["poolB_weight"]), (&json!(90.0), &json!(10.0)));
    let text = {
        let site = Site::start_in(&folder, "", Some(PASSWORD));
        settled(&site, &moved);
        assert_eq!(site.stranger().get("/api/v1/state").json()["split"]["default"], half);
        assert_eq!(site.owner().post("/api/v1/weights/default", "{}").json()["weights"], half);
        assert!(!folder.join("weights_override.json").exists());
        site.proxy.event("weights_set").to_string()
    };
    assert!(text.contains("the page"), "{text}");
}

/// What an earlier run left: two measured chains, the second with twice its hash rate lately, and weights on their way to 60.
fn measured(folder: &Path) {
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("a file and a clock").as_millis())
        .expect("a clock after 1970");
    let chain = |last: u64| {
        let mut at = now - 3_600_000 - 100 * 600_000;
        let blocks: Vec<Value> = (1..=100u64)
            .map(|n| {
                at += if n > 94 { last } else { 600_000 };
                json!({"height": 900_000 + n, "seen_ms": at, "hashes": 1_000_000_000_000u64, "timed": true})
            })
            .collect();
        json!({"blocks": blocks, "heard_ms": now})
    };
    let pace = json!(["BTC", {"smooth": [600_000, now], "at": 70, "steps": [], "moving": true}]);
    let oracle = json!({"chains": [["BTC", chain(600_000)], ["BCH", chain(300_000)]], "pace": pace});
    let state = json!({"version": 1, "memory": {"pools": [], "oracle": oracle}});
    fs::write(folder.join("state.json"), state.to_string()).expect("a file and a clock");
    // The slider, some time before.
    fs::write(folder.join("weights_override.json"), r#"{"poolA_weight":70,"poolB_weight":30,"source":"set"}"#)
        .expect("a file and a clock");
}

#[test]
fn auto_balance_goes_on_after_a_kill() {
    let folder = folder("web-auto");
    let pools = [Pool::start("deadbeef", 8), Pool::start("cafe", 4)];
    let (port, metrics, page) = (free_port(), free_port(), free_port());
    let more = format!(
        r#","scheduler":{{"auto_balance":true,"oracle_source":"own"}},"dashboard":{{"host":"127.0.0.1","port":{page}}}"#
    );
    let config = write_config(&folder, port, metrics, [pools[0].address, pools[1].address], &more);
    let mut text = fs::read_to_string(&config).unwrap();
    for (wallet, chain) in [("walletA", "BTC"), ("walletB", "BCH")] {
        text = text.replace(&format!("\"{wallet}\""), &format!("\"{wallet}\",\"chain\":\"{chain}\""));
    }
    fs::write(&config, text).unwrap();
    measured(&folder);
    let start = || {
        let mut command = dpmp();
        command.env("DASHBOARD_PASSWORD", PASSWORD).arg("--config").arg(&config);
        let proxy = Proxy::run(command, folder.clone(), port, metrics);
        proxy.event("dashboard_started");
        Site { proxy, port: page, pools: [Pool::start("deadbeef", 8), Pool::start("cafe", 4)] }
    };
    let moved = json!({"A": 60.0, "B": 40.0});
    {
        let mut site = start();
        settled(&site, &moved);
        let told = site.proxy.event("weights_override_changed");
        assert_eq!((&told["wA"], &told["prev"], &told["source"]), (&json!(60), &json!("70/30"), &json!("oracle")));
        let auto = site.stranger().get("/api/v1/state").json()["mode"]["auto_balance"].clone();
        assert_eq!((&auto["state"], &auto["active"]), (&json!("ready"), &json!(true)), "{auto}");
        assert!(auto["chains"][0]["short_range"][0].as_f64().unwrap() < auto["chains"][0]["short"].as_f64().unwrap());
        let low = site.proxy.metric("dpmp_oracle_hashrate_low{chain=\"BTC\",window=\"short\"}");
        let high = site.proxy.metric("dpmp_oracle_hashrate_high{chain=\"BTC\",window=\"short\"}");
        assert!(0.0 < low && low < high, "{low} {high}");
        assert_eq!(site.owner().post("/api/v1/mode", r#"{"auto_balance":false}"#).status, 200);
        // Far sooner than the next save of everything.
        wait_for("the choice and the weights on the disk", || {
            let file = |name| fs::read_to_string(folder.join(name)).ok().and_then(|t| serde_json::from_str(&t).ok());
            let (state, weights): (Value, Value) = (file("state.json")?, file("weights_override.json")?);
            let chosen = state["sections"]["memory"]["oracle"]["choice"] == json!([false, true]);
            (chosen && weights["poolA_weight"] == 60.0).then_some(())
        });
        site.proxy.kill();
    }
    let site = start();
    settled(&site, &moved);
    let state = site.stranger().get("/api/v1/state").json();
    assert_eq!(state["mode"]["auto_balance"]["active"], json!(false), "{state}");
}

#[test]
fn a_config_is_checked_applied_and_taken_back() {
    let site = Site::start("web-config", "", Some(PASSWORD));
    let owner = site.owner();
    let mut miner = Miner::connect(site.proxy.port);
    let (size, job) = miner.login("x.rig");
    let before = owner.get("/api/v1/config");
    let (version, text) =
        (before.json()["version"].as_str().unwrap().to_owned(), before.json()["text"].as_str().unwrap().to_owned());
    assert_eq!(before.header("etag"), Some(format!("\"{version}\"")));
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["scheduler"] = json!({"poolA_weight": 70, "poolB_weight": 30});
    let new = config.to_string();
    let body = |text: &str| json!({"text": text}).to_string();
    let verdict = owner.post("/api/v1/config/check", &body(&new)).json();
    assert_eq!((&verdict["usable"], &verdict["needs_password"]), (&json!(true), &json!(false)), "{verdict}");
    assert!(verdict["effects"].to_string().contains("70"), "{verdict}");
    let put = |version: &str, body: &str| owner.send("PUT", "/api/v1/config", &[("If-Match", version)], Some(body));
    assert_eq!(put("", &body(&new)).status, 428, "not without a version");
    assert_eq!(put("\"0123\"", &body(&new)).status, 412, "nor with another's");
    let applied = put(&format!("\"{version}\""), &body(&new));
    assert_eq!(applied.status, 200, "{}", applied.text());
    settled(&site, &json!({"A": 70.0, "B": 30.0}));
    assert_eq!(fs::read_to_string(site.proxy.folder.join("config_v2.json")).unwrap(), new);
    let stale = put(&format!("\"{version}\""), &body(&text));
    assert_eq!(stale.status, 412, "somebody saved meanwhile");
    let now = stale.json()["version"].as_str().unwrap().to_owned();
    let broken = put(&now, &body("{\"listen\": {\"port\": \"x\"}}"));
    assert_eq!(broken.status, 422);
    assert!(broken.json()["verdict"]["problems"].as_array().unwrap().len() > 1, "{}", broken.text());
    let history = owner.get("/api/v1/config/history").json();
    let first = history["history"].as_array().unwrap().last().unwrap()["number"].clone();
    let kept = owner.get(&format!("/api/v1/config/history/{first}")).json();
    assert_eq!(kept["text"], text);
    let back = owner.send(
        "POST",
        "/api/v1/config/rollback",
        &[("If-Match", &now)],
        Some(&json!({"number": first}).to_string()),
    );
    assert_eq!(back.status, 200, "{}", back.text());
    settled(&site, &json!({"A": 50.0, "B": 50.0}));
    assert_eq!(miner.submit(9, "x.rig", &job, size)["result"], true, "the miner has noticed nothing");
    // The log is written by a thread of its own.
    site.proxy.event("dashboard_config_applied");
}

#[test]
fn a_wallet_needs_the_password_again_and_can_be_locked() {
    let site = Site::start("web-lock", "", Some(PASSWORD));
    let owner = site.owner();
    let change = |change: &dyn Fn(&mut Value), password: Option<&str>| {
        let now = owner.get("/api/v1/config").json();
        let mut config = now["config"].clone();
        change(&mut config);
        let body = json!({"text": config.to_string(), "password": password}).to_string();
        owner.send("PUT", "/api/v1/config", &[("If-Match", now["version"].as_str().unwrap())], Some(&body))
    };
    let wallet = |config: &mut Value| config["pools"]["A"]["wallet"] = json!("another");
    assert_eq!(change(&wallet, None).json()["error"], "needs_password");
    assert_eq!(change(&wallet, Some("wrong")).status, 401);
    assert_eq!(change(&wallet, Some(PASSWORD)).status, 200);
    let state = site.stranger().get("/api/v1/state").json();
    let banner = state["banners"].as_array().unwrap().iter().find(|b| b["id"].as_str().unwrap().starts_with("pools-"));
    assert!(banner.is_some_and(|b| b["undo"].is_u64()), "{state}");
    assert_eq!(change(&|c| c["dashboard"]["lock_wallets"] = json!(true), None).status, 200);
    for locked in [
        &wallet as &dyn Fn(&mut Value),
        &|c: &mut Value| c["pools"]["B"]["wallet"] = json!("mine"),
        &|c: &mut Value| c["pools"]["B"]["host"] = json!("localhost."),
        &|c: &mut Value| c["dashboard"]["lock_wallets"] = json!(false),
    ] {
        let unchanged = owner.get("/api/v1/config").json()["version"].clone();
        let answer = change(locked, Some(PASSWORD));
        if answer.status != 200 {
            assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("locked")));
            assert_eq!(owner.get("/api/v1/config").json()["version"], unchanged);
        }
    }
    let now = owner.get("/api/v1/config").json();
    assert_eq!(now["config"]["pools"]["B"]["wallet"], "walletB");
    assert_eq!(now["config"]["dashboard"]["lock_wallets"], true);
    assert_eq!(change(&|c| c["scheduler"] = json!({"poolA_weight": 80}), None).status, 200, "all else may change");
}

#[test]
fn files_are_named_with_the_password_alone_and_never_our_own() {
    let site = Site::start("web-files", "", Some(PASSWORD));
    let owner = site.owner();
    let put = |change: &dyn Fn(&mut Value), password: Option<&str>| {
        let now = owner.get("/api/v1/config").json();
        let mut config = now["config"].clone();
        change(&mut config);
        let body = json!({"text": config.to_string(), "password": password}).to_string();
        owner.send("PUT", "/api/v1/config", &[("If-Match", now["version"].as_str().unwrap())], Some(&body))
    };
    let log = |name: &'static str| move |config: &mut Value| config["logging"]["file"] = json!(name);
    let recording = |config: &mut Value| config["recording"]["dir"] = json!("elsewhere");
    assert_eq!(put(&log("/etc/hostname"), None).json()["error"], "needs_password");
    assert_eq!(put(&recording, None).json()["error"], "needs_password");
    let own = put(&log("auth.json"), Some(PASSWORD));
    assert_eq!(own.status, 422, "{}", own.text());
    let problems = own.json()["verdict"]["problems"].clone();
    let flaw = problems.as_array().unwrap().iter().find(|flaw| flaw["path"] == "logging.file").unwrap();
    assert_eq!((&flaw["severity"], &flaw["value"]), (&json!("error"), &json!("auth.json")), "{flaw}");
    let mut config = owner.get("/api/v1/config").json()["config"].clone();
    log("state.json")(&mut config);
    let check = owner.post("/api/v1/config/check", &json!({"text": config.to_string()}).to_string()).json();
    assert_eq!((&check["usable"], &check["needs_password"]), (&json!(false), &json!(true)), "{check}");
    assert_eq!(put(&log("dpmp.log"), Some(PASSWORD)).status, 200);
    let state = site.stranger().get("/api/v1/state").json();
    assert!(
        !state["banners"].as_array().unwrap().iter().any(|b| b["id"].as_str().unwrap().starts_with("pools-")),
        "{state}"
    );
    assert_eq!(put(&|c| c["dashboard"]["lock_wallets"] = json!(true), None).status, 200);
    for change in [&log("other.log") as &dyn Fn(&mut Value), &recording, &|c| c["logging"]["file"] = Value::Null] {
        let answer = put(change, Some(PASSWORD));
        assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("locked")), "{}", answer.text());
    }
    assert_eq!(put(&|c| c["logging"]["keep"] = json!(2), None).status, 200, "what names no file may change");
}

#[test]
fn a_pool_can_be_tried() {
    let site = Site::start("web-try", "", Some(PASSWORD));
    let owner = site.owner();
    let port = site.pools[0].address.port();
    let good =
        owner.post("/api/v1/test-pool", &json!({"host": "127.0.0.1", "port": port, "wallet": "w"}).to_string()).json();
    let names: Vec<&str> =
        good["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Connect", "Subscribe", "Authorise", "Difficulty", "First job"], "{good}");
    assert_eq!(good["good"], true);
    let nobody = support::free_port();
    let bad = owner.post("/api/v1/test-pool", &json!({"host": "127.0.0.1", "port": nobody}).to_string()).json();
    assert_eq!((&bad["good"], bad["steps"].as_array().unwrap().len()), (&json!(false), 1), "{bad}");
    // One at a time: this one says nothing until it is dropped.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let body = json!({"host": "127.0.0.1", "port": silent.local_addr().unwrap().port()}).to_string();
    let other = owner.clone();
    let running = std::thread::spawn(move || other.post("/api/v1/test-pool", &body).status);
    let (socket, _) = silent.accept().unwrap();
    let busy = owner.post("/api/v1/test-pool", &json!({"host": "127.0.0.1", "port": nobody}).to_string());
    assert_eq!((busy.status, busy.json()["error"].as_str()), (409, Some("busy")));
    drop((socket, silent));
    assert_eq!(running.join().unwrap(), 200);
    assert_eq!(owner.post("/api/v1/test-pool", &json!({"host": "127.0.0.1", "port": nobody}).to_string()).status, 200);
}

#[test]
fn logs_come_by_cursor_and_downloads_without_names() {
    let site = Site::start("web-logs", "", Some(PASSWORD));
    let owner = site.owner();
    Miner::connect(site.proxy.port).login("x.secret-rig");
    let page = wait_for("the miner's line", || {
        let page = owner.get("/api/v1/logs?event=miner_ready&worker=secret").json();
        (!page["lines"].as_array().unwrap().is_empty()).then_some(page)
    });
    assert!(page["lines"][0]["line"].as_str().unwrap().contains("secret-rig"));
    let after = owner.get(&format!("/api/v1/logs?event=miner_ready&after={}", page["cursor"])).json();
    assert_eq!(after["lines"], json!([]));
    let sizes = owner.get("/api/v1/recording").json();
    assert_eq!(sizes["enabled"], true);
    let redacted =
        wait_for("a recording", || Some(owner.get("/api/v1/recording/download")).filter(|a| a.status == 200));
    let find = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(redacted.body.len() > 500 && !find(&redacted.body, "secret-rig") && !find(&redacted.body, "walletA"));
    assert!(find(&owner.get("/api/v1/recording/download?full=1").body, "secret-rig"), "asked for");
    let log = owner.get("/api/v1/logs/download").text();
    assert!(log.contains("miner_ready_for_jobs") && !log.contains("secret"), "{log}");
    assert!(owner.get("/api/v1/logs/download?full=1").text().contains("secret-rig"), "asked for");
    let file = site.proxy.folder.join("redacted.trace");
    fs::write(&file, &redacted.body).unwrap();
    let replay = support::dpmp().arg("replay").arg(&file).output().unwrap();
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[test]
fn a_log_file_is_downloaded_with_its_size_and_without_names() {
    let folder = folder("web-log-file");
    let pools = [Pool::start("deadbeef", 8), Pool::start("cafe", 4)];
    let (port, metrics, page) = (free_port(), free_port(), free_port());
    let more = format!(r#","logging":{{"file":"dpmp.log"}},"dashboard":{{"host":"127.0.0.1","port":{page}}}"#);
    let config = write_config(&folder, port, metrics, [pools[0].address, pools[1].address], &more);
    let mut command = dpmp();
    command.env("DASHBOARD_PASSWORD", PASSWORD).arg("--config").arg(config);
    let _proxy = Proxy::run(command, folder.clone(), port, metrics);
    let owner = Browser::signed_in(page, PASSWORD);
    Miner::connect(port).login("x.secret-rig");
    let path = folder.join("dpmp.log");
    wait_for("the miner's line", || fs::read_to_string(&path).ok()?.contains("secret-rig").then_some(()));
    let size = || fs::metadata(&path).unwrap().len();
    let before = size();
    let head = owner.send("HEAD", "/api/v1/logs/download?full=1", &[], None);
    let told: u64 = head.header("content-length").unwrap().parse().unwrap();
    assert!(head.status == 200 && head.body.is_empty() && (before..=size()).contains(&told), "{}", head.head);
    let full = owner.get("/api/v1/logs/download?full=1");
    assert_eq!(full.header("content-length").unwrap(), full.body.len().to_string());
    assert!(full.text().contains("secret-rig") && full.body.len() as u64 <= size());
    let bare = owner.get("/api/v1/logs/download").text();
    assert!(bare.contains("miner_ready_for_jobs") && !bare.contains("secret"), "{bare}");
}

#[test]
fn a_taken_port_stops_no_miner() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pools = [support::Pool::start("deadbeef", 8), support::Pool::start("cafe", 4)];
    let more = format!(r#","dashboard":{{"host":"127.0.0.1","port":{}}}"#, taken.local_addr().unwrap().port());
    let proxy = support::Proxy::start("web-taken", [pools[0].address, pools[1].address], &more);
    let said = proxy.event("dashboard_start_failed");
    assert!(said["text"].as_str().unwrap().contains("--dashboard"), "{said}");
    Miner::connect(proxy.port).login("x.rig");
}
