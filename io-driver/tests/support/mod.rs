//! A small pool and a small miner on real sockets, and the `dpmp` binary between them. No Stratum beyond what these
//! tests need; the strict peers are the simulator's.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("dpmp-test-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A port that was free a moment ago, and that no connection of another test takes meanwhile: it lies below those that the
/// system gives to clients. It is looked at without listening there: a child that another test starts at this moment would
/// have the listener, too, and accept for an instant.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(61);
    for _ in 0..1_000 {
        let port = 10_000 + (first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000) as u16;
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Waits for something, up to ten seconds.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A pool that gives everybody a job, and takes every share.
pub(crate) struct Pool {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    lines: Arc<Mutex<Vec<String>>>,
    refusing: Arc<Mutex<bool>>,
}

impl Pool {
    pub(crate) fn start(extranonce1: &'static str, extranonce2_bytes: usize) -> Pool {
        Pool::of_network("1d00ffff", extranonce1, extranonce2_bytes)
    }

    /// A pool of a network with this target.
    pub(crate) fn of_network(nbits: &'static str, extranonce1: &'static str, extranonce2_bytes: usize) -> Pool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let refusing = Arc::new(Mutex::new(false));
        let pool = Pool { address, connections, lines, refusing };
        let (connections, lines, refusing) = (pool.connections.clone(), pool.lines.clone(), pool.refusing.clone());
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if *refusing.lock().unwrap() {
                    continue;
                }
                connections.lock().unwrap().push(socket.try_clone().unwrap());
                let lines = lines.clone();
                thread::spawn(move || serve(socket, nbits, extranonce1, extranonce2_bytes, &lines));
            }
        });
        pool
    }

    /// Closes all connections; new ones are closed at once.
    pub(crate) fn die(&self) {
        *self.refusing.lock().unwrap() = true;
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn come_back(&self) {
        *self.refusing.lock().unwrap() = false;
    }

    /// Lines received that contain this.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

fn serve(mut socket: TcpStream, nbits: &str, extranonce1: &str, extranonce2_bytes: usize, lines: &Mutex<Vec<String>>) {
    let reader = BufReader::new(socket.try_clone().unwrap());
    for line in reader.lines().map_while(Result::ok) {
        lines.lock().unwrap().push(line.clone());
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        let (id, method) = (&message["id"], message["method"].as_str().unwrap_or(""));
        let mut reply = match method {
            "mining.subscribe" => {
                format!(
                    "{{\"id\":{id},\"result\":[[[\"mining.notify\",\"1\"]],\"{extranonce1}\",{extranonce2_bytes}],\"error\":null}}\n"
                )
            }
            "mining.configure" => format!(
                "{{\"id\":{id},\"result\":{{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}},\"error\":null}}\n"
            ),
            _ => format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"),
        };
        if method == "mining.authorize" {
            reply.push_str("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-15]}\n");
            let (previous, coinb1, coinb2) = ("00".repeat(32), "ab".repeat(40), "cd".repeat(40));
            reply.push_str(&format!(
                "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"1\",\"{previous}\",\"{coinb1}\",\"{coinb2}\",[],\
                 \"20000000\",\"{nbits}\",\"{:08x}\",true]}}\n",
                1_769_860_800
            ));
        }
        if socket.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// A connection that speaks lines.
pub(crate) struct Miner {
    socket: TcpStream,
    reader: BufReader<TcpStream>,
    /// A job that came while a reply was waited for.
    unread: Option<String>,
}

impl Miner {
    pub(crate) fn connect(port: u16) -> Miner {
        let socket = wait_for("the miner port", || TcpStream::connect(("127.0.0.1", port)).ok());
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let reader = BufReader::new(socket.try_clone().unwrap());
        Miner { socket, reader, unread: None }
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.send_raw(&format!("{line}\n"));
    }

    /// Text as it is, a part of a line too.
    pub(crate) fn send_raw(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).unwrap();
    }

    /// The next line; none at the end of the connection.
    pub(crate) fn line(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        let n = self.reader.read_line(&mut line).ok()?;
        (n > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// Reads until a line that is wanted.
    pub(crate) fn until(&mut self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        loop {
            let line = self.line().expect("the connection stays open, and a line comes within ten seconds");
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Handshake, up to the first job: extranonce2_size and the job's id.
    pub(crate) fn login(&mut self, user: &str) -> (usize, String) {
        self.send(r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
        let subscribed = self.until(|m| m["id"] == 1);
        let size = subscribed["result"][2].as_u64().unwrap() as usize;
        self.send(&format!(r#"{{"id":2,"method":"mining.authorize","params":["{user}","x"]}}"#));
        assert_eq!(self.until(|m| m["id"] == 2)["result"], true);
        (size, self.job())
    }

    /// The next job's id.
    pub(crate) fn job(&mut self) -> String {
        if let Some(job) = self.unread.take() {
            return job;
        }
        job_id(&self.until(|m| m["method"] == "mining.notify"))
    }

    /// Submits, and returns the reply.
    pub(crate) fn submit(&mut self, id: u64, user: &str, job: &str, extranonce2_bytes: usize) -> serde_json::Value {
        let en2 = format!("{id:0width$x}", width = 2 * extranonce2_bytes);
        let ntime = format!("{:08x}", 1_769_860_800);
        self.send(&format!(
            r#"{{"id":{id},"method":"mining.submit","params":["{user}","{job}","{en2}","{ntime}","00000000"]}}"#
        ));
        loop {
            let line = self.line().expect("the connection stays open, and a line comes within ten seconds");
            if line["id"] == id {
                return line;
            }
            if line["method"] == "mining.notify" {
                self.unread = Some(job_id(&line));
            }
        }
    }
}

fn job_id(notify: &serde_json::Value) -> String {
    notify["params"][0].as_str().unwrap().to_owned()
}

/// The binary under test.
pub(crate) fn dpmp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dpmp"));
    for name in ["DPMP_CONFIG", "DPMP_LOG_LEVEL", "DPMP_LOG_ALLOW", "DPMP_LOG_DENY", "DASHBOARD_PASSWORD"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A running proxy with a config, ports and a log of its own.
pub(crate) struct Proxy {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    pub(crate) metrics: u16,
    child: Child,
}

/// Writes a config for these two pools, and `more` at the top level. There is no dashboard unless `more` has one.
pub(crate) fn write_config(folder: &Path, port: u16, metrics: u16, pools: [SocketAddr; 2], more: &str) -> PathBuf {
    let path = folder.join("config_v2.json");
    let no_dashboard = if more.contains("\"dashboard\"") { "" } else { r#","dashboard":{"enabled":false}"# };
    let text = format!(
        r#"{{"listen":{{"host":"127.0.0.1","port":{port}}},"metrics":{{"host":"127.0.0.1","port":{metrics}}},
        "pools":{{"A":{{"host":"127.0.0.1","port":{},"wallet":"walletA"}},"B":{{"host":"localhost","port":{},"wallet":"walletB"}}}},
        "logging":{{"level":"debug"}}{no_dashboard}{more}}}"#,
        pools[0].port(),
        pools[1].port()
    );
    fs::write(&path, text).unwrap();
    path
}

impl Proxy {
    pub(crate) fn start(name: &str, pools: [SocketAddr; 2], more: &str) -> Proxy {
        let folder = folder(name);
        let (port, metrics) = (free_port(), free_port());
        let config = write_config(&folder, port, metrics, pools, more);
        let mut command = dpmp();
        command.arg("--config").arg(config);
        Proxy::run(command, folder, port, metrics)
    }

    /// As [`Proxy::start`], with `more` in the section `metrics`.
    pub(crate) fn start_with(name: &str, pools: [SocketAddr; 2], more: &str) -> Proxy {
        let folder = folder(name);
        let (port, metrics) = (free_port(), free_port());
        let path = write_config(&folder, port, metrics, pools, "");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&format!("\"port\":{metrics}}}"), &format!("\"port\":{metrics}{more}}}")))
            .unwrap();
        let mut command = dpmp();
        command.arg("--config").arg(path);
        Proxy::run(command, folder, port, metrics)
    }

    pub(crate) fn run(mut command: Command, folder: PathBuf, port: u16, metrics: u16) -> Proxy {
        let log = fs::File::create(folder.join("log")).unwrap();
        let errors = fs::File::create(folder.join("errors")).unwrap();
        let child = command.stdout(log).stderr(errors).spawn().unwrap();
        Proxy { folder, port, metrics, child }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Waits until the log has this event, and returns its last line.
    pub(crate) fn event(&self, name: &str) -> serde_json::Value {
        let wanted = format!("\"event\":\"{name}\"");
        wait_for(name, || {
            let log = self.log();
            let line = log.lines().rfind(|line| line.contains(&wanted))?;
            serde_json::from_str(line).ok()
        })
    }

    /// A GET on the metrics port: status line and body.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        get(self.metrics, path)
    }

    /// The value of a series.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no series {series}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The end without a word: SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end: how, and how long it took.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let status = wait_for("the end of the program", || self.child.try_wait().unwrap());
        (status, began.elapsed())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GET: status line and body.
pub(crate) fn get(port: u16, path: &str) -> (String, String) {
    let mut socket = wait_for("an HTTP port", || TcpStream::connect(("127.0.0.1", port)).ok());
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}
