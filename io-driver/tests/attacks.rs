//! What strangers on the network can do to the dashboard: nothing that lasts, and nothing that a miner notices.

#![allow(clippy::unwrap_used, reason = "what is not there is a failed test")]

mod support;
#[path = "support/web.rs"]
mod web;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::{Miner, wait_for};
use web::{PASSWORD, Site};

/// Shares that a miner sends before an attack begins.
const PEACE: u32 = 100;

/// A miner that submits all the time, until it is stopped; then how long each answer took.
struct Mining {
    stop: Arc<AtomicBool>,
    shares: Arc<AtomicU32>,
    thread: JoinHandle<Vec<Duration>>,
    /// Answers that came before the attack.
    before: usize,
}

impl Mining {
    fn start(port: u16) -> Mining {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let shares = Arc::new(AtomicU32::new(0));
        let counted = shares.clone();
        let thread = thread::spawn(move || {
            let mut miner = Miner::connect(port);
            let (size, job) = miner.login("x.rig");
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                let id = counted.fetch_add(1, Ordering::Relaxed);
                assert_eq!(miner.submit(u64::from(id) + 10, "x.rig", &job, size)["result"], true);
                took.push(began.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            took
        });
        // What it is like in peace.
        wait_for("the first shares", || (shares.load(Ordering::Relaxed) > PEACE).then_some(()));
        let before = shares.load(Ordering::Relaxed) as usize - 1;
        Mining { stop, shares, thread, before }
    }

    /// Half of the answers took no longer than in peace, and none very long. Generous, as the machine may be busy: what is
    /// looked for is a loop that waits for the dashboard, or works for it.
    fn was_undisturbed(self) {
        let before = self.shares.load(Ordering::Relaxed);
        wait_for("more shares", || (self.shares.load(Ordering::Relaxed) > before + 50).then_some(()));
        self.stop.store(true, Ordering::Relaxed);
        let took = self.thread.join().unwrap();
        let (peace, attack) = took.split_at(self.before);
        let (usual, now) = (median(peace), median(attack));
        let bound = usual * 2 + Duration::from_millis(5);
        assert!(now <= bound, "half of the answers took {now:?} or longer, and {usual:?} before the attack");
        let worst = attack.iter().max().unwrap();
        assert!(*worst < Duration::from_secs(2), "the slowest answer took {worst:?}");
    }
}

fn median(took: &[Duration]) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn connect(port: u16) -> Option<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    Some(socket)
}

fn answers(site: &Site) {
    wait_for_long("the dashboard to answer again", || {
        let mut socket = connect(site.port)?;
        socket.write_all(b"GET /api/v1/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = Vec::new();
        socket.read_to_end(&mut text).ok()?;
        text.starts_with(b"HTTP/1.1 200").then_some(())
    });
}

fn wait_for_long<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn half_open_requests_are_reaped() {
    let site = Site::start("attack-half", "", Some(PASSWORD));
    let mining = Mining::start(site.proxy.port);
    let held: Vec<TcpStream> = (0..100)
        .filter_map(|_| {
            let mut socket = connect(site.port)?;
            socket.write_all(b"GET /api/v1/state HTTP/1.1\r\nHost: localh").ok()?;
            Some(socket)
        })
        .collect();
    // They stay open on this side; the server gives up on them.
    answers(&site);
    drop(held);
    mining.was_undisturbed();
}

#[test]
fn an_endless_header_and_an_endless_body_are_cut() {
    let site = Site::start("attack-header", "", Some(PASSWORD));
    let mining = Mining::start(site.proxy.port);
    let mut socket = connect(site.port).unwrap();
    let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let piece = [b'y'; 64 * 1024];
    let mut sent = 0;
    while sent < 200 << 20 && socket.write_all(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 8 << 20, "{sent} bytes of one header were taken");
    let mut socket = connect(site.port).unwrap();
    let head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900000000\r\n\r\n";
    let _ = socket.write_all(head.as_bytes());
    let mut sent = 0;
    while sent < 200 << 20 && socket.write_all(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 8 << 20, "{sent} bytes of a body were taken");
    answers(&site);
    mining.was_undisturbed();
}

#[test]
fn a_body_that_never_comes_is_not_waited_for() {
    let site = Site::start("attack-body", "", Some(PASSWORD));
    let mut socket = connect(site.port).unwrap();
    let head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{";
    socket.write_all(head.as_bytes()).unwrap();
    let mut text = Vec::new();
    let _ = socket.read_to_end(&mut text);
    assert!(text.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn a_thousand_connections_come_and_go() {
    // On this side too.
    rlimit::increase_nofile_limit(4_096).unwrap();
    let site = Site::start("attack-thousand", "", Some(PASSWORD));
    let mining = Mining::start(site.proxy.port);
    let crowd: Vec<TcpStream> = (0..1_000).filter_map(|_| connect(site.port)).collect();
    assert_eq!(crowd.len(), 1_000);
    // Metrics have places of their own.
    assert_eq!(site.proxy.get("/healthz").0, "HTTP/1.1 200 OK");
    drop(crowd);
    answers(&site);
    mining.was_undisturbed();
}

#[test]
fn out_of_descriptors_miners_stay_and_the_dashboard_comes_back() {
    let folder = support::folder("attack-descriptors");
    let pools = [support::Pool::start("deadbeef", 8), support::Pool::start("cafe", 4)];
    let (port, metrics, page) = (support::free_port(), support::free_port(), support::free_port());
    let more = format!(r#","dashboard":{{"host":"127.0.0.1","port":{page}}},"recording":{{"enabled":false}}"#);
    let config = support::write_config(&folder, port, metrics, [pools[0].address, pools[1].address], &more);
    let dpmp = support::dpmp();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 48; exec \"$0\" --config \"$1\""]).arg(dpmp.get_program()).arg(config);
    command.env("DASHBOARD_PASSWORD", PASSWORD);
    let proxy = support::Proxy::run(command, folder, port, metrics);
    proxy.event("dashboard_started");
    let site = Site { proxy, port: page, pools };
    let mining = Mining::start(port);
    wait_for("the miner", || (site.proxy.log().contains("miner_ready_for_jobs")).then_some(()));
    // Miners' connections use up all descriptors; the dashboard's accept has none left and must not end.
    let crowd: Vec<TcpStream> = (0..60).filter_map(|_| connect(port)).collect();
    let more: Vec<TcpStream> = (0..20).filter_map(|_| connect(page)).collect();
    thread::sleep(Duration::from_millis(500));
    drop((crowd, more));
    answers(&site);
    mining.was_undisturbed();
}
