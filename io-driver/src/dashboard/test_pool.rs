//! A try of a pool before it is put into the config: connect, subscribe, authorise, and what it sends first.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, give};
use super::{Shared, body};
use crate::logs::redact;

/// All of it together takes no longer.
const TIME: Duration = Duration::from_secs(10);
/// A pool that sends more than this has sent enough: a job has a few KiB.
const BYTES: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Wanted {
    host: String,
    port: u16,
    #[serde(default)]
    wallet: String,
    #[serde(default)]
    password: String,
}

/// `POST /api/v1/test-pool {"host", "port", "wallet", "password"}`.
pub(super) async fn test(State(shared): State<Arc<Shared>>, body: Body) -> Answer {
    let wanted: Wanted = body::json(body, body::SMALL).await?;
    if wanted.host.trim().is_empty() || wanted.port == 0 {
        return Err(Refusal::unusable("a host and a port are needed"));
    }
    // The threads of this port are few, and whoever asked may be gone long before the try ends.
    let Ok(turn) = shared.testing.clone().try_acquire_owned() else {
        let text = "another pool is being tried: wait for its end, 10 s at most";
        return Err(Refusal::new(StatusCode::CONFLICT, "busy", text));
    };
    let steps = tokio::task::spawn_blocking(move || {
        let steps = attempt(&wanted, Instant::now() + TIME);
        drop(turn);
        steps
    });
    let steps = steps.await;
    let steps = steps.map_err(|_| Refusal::failed("the try broke off"))?;
    let good = steps.iter().all(|step| step.good);
    let shown = |step: &Step| json!({"name": step.name, "good": step.good, "ms": step.ms, "text": step.text});
    give(&json!({"good": good, "steps": steps.iter().map(shown).collect::<Vec<_>>()}))
}

struct Step {
    name: &'static str,
    good: bool,
    ms: u64,
    text: String,
}

/// Steps up to the first that fails.
fn attempt(wanted: &Wanted, until: Instant) -> Vec<Step> {
    let mut steps = Vec::new();
    let began = Instant::now();
    let mut say = |name, good, since: Instant, text: String| {
        let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        steps.push(Step { name, good, ms, text: redact(&text).into_owned() });
    };
    let socket = match connect(wanted, until) {
        Ok(socket) => socket,
        Err(text) => {
            say("Connect", false, began, text);
            return steps;
        }
    };
    say("Connect", true, began, String::new());
    let mut talk = match Talk::new(socket, until) {
        Ok(talk) => talk,
        Err(error) => {
            say("Subscribe", false, began, error.to_string());
            return steps;
        }
    };
    let since = Instant::now();
    match talk.ask(1, "mining.subscribe", &json!([concat!("dpmp/", env!("CARGO_PKG_VERSION"))])) {
        Ok(result) => {
            let size = result[2].as_u64().unwrap_or(0);
            say("Subscribe", size > 0, since, format!("extranonce2 of {size} bytes"));
        }
        Err(text) => {
            say("Subscribe", false, since, text);
            return steps;
        }
    }
    let since = Instant::now();
    let user = if wanted.wallet.is_empty() { "test".to_owned() } else { format!("{}.test", wanted.wallet) };
    let password = if wanted.password.is_empty() { "x" } else { &wanted.password };
    match talk.ask(2, "mining.authorize", &json!([user, password])) {
        Ok(Value::Bool(true)) => say("Authorise", true, since, String::new()),
        Ok(other) => {
            say("Authorise", false, since, format!("it answered {other}"));
            return steps;
        }
        Err(text) => {
            say("Authorise", false, since, text);
            return steps;
        }
    }
    let since = Instant::now();
    let job = talk.until_job();
    match talk.difficulty {
        Some(difficulty) => say("Difficulty", true, since, format!("{difficulty}")),
        None => say("Difficulty", false, since, "none was sent".to_owned()),
    }
    match job {
        Ok(()) => say("First job", true, since, String::new()),
        Err(text) => say("First job", false, since, text),
    }
    steps
}

