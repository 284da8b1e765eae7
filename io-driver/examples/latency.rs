//! How long a share takes from a miner to its pool and back, side by side: straight, through HAProxy in TCP mode, and
//! through dpmp, all in one run on loopback. Also how long a job takes from the pool to the miners; the jobs of a switch,
//! which no pool has just sent, are left out. There are two pools, each a thread of its own; their jobs come in turns.
//!
//! HAProxy and dpmp stand first before one pool (weights 100:0), then before two (50:50). Before two, HAProxy gives each
//! miner to one of them for good, so that a job goes to half of the connections; dpmp has a connection to each for every
//! miner, and a job goes to all, as half of the miners stand by.
//!
//! ```text
//! cargo build --release && cargo run --release -p dpmp --example latency -- [MINERS] [SECONDS] [SHARES_A_SECOND]
//! ```
//!
//! It starts `haproxy` from the path (left out if there is none) and the `dpmp` binary that lies beside this example's
//! folder, and ends both.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use anyhow::{Context as _, Result, bail};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// From one job of a pool to the next: thirty times as often as in life.
const JOB_EVERY: Duration = Duration::from_secs(1);

/// A socket and the bytes of its unfinished line.
struct Peer {
    stream: TcpStream,
    partial: Vec<u8>,
}

impl Peer {
    /// Reads all there is; gives the whole lines. None: the connection has ended.
    fn lines(&mut self) -> Option<Vec<String>> {
        let mut chunk = [0; 16384];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => self.partial.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return None,
            }
        }
        let mut lines = Vec::new();
        while let Some(end) = self.partial.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        Some(lines)
    }

    fn send(&mut self, line: &str) {
        // Loopback takes a line at once; a peer that has gone is noticed when it is read.
        let _ = self.stream.write_all(line.as_bytes());
    }
}

/// The value of `"id":` as it stands.
fn id_of(line: &str) -> &str {
    let rest = line.split("\"id\":").nth(1).unwrap_or("null").trim_start();
    rest.split([',', '}']).next().unwrap_or("null").trim()
}

/// A pool that accepts everything, and sends all a job now and then. Ends with the process. `jobs` gets the time of each.
fn pool(listener: std::net::TcpListener, first_job: Instant, jobs: mpsc::Sender<Instant>) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    let mut peers: HashMap<usize, Peer> = HashMap::new();
    let mut next = 1;
    let mut next_job = first_job;
    let mut job = 0u32;
    loop {
        poll.poll(&mut events, Some(next_job.saturating_duration_since(Instant::now())))?;
        if Instant::now() >= next_job {
            next_job += JOB_EVERY;
            job += 1;
            let line = notify(job);
            let _ = jobs.send(Instant::now());
            for peer in peers.values_mut() {
                peer.send(&line);
            }
        }
        for event in &events {
            if event.token() == Token(0) {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE)?;
                    peers.insert(next, Peer { stream, partial: Vec::new() });
                    next += 1;
                }
                continue;
            }
            let Some(peer) = peers.get_mut(&event.token().0) else { continue };
            let Some(lines) = peer.lines() else {
                peers.remove(&event.token().0);
                continue;
            };
            for line in lines {
                let id = id_of(&line).to_owned();
                if line.contains("mining.subscribe") {
                    let en1 = event.token().0;
                    peer.send(&format!(
                        "{{\"id\":{id},\"result\":[[[\"mining.notify\",\"a\"]],\"{en1:08x}\",8],\"error\":null}}\n"
                    ));
                } else if line.contains("mining.configure") {
                    peer.send(&format!("{{\"id\":{id},\"result\":{{\"version-rolling\":false}},\"error\":null}}\n"));
                } else {
                    peer.send(&format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"));
                    if line.contains("mining.authorize") {
                        // So easy that every hash meets it: no hashing disturbs the measurement.
                        peer.send("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0.0000000001]}\n");
                        peer.send(&notify(job));
                    }
                }
            }
        }
    }
}

/// A job of an ordinary size: a coinbase of 250 bytes and 12 merkle branches.
fn notify(job: u32) -> String {
    let branches = vec![format!("\"{}\"", "5a".repeat(32)); 12].join(",");
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{job:08x}\",\"{}\",\"{}\",\"{}\",[{branches}],\"20000000\",\"1d00ffff\",\"6b029f67\",false]}}\n",
        "00".repeat(32),
        "01".repeat(60),
        "02".repeat(178),
    )
}

