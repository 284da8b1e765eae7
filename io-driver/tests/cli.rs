//! What a shell sees: exit codes and words.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use support::{Pool, Proxy, dpmp, folder, free_port, write_config};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn check_config_says_all_and_exits_by_it() {
    let folder = folder("check");
    let good = write_config(&folder, 3351, 9210, [([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()], "");
    let output = dpmp().arg("check-config").arg(&good).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let bad = folder.join("bad.json");
    fs::write(&bad, r#"{"listen":{"port":"x"},"pools":{"A":{"port":[]}}}"#).unwrap();
    let output = dpmp().arg("check-config").arg(&bad).output().unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("listen.port") && said.contains("pools.A.port"), "all problems at once: {said}");
    for missing in [folder.join("none.json"), folder.clone()] {
        let output = dpmp().arg("check-config").arg(missing).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    }
}

#[test]
fn without_a_config_it_names_the_demo() {
    let output = dpmp().current_dir(folder("none")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("dpmp demo"), "{}", words(&output));
}

#[test]
fn bad_usage_is_two() {
    for arguments in
        [&["--listen", "3351"][..], &["simulate", "--seed", "x"], &["--nonsense"], &["demo", "--seconds", "x"]]
    {
        let output = dpmp().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", words(&output));
    }
    let output = dpmp().arg("--version").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(words(&output).starts_with("dpmp "));
}

#[test]
fn a_port_in_use_is_said_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = folder("taken");
    let config = write_config(&folder, port, free_port(), [([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()], "");
    let output = dpmp().arg("--config").arg(&config).output().unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("--listen"), "{said}");
}

#[test]
fn a_taken_metrics_port_does_not_stop_mining() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (pool_a, pool_b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("metrics-taken");
    let port = free_port();
    let metrics = taken.local_addr().unwrap().port();
    let config = write_config(&folder, port, metrics, [pool_a.address, pool_b.address], "");
    let mut command = dpmp();
    command.arg("--config").arg(config);
    let proxy = Proxy::run(command, folder, port, metrics);
    proxy.event("metrics_start_failed");
    support::Miner::connect(proxy.port).login("w.rig");
}

#[test]
fn the_environment_chooses_config_and_events() {
    let pools = [([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()];
    let folder = folder("environment");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, pools, "");
    let mut command = dpmp();
    command.env("DPMP_CONFIG", config).env("DPMP_LOG_DENY", "pool_connecting,no_such_event");
    let mut proxy = Proxy::run(command, folder, port, metrics);
    proxy.event("pool_initial_connect_failed");
    proxy.signal("TERM");
    proxy.ended();
    let log = proxy.log();
    assert!(log.contains("\"event\":\"dpmp_listening\"") && !log.contains("\"event\":\"pool_connecting\""), "{log}");
    for line in log.lines() {
        assert!(line.starts_with("{\"ts\":\"20") && line.contains("+00:00\",\"event\":\""), "{line}");
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn merge_config_adds_and_keeps() {
    let folder = folder("merge");
    let file = folder.join("config_v2.json");
    let text =
        "{\n  \"pools\": {\"A\": {\"host\": \"a.example\"}, \"B\": {\"host\": \"b.example\"}},\n  \"mine\": 1\n}\n";
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../config_v2_example.json");
    let merge = || dpmp().arg("merge-config").arg(example).arg(&file).output().unwrap();
    let said = merge();
    assert!(said.status.code() == Some(0) && words(&said).contains("not there"), "{}", words(&said));
    fs::write(&file, text).unwrap();
    let said = merge();
    assert_eq!(said.status.code(), Some(0), "{}", words(&said));
    assert!(words(&said).contains("added listen.port: 3350"), "{}", words(&said));
    let merged = fs::read_to_string(&file).unwrap();
    for part in ["{\n  \"pools\": {\"A\": {\"host\": \"a.example\"", "\n  \"mine\": 1,\n  \"listen\": {\n    \"host\""]
    {
        assert!(merged.contains(part), "{merged}");
    }
    let backups = || fs::read_dir(&folder).unwrap().filter(|e| e.as_ref().unwrap().path() != file).count();
    assert_eq!(backups(), 1);
    let said = merge();
    assert!(words(&said).contains("nothing to add"), "{}", words(&said));
    assert_eq!((fs::read_to_string(&file).unwrap(), backups()), (merged, 1));
    fs::write(&file, "{\"a\": ").unwrap();
    assert_eq!(merge().status.code(), Some(2));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"a\": ");
}

#[test]
fn systemd_is_told_how_it_goes() {
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;
    let (pool_a, pool_b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("systemd");
    let notify = folder.join("notify");
    let socket = UnixDatagram::bind(&notify).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [pool_a.address, pool_b.address], "");
    let mut command = dpmp();
    command.arg("--config").arg(config).env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "300000");
    let mut proxy = Proxy::run(command, folder, port, metrics);
    let next = || {
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    assert!(next().contains("READY=1"));
    let mut miner = support::Miner::connect(port);
    miner.login("w.rig");
    let until = |wanted: &str| {
        (0..100).map(|_| next()).find(|said| said.contains(wanted)).unwrap_or_else(|| panic!("no {wanted}"))
    };
    let said = until("STATUS=1 miner; pool A up");
    assert!(said.contains("WATCHDOG=1"), "{said}");
    proxy.signal("TERM");
    until("STOPPING=1");
    assert_eq!(proxy.ended().0.code(), Some(0));
}