fn connect(wanted: &Wanted, until: Instant) -> Result<TcpStream, String> {
    let addresses = (wanted.host.trim(), wanted.port).to_socket_addrs();
    let addresses = addresses.map_err(|error| format!("{} cannot be found: {error}", wanted.host))?;
    let mut last = format!("{} has no address", wanted.host);
    for address in addresses.take(4) {
        match TcpStream::connect_timeout(&address, left(until)?.min(Duration::from_secs(5))) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

/// The time that is left.
fn left(until: Instant) -> Result<Duration, String> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("it did not answer in time".to_owned()) } else { Ok(left) }
}

struct Talk {
    socket: TcpStream,
    reader: BufReader<std::io::Take<TcpStream>>,
    until: Instant,
    difficulty: Option<f64>,
    job: bool,
}

impl Talk {
    fn new(socket: TcpStream, until: Instant) -> std::io::Result<Talk> {
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        let reader = BufReader::new(socket.try_clone()?.take(BYTES));
        Ok(Talk { socket, reader, until, difficulty: None, job: false })
    }

    fn ask(&mut self, id: u64, method: &str, params: &Value) -> Result<Value, String> {
        let line = json!({"id": id, "method": method, "params": params});
        self.socket.write_all(format!("{line}\n").as_bytes()).map_err(|error| error.to_string())?;
        loop {
            let message = self.read()?;
            if message["id"] != json!(id) || message["method"].is_string() {
                continue;
            }
            return match &message["error"] {
                Value::Null => Ok(message["result"].clone()),
                error => Err(format!("it refused: {}", error[1].as_str().map_or(error.to_string(), str::to_owned))),
            };
        }
    }

    fn until_job(&mut self) -> Result<(), String> {
        while !self.job {
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Value, String> {
        let line = self.line()?;
        let message: Value = serde_json::from_slice(&line).map_err(|_| "it does not speak Stratum".to_owned())?;
        match message["method"].as_str() {
            Some("mining.set_difficulty") => self.difficulty = message["params"][0].as_f64(),
            Some("mining.notify") => self.job = true,
            _ => {}
        }
        Ok(message)
    }

    /// The next line. Each wait is as long as what is left of the whole: a pool that drips gains nothing.
    fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        loop {
            self.socket.set_read_timeout(Some(left(self.until)?)).map_err(|error| error.to_string())?;
            let (used, whole) = match self.reader.fill_buf() {
                Ok([]) => {
                    return match self.reader.get_ref().limit() {
                        0 => Err("it sends too much".to_owned()),
                        _ if line.is_empty() => Err("it closed the connection".to_owned()),
                        _ => Ok(line),
                    };
                }
                Ok(bytes) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let used = end.map_or(bytes.len(), |end| end + 1);
                    line.extend_from_slice(&bytes[..used]);
                    (used, end.is_some())
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error.to_string()),
            };
            self.reader.consume(used);
            if whole {
                return Ok(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A pool that sends this over and over, with a pause between; how the try ends, and after how long.
    fn tried(bytes: &'static [u8], pause: Duration) -> (String, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            while socket.write_all(bytes).is_ok() {
                std::thread::sleep(pause);
            }
        });
        let host = "127.0.0.1".to_owned();
        let wanted = Wanted { host, port, wallet: String::new(), password: String::new() };
        let began = Instant::now();
        let steps = attempt(&wanted, began + Duration::from_millis(500));
        (steps.last().unwrap().text.clone(), began.elapsed())
    }

    #[test]
    fn a_pool_that_drips_does_not_hold_the_try() {
        for bytes in [&b" "[..], b"{}\n"] {
            let (text, took) = tried(bytes, Duration::from_millis(50));
            assert_eq!(text, "it did not answer in time");
            assert!(took < Duration::from_secs(3), "{took:?}");
        }
        let (text, took) = tried(&[b' '; 4096], Duration::ZERO);
        assert_eq!(text, "it sends too much");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}
