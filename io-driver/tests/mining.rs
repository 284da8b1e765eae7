//! The binary between small pools and small miners on real sockets.

mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Miner, Pool, Proxy, dpmp, folder, free_port, get, wait_for, write_config};

/// v2's metrics that Grafana dashboards ask for.
const V2_SERIES: [&str; 21] = [
    "dpmp_downstream_connections",
    "dpmp_upstream_connections{pool=\"A\"}",
    "dpmp_messages_rx_total{side=\"downstream\"}",
    "dpmp_messages_rx_total{side=\"upstreamB\"}",
    "dpmp_messages_tx_total{side=\"upstreamA\"}",
    "dpmp_shares_submitted_total",
    "dpmp_shares_accepted_total{pool=\"A\"}",
    "dpmp_shares_rejected_total{pool=\"B\"}",
    "dpmp_jobs_forwarded_total{pool=\"A\"}",
    "dpmp_accepted_difficulty_sum_total{pool=\"A\"}",
    "dpmp_scheduler_time_sum_total{pool=\"A\"}",
    "dpmp_scheduler_share{pool=\"B\"}",
    "dpmp_downstream_difficulty",
    "dpmp_active_pool{pool=\"A\"}",
    "dpmp_oracle_hashrate{chain=\"BTC\",window=\"short\"}",
    "dpmp_oracle_ratio{chain=\"BCH\"}",
    "dpmp_oracle_weight{pool=\"B\"}",
    "dpmp_oracle_status",
    "dpmp_oracle_data_age_seconds",
    "dpmp_build_info{version=\"0.1.0\"}",
    "process_open_fds",
];

fn pools() -> (Pool, Pool) {
    (Pool::start("deadbeef", 8), Pool::start("cafe", 4))
}

#[test]
fn mines_counts_and_ends() {
    let (a, b) = pools();
    let mut proxy = Proxy::start("mines", [a.address, b.address], "");
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login("bc1qexampleexampleexampleexample0000.rig1");
    for id in 10..20 {
        let reply = miner.submit(id, "x.rig1", &job, size);
        assert_eq!(reply["result"], true, "{reply}");
    }
    let text = proxy.get("/metrics").1;
    for series in V2_SERIES {
        assert!(text.contains(&format!("\n{series} ")), "{series} is missing in\n{text}");
    }
    let sum = |name: &str| ["A", "B"].map(|p| proxy.metric(&format!("{name}{{pool=\"{p}\"}}"))).iter().sum::<f64>();
    wait_for("ten accepted shares", || (sum("dpmp_shares_accepted_total") == 10.0).then_some(()));
    assert_eq!(proxy.metric("dpmp_shares_submitted_total"), 10.0);
    assert_eq!(proxy.metric("dpmp_downstream_connections"), 1.0);
    assert_eq!(sum("dpmp_upstream_connections"), 2.0);
    assert_eq!(sum("dpmp_active_pool"), 1.0);
    // Both from one scrape: the miner may change its pool between two.
    let text = proxy.get("/metrics").1;
    let shares = text.lines().filter(|line| line.starts_with("dpmp_scheduler_share{"));
    let all: f64 = shares.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!((all - 1.0).abs() < 1e-9, "{text}");
    assert!(sum("dpmp_scheduler_time_sum_total") > 0.0);
    assert_eq!(proxy.get("/healthz").0, "HTTP/1.1 200 OK");
    assert_eq!(proxy.get("/readyz").0, "HTTP/1.1 200 OK");
    assert_eq!(a.count("walletA.rig1") + b.count("walletB.rig1"), 12, "two logins and ten shares");

    proxy.signal("TERM");
    assert!(miner.line().is_none() || miner.line().is_none(), "the miner's connection is closed");
    let (status, took) = proxy.ended();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
    assert!(took < Duration::from_secs(2), "{took:?}");
    let log = proxy.log();
    for event in ["miner_connected", "miner_ready_for_jobs", "auth_result", "share_result", "shutdown_done"] {
        assert!(log.contains(&format!("\"event\":\"{event}\"")), "{event} is missing in\n{log}");
    }
    assert!(!log.contains("bc1qexampleexampleexampleexample0000") && !log.contains("walletA"), "no wallets in\n{log}");
    let state = std::fs::read_to_string(proxy.folder.join("state.json")).unwrap();
    assert!(state.contains("extranonce2_bytes"), "{state}");
}

