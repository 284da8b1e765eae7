//! A new config while miners hash: by signal, by an edit of the file, by the API; good ones and bad ones.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dpmp::cli::Ports as Flags;
use dpmp::proxy::{Options, Proxy as Inside};
use dpmp::reload::{ApplyError, Reloader, Source, version_of};
use dpmp::settings::ConfigFile;
use dpmp_sim::live::{LiveMiners, LivePool, demo_miners, demo_pools};
use dpmp_sim::pool::PoolSpec;
use serde_json::{Value, json};
use support::{Miner, Pool, Proxy, dpmp, folder, free_port, get, wait_for};

/// A config of two pools, as JSON to be changed.
fn config(port: u16, metrics: u16, pools: [SocketAddr; 2]) -> Value {
    json!({
        "listen": {"host": "127.0.0.1", "port": port},
        "metrics": {"host": "127.0.0.1", "port": metrics},
        "dashboard": {"enabled": false},
        "pools": {
            "A": {"host": "127.0.0.1", "port": pools[0].port(), "wallet": "bc1qexampleexampleexampleexample0000"},
            "B": {"host": "127.0.0.1", "port": pools[1].port(), "wallet": "walletB"},
        },
        "scheduler": {"poolA_weight": 60, "poolB_weight": 40},
        "logging": {"level": "info", "deny": ["share_result"]},
        "my own note": {"kept": true},
    })
}

/// As editors do: a new file in the place of the old one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("tmp");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

/// The n-th edit of the storm, and whether it can be used.
fn edit(n: usize, good: &Value, ports: [u16; 4], taken: u16) -> (String, bool) {
    let mut new = good.clone();
    let usable = match n % 10 {
        0 => {
            new["scheduler"]["poolA_weight"] = json!(10 + n % 80);
            true
        }
        1 => return (good.to_string()[..good.to_string().len() / 2].to_owned(), false),
        2 => {
            new["listen"]["port"] = json!(ports[(n / 10) % 2]);
            true
        }
        3 => {
            new["pools"]["A"]["port"] = json!([]);
            false
        }
        4 => {
            new["recording"] = json!({"enabled": n % 20 < 10, "max_mib": 8});
            true
        }
        5 => {
            new["metrics"]["port"] = json!(ports[2 + (n / 10) % 2]);
            true
        }
        6 => {
            new["listen"]["port"] = json!(taken);
            false
        }
        7 => {
            new["pools"]["B"]["name"] = json!(format!("called {n}"));
            new["limits"] = json!({"max_miners": 100 + n});
            true
        }
        8 => {
            new["pools"]["A"]["host"] = json!("POOL_A_HOST");
            false
        }
        _ => {
            // Every interface, on the same port as before.
            new["listen"]["host"] = json!("0.0.0.0");
            new["scheduler"]["min_switch_seconds"] = json!(25 + n % 7);
            true
        }
    };
    (serde_json::to_string_pretty(&new).unwrap(), usable)
}