struct Outcome {
    round_trips: Vec<Duration>,
    jobs: Vec<Duration>,
    refused: u64,
}

/// Miners that submit at a steady rate, spread evenly, for `seconds`.
fn miners(
    addr: SocketAddr,
    count: usize,
    seconds: u64,
    a_second: u64,
    jobs: &mpsc::Receiver<Instant>,
) -> Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut peers = Vec::new();
    for i in 0..count {
        let mut stream = TcpStream::from_std({
            let stream = std::net::TcpStream::connect(addr).with_context(|| format!("connect to {addr}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            stream
        });
        poll.registry().register(&mut stream, Token(i), Interest::READABLE)?;
        let mut peer = Peer { stream, partial: Vec::new() };
        peer.send("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4.11.1\"]}\n");
        peer.send(&format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w.m{i}\",\"x\"]}}\n"));
        peers.push((peer, String::new(), 8usize));
    }
    let mut outcome = Outcome { round_trips: Vec::new(), jobs: Vec::new(), refused: 0 };
    let mut sent: HashMap<u64, Instant> = HashMap::new();
    let start = Instant::now();
    let warm = start + Duration::from_secs(2);
    let end = warm + Duration::from_secs(seconds);
    let gap = Duration::from_nanos(1_000_000_000 / a_second);
    let mut next_share = warm;
    let mut serial = 10u64;
    let mut last_job: Option<Instant> = None;
    while Instant::now() < end {
        poll.poll(&mut events, Some(next_share.saturating_duration_since(Instant::now())))?;
        let now = Instant::now();
        while let Ok(at) = jobs.try_recv() {
            last_job = Some(at);
        }
        for event in &events {
            let (peer, job, en2) = &mut peers[event.token().0];
            let Some(lines) = peer.lines() else { bail!("a connection to {addr} has ended") };
            let now = Instant::now();
            for line in lines {
                if line.contains("mining.notify\",\"params") {
                    *job =
                        line.split("\"params\":[\"").nth(1).and_then(|r| r.split('"').next()).unwrap_or("").to_owned();
                    let of_a_switch = line.contains("true]");
                    if let Some(at) = last_job.filter(|_| now > warm && !of_a_switch) {
                        outcome.jobs.push(now.saturating_duration_since(at));
                    }
                } else if id_of(&line) == "1" {
                    *en2 = line
                        .split("\",")
                        .last()
                        .and_then(|r| r.split(']').next())
                        .and_then(|n| n.parse().ok())
                        .unwrap_or(8);
                } else if let Some(at) = id_of(&line).parse().ok().and_then(|id: u64| sent.remove(&id)) {
                    outcome.round_trips.push(now - at);
                    outcome.refused += u64::from(!line.contains("true"));
                }
            }
        }
        if now >= next_share {
            next_share += gap;
            serial += 1;
            let (peer, job, en2) = &mut peers[serial as usize % count];
            if !job.is_empty() {
                sent.insert(serial, Instant::now());
                let width = *en2 * 2;
                peer.send(&format!(
                    "{{\"id\":{serial},\"method\":\"mining.submit\",\"params\":[\"w.m\",\"{job}\",\"{:0width$x}\",\"6b029f67\",\"{:08x}\"]}}\n",
                    serial % 0xffff,
                    serial
                ));
            }
        }
    }
    if outcome.round_trips.is_empty() {
        bail!("no share came back through {addr}");
    }
    Ok(outcome)
}

fn percentile(sorted: &[Duration], percent: f64) -> f64 {
    let i = ((sorted.len() - 1) as f64 * percent / 100.0).round() as usize;
    sorted[i].as_secs_f64() * 1e6
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("nothing listens on port {port}")
}

/// A child that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn haproxy(dir: &std::path::Path, pools: &[SocketAddr]) -> Result<(Running, u16)> {
    let port = free_port()?;
    let config = dir.join("haproxy.cfg");
    let servers: String = pools.iter().enumerate().map(|(i, pool)| format!(" server s{i} {pool}\n")).collect();
    fs::write(
        &config,
        format!(
            "global\n nbthread 1\n maxconn 4000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\nfrontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n balance roundrobin\n{servers}"
        ),
    )?;
    let child = Command::new("haproxy").arg("-f").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let running = Running(child);
    wait_for(port)?;
    Ok((running, port))
}