#[test]
fn a_dead_pool_costs_no_connection() {
    let (a, b) = pools();
    let proxy = Proxy::start("dead-pool", [a.address, b.address], "");
    let mut miner = Miner::connect(proxy.port);
    let (size, _) = miner.login("x.rig");
    // Both have a connection, and it is known who has the miner's work, before that one dies.
    let connected = |p| proxy.metric(&format!("dpmp_upstream_connections{{pool=\"{p}\"}}")) == 1.0;
    wait_for("both pools", || (connected("A") && connected("B")).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    let a_works = proxy.metric("dpmp_active_pool{pool=\"A\"}") == 1.0;
    let (dead, alive) = if a_works { (&a, &b) } else { (&b, &a) };
    dead.die();
    // Jobs from before may still lie in the socket; a share for one of them is answered, too.
    let mut id = 10;
    while alive.count("mining.submit") == 0 {
        let job = miner.job();
        id += 1;
        miner.submit(id, "x.rig", &job, size);
    }
    proxy.event("pool_down");
    dead.come_back();
    let event = wait_for("its return", || {
        let log = proxy.log();
        log.lines().rfind(|l| l.contains("\"event\":\"pool_reconnected\"")).map(str::to_owned)
    });
    assert!(event.contains("rig"), "{event}");
    assert_eq!(proxy.metric("dpmp_downstream_connections"), 1.0);
}

#[test]
fn listens_on_ipv4_and_ipv6() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let (a, b) = pools();
    let folder = folder("ipv6");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, 1, metrics, [a.address, b.address], "");
    let mut command = dpmp();
    command.arg("--config").arg(config).args(["--listen", &format!("[::]:{port}")]);
    let proxy = Proxy::run(command, folder, port, metrics);
    Miner::connect(port).login("x.four");
    proxy.event("miner_ready_for_jobs");
    assert!(proxy.log().contains("\"sid\":\"('127.0.0.1', "), "IPv4 is shown as IPv4: {}", proxy.log());
    assert!(TcpStream::connect(("::1", port)).is_ok());
}

#[test]
fn an_idle_proxy_sleeps() {
    let (a, b) = pools();
    let proxy = Proxy::start("idle", [a.address, b.address], "");
    let _miner =
        (Miner::connect(proxy.port), wait_for("ready", || (proxy.get("/readyz").0.contains("200")).then_some(())));
    let before = proxy.metric("process_cpu_seconds_total");
    std::thread::sleep(Duration::from_secs(3));
    let spent = proxy.metric("process_cpu_seconds_total") - before;
    assert!(spent <= 0.03, "{spent} s of CPU in 3 s of nothing to do");
}

#[test]
fn nobody_waits_for_one_who_does_not_read() {
    let (a, b) = pools();
    let proxy = Proxy::start("slow", [a.address, b.address], "");
    let deaf = wait_for("the port", || TcpStream::connect(("127.0.0.1", proxy.port)).ok());
    let asking = deaf.try_clone().unwrap();
    let line = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4.11.1\"]}\n".repeat(200);
    std::thread::spawn(move || {
        let mut asking = asking;
        while asking.write_all(line.as_bytes()).is_ok() {}
    });
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login("x.rig");
    let mut worst = Duration::ZERO;
    for id in 10..110 {
        let began = Instant::now();
        miner.submit(id, "x.rig", &job, size);
        worst = worst.max(began.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(worst < Duration::from_millis(500), "{worst:?}");
    drop(deaf);
}

#[test]
fn http_has_bounds() {
    let (a, b) = pools();
    let proxy = Proxy::start("http", [a.address, b.address], "");
    assert_eq!(proxy.get("/nothing").0, "HTTP/1.1 404 Not Found");
    // Sixteen half-open requests take all places of this address; they are reaped, and others are served again.
    let half_open: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut socket = TcpStream::connect(("127.0.0.1", proxy.metrics)).unwrap();
            let _ = socket.write_all(b"GET /metrics HTTP/1.1\r\n");
            socket
        })
        .collect();
    let began = Instant::now();
    drop(half_open);
    wait_for("a free place", || {
        let mut socket = TcpStream::connect(("127.0.0.1", proxy.metrics)).ok()?;
        socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut socket, &mut text).ok()?;
        text.starts_with("HTTP/1.1 200").then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(10));
    // A header longer than the buffer is refused.
    let mut socket = TcpStream::connect(("127.0.0.1", proxy.metrics)).unwrap();
    let _ = socket.write_all(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(64 * 1024)).as_bytes());
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut socket, &mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// A program with so few descriptors, and its ports for miners and metrics.
fn with_descriptors(limit: u32, name: &str, pools: [std::net::SocketAddr; 2]) -> (Proxy, u16, u16) {
    let folder = folder(name);
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, pools, "");
    let mut command = std::process::Command::new("sh");
    let words = format!("ulimit -n {limit}; exec \"$0\" --config \"$1\"");
    command.args(["-c", &words]).arg(dpmp().get_program()).arg(config);
    (Proxy::run(command, folder, port, metrics), port, metrics)
}