#[test]
fn a_storm_of_configs_costs_no_share_and_no_connection() {
    // Easy shares: some twenty a second, so that each edit meets one on its way.
    let specs = demo_pools().into_iter().map(|spec| PoolSpec { difficulty: "0.000005".into(), ..spec });
    let pools: Vec<LivePool> = specs.map(|spec| LivePool::start(spec, 0).unwrap()).collect();
    let folder = folder("storm");
    let (port, metrics) = (free_port(), free_port());
    let mut good = config(port, metrics, [pools[0].addr(), pools[1].addr()]);
    let path = folder.join("config_v2.json");
    fs::write(&path, good.to_string()).unwrap();
    let mut command = dpmp();
    command.arg("--config").arg(&path);
    let mut proxy = Proxy::run(command, folder, port, metrics);
    proxy.event("dpmp_listening");
    let miners = LiveMiners::start(demo_miners(), ([127, 0, 0, 1], port).into(), 0.3).unwrap();
    // Some firmware connects once to look, before it comes to stay.
    wait_for("six miners at work", || miners.snapshot().iter().all(|miner| miner.accepted > 0).then_some(()));
    let connects: Vec<u64> = miners.snapshot().iter().map(|miner| miner.connects).collect();

    let ports = [free_port(), free_port(), free_port(), free_port()];
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut applied, mut refused) = (0, 0);
    for n in 0..100 {
        let (text, usable) = edit(n, &good, ports, taken.local_addr().unwrap().port());
        // Some are left to the watch; some are written in place, a piece at a time.
        match n % 7 {
            3 => {
                fs::write(&path, &text[..text.len() / 3]).unwrap();
                fs::write(&path, &text).unwrap();
            }
            _ => replace(&path, &text),
        }
        if n % 7 != 5 {
            proxy.signal("HUP");
        }
        let version = version_of(&text);
        let event = if usable { "config_reloaded" } else { "config_refused" };
        wait_for(&format!("edit {n}, {event}"), || {
            let log = proxy.log();
            log.lines().any(|l| l.contains(event) && l.contains(&version)).then_some(())
        });
        if usable {
            applied += 1;
            good = serde_json::from_str(&text).unwrap();
        } else {
            refused += 1;
        }
        let port = u16::try_from(good["listen"]["port"].as_u64().unwrap()).unwrap();
        TcpStream::connect(("127.0.0.1", port)).unwrap_or_else(|e| panic!("edit {n}: nobody listens: {e}"));
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(applied >= 50 && refused >= 30, "{applied} {refused}");
    let metrics = u16::try_from(good["metrics"]["port"].as_u64().unwrap()).unwrap();
    // Each was read once at least; a text that was read half written by a signal counts as one more that was refused.
    let series = |name: &str| {
        let (_, text) = get(metrics, "/metrics");
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_else(|| panic!("no {name}"))
    };
    assert!(series("dpmp_config_reloads_total{result=\"applied\"}") >= f64::from(applied));
    assert!(series("dpmp_config_reloads_total{result=\"refused\"}") >= f64::from(refused));
    assert_eq!(series("dpmp_config_last_reload_successful"), 1.0);
    wait_for("some hundred shares", || (series("dpmp_shares_submitted_total") > 100.0).then_some(()));

    for (miner, connects) in miners.snapshot().into_iter().zip(connects) {
        let name = &miner.name;
        assert_eq!((miner.connects, miner.disconnects, miner.hangups), (connects, 0, 0), "{name} was disconnected");
        assert_eq!((miner.lost_with_connection, miner.answered_twice), (0, 0), "{name} lost shares");
        let refusals: Vec<_> = miner.refusals.iter().filter(|((_, text), _)| !text.contains("tale")).collect();
        assert!(refusals.is_empty(), "{name}: {refusals:?}");
        assert!(miner.accepted > 0, "{name} mined");
    }
    for pool in &pools {
        let snapshot = pool.snapshot();
        let faults: Vec<_> =
            snapshot.shares.by_reason.iter().filter(|(reason, n)| reason.is_fault() && **n > 0).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", snapshot.name);
    }
    assert_eq!(series("dpmp_share_results_total{result=\"lost\"}"), 0.0);
    assert_eq!(series("dpmp_share_results_total{result=\"unanswered\"}"), 0.0);
    let log = proxy.log();
    assert!(!log.contains("bc1qexampleexampleexampleexample0000"), "no wallet in the log");
    drop(miners);
    proxy.signal("TERM");
    assert_eq!(proxy.ended().0.code(), Some(0), "{}", proxy.log());
}