fn dpmp(dir: &std::path::Path, pools: [SocketAddr; 2], weights: [u32; 2]) -> Result<(Running, u16)> {
    let (port, metrics) = (free_port()?, free_port()?);
    let config = dir.join("config_v2.json");
    let [weight_a, weight_b] = weights;
    let [a, b] = pools.map(|pool| {
        format!("{{\"name\":\"p\",\"host\":\"127.0.0.1\",\"port\":{},\"wallet\":\"w\",\"chain\":\"BTC\"}}", pool.port())
    });
    fs::write(
        &config,
        format!(
            "{{\"listen\":{{\"host\":\"127.0.0.1\",\"port\":{port}}},\"metrics\":{{\"host\":\"127.0.0.1\",\"port\":{metrics}}},\"pools\":{{\"A\":{a},\"B\":{b}}},\"scheduler\":{{\"poolA_weight\":{weight_a},\"poolB_weight\":{weight_b}}}}}"
        ),
    )?;
    let binary: PathBuf =
        env::current_exe()?.parent().and_then(|p| p.parent()).context("the target folder")?.join("dpmp");
    let child = Command::new(&binary)
        .arg("--config")
        .arg(&config)
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("{} (cargo build --release makes it)", binary.display()))?;
    let running = Running(child);
    wait_for(port)?;
    // The probes of both pools are done before miners come, as in life.
    thread::sleep(Duration::from_millis(500));
    Ok((running, port))
}

fn main() -> Result<()> {
    let number = |i: usize, default: u64| env::args().nth(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (count, seconds, a_second) = (number(1, 100) as usize, number(2, 10), number(3, 1000));
    let dir = env::temp_dir().join(format!("dpmp-latency-{}", process::id()));
    fs::create_dir_all(&dir)?;
    let (send, jobs) = mpsc::channel();
    let first_job = Instant::now() + JOB_EVERY;
    let mut addrs = [SocketAddr::from(([127, 0, 0, 1], 0)); 2];
    for (addr, first_job) in addrs.iter_mut().zip([first_job, first_job + JOB_EVERY / 2]) {
        let listener = std::net::TcpListener::bind(*addr)?;
        *addr = listener.local_addr()?;
        let send = send.clone();
        thread::spawn(move || pool(listener, first_job, send));
    }

    println!("{count} miners, {a_second} shares a second, {seconds} s each; microseconds");
    println!(
        "{:10} {:>9} {:>9} {:>9} {:>9} {:>8} | {:>9} {:>9}",
        "", "p50", "p90", "p99", "max", "shares", "job p50", "job p99"
    );
    let report = |name: &str, target: SocketAddr| -> Result<()> {
        let mut outcome = miners(target, count, seconds, a_second, &jobs)?;
        outcome.round_trips.sort_unstable();
        outcome.jobs.sort_unstable();
        let (r, j) = (&outcome.round_trips, &outcome.jobs);
        println!(
            "{name:10} {:9.0} {:9.0} {:9.0} {:9.0} {:8} | {:9.0} {:9.0}{}",
            percentile(r, 50.0),
            percentile(r, 90.0),
            percentile(r, 99.0),
            percentile(r, 100.0),
            r.len(),
            percentile(j, 50.0),
            percentile(j, 99.0),
            if outcome.refused > 0 { format!("  {} refused", outcome.refused) } else { String::new() }
        );
        Ok(())
    };
    report("straight", addrs[0])?;
    for (pools, weights) in [(1, [100, 0]), (2, [50, 50])] {
        match haproxy(&dir, &addrs[..pools]) {
            Ok((running, port)) => {
                report(&format!("haproxy {pools}"), SocketAddr::from(([127, 0, 0, 1], port)))?;
                drop(running);
            }
            Err(error) => println!("haproxy    left out: {error}"),
        }
        let (running, port) = dpmp(&dir, addrs, weights)?;
        report(&format!("dpmp {pools}"), SocketAddr::from(([127, 0, 0, 1], port)))?;
        drop(running);
    }
    fs::remove_dir_all(&dir)?;
    Ok(())
}