#[test]
fn no_more_miners_are_let_in_than_have_descriptors_for_their_pools() {
    let (a, b) = pools();
    // Enough for four miners with two pools each, and for all else.
    let (proxy, port, _) = with_descriptors(128 + 4 * 3, "few-descriptors", [a.address, b.address]);
    let said = proxy.event("file_limit_low");
    assert!(said["text"].as_str().unwrap().contains("4 miners are let in"), "{said}");
    let mut miner = Miner::connect(port);
    let (size, job) = miner.login("x.first");
    let crowd: Vec<TcpStream> =
        (0..60).map(|_| wait_for("the port", || TcpStream::connect(("127.0.0.1", port)).ok())).collect();
    wait_for("refusals", || (proxy.log().matches("limits.max_miners reached").count() >= 50).then_some(()));
    assert_eq!(miner.submit(10, "x.first", &job, size)["result"], true);
    assert!(!proxy.log().contains("accept_paused"), "{}", proxy.log());
    drop(crowd);
}

#[test]
fn out_of_descriptors_it_waits_and_recovers() {
    let (a, b) = pools();
    let (proxy, port, metrics) = with_descriptors(40, "descriptors", [a.address, b.address]);
    // It has started.
    Miner::connect(port).login("x.before");
    // Readers of the metrics take what there is: from each address as many as are let in.
    let from = |address: [u8; 4]| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], metrics)).into()).unwrap();
        socket
    };
    let readers: Vec<_> = (0..40).map(|n| from([127, 0, 1, n / 10])).collect();
    // The readers are let in by another thread, so a miner or two may be quicker than they.
    let mut waiting = Vec::new();
    wait_for("a shortage", || {
        waiting.extend(TcpStream::connect(("127.0.0.1", port)));
        proxy.log().contains("accept_paused").then_some(())
    });
    let paused = proxy.event("accept_paused");
    assert!(paused["err"].as_str().unwrap().contains("files"), "{paused}");
    drop((readers, waiting));
    // One miner is all that is let in with so few, and those that waited come first.
    let none_left = || get(metrics, "/metrics").1.contains("\ndpmp_downstream_connections 0\n").then_some(());
    wait_for("the last of them to go", none_left);
    Miner::connect(port).login("x.rig");
    assert_eq!(proxy.log().matches("\"event\":\"accept_paused\"").count(), 1, "said once");
    assert_eq!(get(metrics, "/healthz").0, "HTTP/1.1 200 OK");
}

#[test]
fn a_blocked_log_reader_blocks_nobody() {
    let (a, b) = pools();
    let folder = folder("blocked-log");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], r#","limits":{"max_miners":50}"#);
    let mut command = dpmp();
    // Nobody ever reads this pipe.
    let mut child = command.arg("--config").arg(config).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut miner = Miner::connect(port);
    let (size, job) = miner.login("x.rig");
    for id in 10..3000 {
        assert_eq!(miner.submit(id, "x.rig", &job, size)["result"], true);
    }
    assert_eq!(get(metrics, "/healthz").0, "HTTP/1.1 200 OK");
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let began = Instant::now();
    let status = wait_for("the end", || child.try_wait().unwrap());
    assert!(status.success() && began.elapsed() < Duration::from_secs(2), "{status} {:?}", began.elapsed());
}