#[test]
fn another_wallet_disconnects_no_miner_and_keeps_the_live_port() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("wallet");
    let (port, metrics) = (free_port(), free_port());
    let mut text = config(port, metrics, [a.address, b.address]);
    let path = folder.join("config_v2.json");
    fs::write(&path, text.to_string()).unwrap();
    let mut command = dpmp();
    // The flag wins over the file, however often the file is read.
    command.arg("--config").arg(&path).args(["--listen", &format!("127.0.0.1:{port}")]);
    let proxy = Proxy::run(command, folder, port, metrics);
    let mut miner = Miner::connect(port);
    let (size, job) = miner.login("x.rig");
    assert_eq!(miner.submit(10, "x.rig", &job, size)["result"], true);
    text["pools"]["A"]["wallet"] = json!("bc1qexampleexampleexampleexample1111");
    text["pools"]["B"]["wallet"] = json!("otherB");
    text["pools"]["A"]["password"] = json!("hunter2");
    text["listen"]["port"] = json!(1);
    replace(&path, &text.to_string());
    proxy.event("config_reloaded");
    wait_for("the new wallets", || (a.count("1111.rig") > 0 && b.count("otherB.rig") > 0).then_some(()));
    // On the same connection. A job that was on its way before the change is told as stale; the next one counts.
    let counts = |id| {
        let job = miner.job();
        let reply = miner.submit(id, "x.rig", &job, size);
        assert!(reply["result"] == true || reply["error"][0] == 21, "{reply}");
        reply["result"] == true
    };
    assert!((11..14).any(counts));
    let log = proxy.log();
    assert!(log.contains("\"path\":\"pools.A.wallet\"") && log.contains("\"old\":\"\\\"bc1qex…0000\\\"\""), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("otherB"), "{log}");
    assert!(log.contains("listen has no effect: --listen sets it"), "{log}");
    Miner::connect(port);
}

/// A proxy inside this process, for what the dashboard calls.
fn inside(name: &str, change: impl FnOnce(&mut Value)) -> (Inside, Reloader, PathBuf, [Pool; 2]) {
    let pools = [Pool::start("deadbeef", 8), Pool::start("cafe", 4)];
    let folder = folder(name);
    let mut text = config(free_port(), free_port(), [pools[0].address, pools[1].address]);
    change(&mut text);
    let path = folder.join("config_v2.json");
    let text = serde_json::to_string_pretty(&text).unwrap();
    fs::write(&path, &text).unwrap();
    let file = ConfigFile::new(path.clone(), &Flags::default());
    let options = Options {
        config: file.understand(&text).unwrap().config,
        config_path: path.display().to_string(),
        state_path: Some(file.beside("state.json")),
        recording_path: None,
        file: Some((file, text)),
        dashboard: None,
    };
    let proxy = Inside::start(options).unwrap();
    let reloader = proxy.reloader().unwrap();
    (proxy, reloader, path, pools)
}

fn end(proxy: Inside) {
    proxy.handle().drain().unwrap();
    proxy.wait();
}

fn changed(reloader: &Reloader, change: impl FnOnce(&mut Value)) -> (String, String) {
    let (text, version) = reloader.on_disk().unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    change(&mut value);
    (serde_json::to_string_pretty(&value).unwrap(), version)
}

#[test]
fn the_api_validates_applies_and_rolls_back() {
    let (proxy, reloader, path, _pools) = inside("api", |_| ());
    let first = fs::read_to_string(&path).unwrap();
    let (text, version) = changed(&reloader, |c| c["pools"]["B"]["host"] = json!("localhost"));
    let verdict = reloader.validate(&text);
    assert!(verdict.usable && verdict.problems.is_empty(), "{verdict:?}");
    assert_eq!(verdict.differences.len(), 1);
    assert_eq!(verdict.differences[0].path, "pools.B.host");
    assert_eq!(verdict.effects[0].kind, "pool");
    assert_eq!(fs::read_to_string(&path).unwrap(), first, "asking changes nothing");

    let bad = reloader.validate(r#"{"listen": {"port": "x"}, "pools": {"A": {"port": []}}}"#);
    assert!(!bad.usable && bad.problems.len() >= 2, "{bad:?}");
    assert!(matches!(reloader.apply("{", None, Source::Api), Err(ApplyError::Unusable(_))));

    let applied = reloader.apply(&text, Some(&version), Source::Api).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!((reloader.standing().version.clone(), applied.version.clone()), (version_of(&text), version_of(&text)));
    assert_eq!(reloader.standing().config.pools[1].address.host, "localhost");
    assert!(text.contains("my own note"), "unknown keys are kept");
    let late = reloader.apply(&first, Some(&version), Source::Api);
    assert!(matches!(late, Err(ApplyError::Conflict(found)) if found == applied.version));

    let kept = reloader.history();
    assert_eq!(kept.iter().map(|k| k.source.as_str()).collect::<Vec<_>>(), ["start", "api"]);
    reloader.roll_back(kept[0].number, None).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert!(matches!(reloader.roll_back(99, None), Err(ApplyError::NoSuchVersion)));
    end(proxy);
}

#[test]
fn what_cannot_be_had_changes_nothing() {
    let (proxy, reloader, path, _pools) = inside("refused", |_| ());
    let first = fs::read_to_string(&path).unwrap();
    let before = reloader.standing();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (section, key, value) in [
        ("listen", "port", json!(port)),
        ("metrics", "port", json!(port)),
        ("logging", "file", json!("/nonexistent/dpmp.log")),
        ("recording", "dir", json!("/proc/nonexistent")),
    ] {
        let (text, _) = changed(&reloader, |c| c[section][key] = value.clone());
        let Err(ApplyError::Refused(why)) = reloader.apply(&text, None, Source::Api) else {
            panic!("{section}.{key} was taken")
        };
        assert!(why.contains(&format!("{section}.{key}")) || why.contains(&format!("{section}.host")), "{why}");
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert_eq!(reloader.standing().config, before.config);
        // A file that asks for it is refused as well, and stands there until it is mended.
        replace(&path, &text);
        assert!(reloader.reload(Source::File).is_err());
        assert_eq!(reloader.standing().config, before.config);
        assert_eq!(reloader.standing().refused.as_ref().unwrap().version, version_of(&text));
        replace(&path, &first);
        reloader.reload(Source::File).unwrap();
        assert_eq!(reloader.standing().refused, None);
    }
    assert!(!proxy.ports().miners().is_empty());
    end(proxy);
}

#[test]
fn the_slider_stays_until_the_weights_are_edited() {
    use dpmp_core::Command;
    let (proxy, reloader, _, _pools) = inside("slider", |_| ());
    let metrics = proxy.ports().site(dpmp::http::Site::Metrics)[0].port();
    let weight = || {
        let (_, text) = get(metrics, "/metrics");
        let line = text.lines().find(|line| line.starts_with("dpmp_pool_target_ratio{pool=\"A\"}")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(weight(), "0.6");
    proxy.handle().command(Command::SetWeights(vec![900_000, 100_000])).unwrap();
    wait_for("the slider", || (weight() == "0.9").then_some(()));
    let (text, _) = changed(&reloader, |c| c["limits"] = json!({"per_address": 7}));
    reloader.apply(&text, None, Source::Api).unwrap();
    assert_eq!(weight(), "0.9", "an edit of something else leaves the slider alone");
    let (text, _) = changed(&reloader, |c| c["scheduler"]["poolA_weight"] = json!(20));
    reloader.apply(&text, None, Source::Api).unwrap();
    wait_for("the file's weights", || (weight() != "0.9").then_some(()));
    assert!(weight().starts_with("0.333"), "{}", weight());
    end(proxy);
}

#[test]
fn a_proxy_that_has_ended_leaves_its_ports() {
    let (proxy, reloader, _, _pools) = inside("ports", |_| ());
    let port = proxy.ports().miners()[0].port();
    end(proxy);
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert!(reloader.ports().miners().is_empty());
}

#[test]
fn the_log_moves_and_changes_its_form() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("log");
    let (port, metrics) = (free_port(), free_port());
    let mut text = config(port, metrics, [a.address, b.address]);
    text["logging"] = json!({"burst": 5});
    let path = folder.join("config_v2.json");
    fs::write(&path, text.to_string()).unwrap();
    let mut command = dpmp();
    command.arg("--config").arg(&path);
    let mut proxy = Proxy::run(command, folder.clone(), port, metrics);
    let mut miner = Miner::connect(port);
    let (size, job) = miner.login("x.rig");
    for id in 10..30 {
        miner.submit(id, "x.rig", &job, size);
    }
    proxy.metric("dpmp_log_lines_suppressed_total");
    text["logging"] = json!({"file": "dpmp.log", "format": "text"});
    replace(&path, &text.to_string());
    proxy.event("config_changed");
    let log = folder.join("dpmp.log");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    wait_for("the log's file", || read(&log).contains("INFO  config_reloaded source=").then_some(()));
    // As logrotate does it.
    fs::rename(&log, folder.join("dpmp.log.old")).unwrap();
    proxy.signal("HUP");
    wait_for("the new file", || read(&log).contains("config_unchanged").then_some(()));
    assert!(!read(&folder.join("dpmp.log.old")).contains("config_unchanged"));
    proxy.signal("TERM");
    assert_eq!(proxy.ended().0.code(), Some(0));
    let all = proxy.log() + &read(&log) + &read(&folder.join("dpmp.log.old"));
    let told = all.contains("\"of\":\"share_result\",\"lines\":15") || all.contains("of=share_result lines=15");
    assert!(told, "{all}");
    assert_eq!(proxy.log().matches("\"event\":\"share_result\"").count(), 5, "{all}");
    assert!(all.contains("process_exiting"));
}

#[test]
fn a_log_that_cannot_be_written_stops_no_miner() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("nolog");
    let (port, metrics) = (free_port(), free_port());
    let mut text = config(port, metrics, [a.address, b.address]);
    text["logging"] = json!({"file": "away/dpmp.log"});
    let path = folder.join("config_v2.json");
    fs::write(&path, text.to_string()).unwrap();
    // A file where the log's folder should be.
    fs::write(folder.join("away"), "").unwrap();
    let mut command = dpmp();
    command.arg("--config").arg(&path);
    let mut proxy = Proxy::run(command, folder.clone(), port, metrics);
    let mut miner = Miner::connect(port);
    let (size, job) = miner.login("x.rig");
    miner.submit(10, "x.rig", &job, size);
    let told = proxy.event("log_file_failed");
    assert!(told.to_string().contains("away/dpmp.log"), "{told}");
    // It is mended, and asked for again.
    fs::remove_file(folder.join("away")).unwrap();
    fs::create_dir(folder.join("away")).unwrap();
    proxy.signal("HUP");
    let log = folder.join("away/dpmp.log");
    let read = || fs::read_to_string(&log).unwrap_or_default();
    wait_for("the log's file", || read().contains("config_unchanged").then_some(()));
    proxy.signal("TERM");
    assert_eq!(proxy.ended().0.code(), Some(0));
    assert!(read().contains("process_exiting"));
}

#[test]
fn what_an_edit_takes_away_is_forgotten() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("forgotten");
    let (port, metrics) = (free_port(), free_port());
    let mut text = config(port, metrics, [a.address, b.address]);
    text["dashboard"] = json!({"host": "127.0.0.1", "port": free_port()});
    text["pools"]["C"] = json!({"host": "127.0.0.1", "port": b.address.port(), "wallet": "walletC"});
    let path = folder.join("config_v2.json");
    fs::write(&path, text.to_string()).unwrap();
    // Somebody has moved the slider, and nobody looks at the page.
    let moved = folder.join("weights_override.json");
    let weights = json!({"poolA_weight": 90.0, "poolB_weight": 10.0, "poolC_weight": 0.0});
    fs::write(&moved, weights.to_string()).unwrap();
    let mut command = dpmp();
    command.arg("--config").arg(&path);
    let mut proxy = Proxy::run(command, folder.clone(), port, metrics);
    proxy.event("weights_override_loaded");
    let series = || get(metrics, "/metrics").1;
    wait_for("its levels", || series().contains("dpmp_split_target_ratio{pool=\"C\"").then_some(()));
    text["pools"].as_object_mut().unwrap().remove("C");
    replace(&path, &text.to_string());
    proxy.event("config_reloaded");
    for gone in ["dpmp_split_target_ratio", "dpmp_pool_hashrate", "dpmp_pool_payout", "dpmp_pool_height"] {
        let line = format!("{gone}{{");
        let stays = || series().lines().any(|l| l.starts_with(&line) && l.contains("pool=\"C\""));
        wait_for(gone, || (!stays()).then_some(()));
    }
    text["scheduler"] = json!({"poolA_weight": 70, "poolB_weight": 30});
    replace(&path, &text.to_string());
    wait_for("the end of what was moved", || (!moved.exists()).then_some(()));
    proxy.signal("TERM");
    assert_eq!(proxy.ended().0.code(), Some(0));
}
