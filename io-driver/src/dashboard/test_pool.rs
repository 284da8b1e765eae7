//! A try of a pool before it is put into the config: connect, subscribe, authorise, and what it sends first.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, give};
use super::body;
use crate::logs::redact;

/// All of it together takes no longer.
const TIME: Duration = Duration::from_secs(10);
/// A pool that sends more than this has sent enough.
const BYTES: u64 = 512 * 1024;

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
pub(super) async fn test(body: Body) -> Answer {
    let wanted: Wanted = body::json(body, body::SMALL).await?;
    if wanted.host.trim().is_empty() || wanted.port == 0 {
        return Err(Refusal::unusable("a host and a port are needed"));
    }
    let steps = tokio::task::spawn_blocking(move || attempt(&wanted)).await;
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
fn attempt(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let began = Instant::now();
    let mut say = |name, good, since: Instant, text: String| {
        let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        steps.push(Step { name, good, ms, text: redact(&text).into_owned() });
    };
    let socket = match connect(wanted, began) {
        Ok(socket) => socket,
        Err(text) => {
            say("Connect", false, began, text);
            return steps;
        }
    };
    say("Connect", true, began, String::new());
    let mut talk = match Talk::new(socket, began) {
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

fn connect(wanted: &Wanted, began: Instant) -> Result<TcpStream, String> {
    let addresses = (wanted.host.trim(), wanted.port).to_socket_addrs();
    let addresses = addresses.map_err(|error| format!("{} cannot be found: {error}", wanted.host))?;
    let mut last = format!("{} has no address", wanted.host);
    for address in addresses.take(4) {
        let left = TIME.saturating_sub(began.elapsed()).min(Duration::from_secs(5));
        if left.is_zero() {
            return Err("it did not answer in time".to_owned());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

struct Talk {
    socket: TcpStream,
    reader: BufReader<std::io::Take<TcpStream>>,
    began: Instant,
    difficulty: Option<f64>,
    job: bool,
}

impl Talk {
    fn new(socket: TcpStream, began: Instant) -> std::io::Result<Talk> {
        socket.set_write_timeout(Some(Duration::from_secs(5)))?;
        let reader = BufReader::new(socket.try_clone()?.take(BYTES));
        Ok(Talk { socket, reader, began, difficulty: None, job: false })
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
        let left = TIME.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return Err("it did not answer in time".to_owned());
        }
        self.socket.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => Err("it closed the connection".to_owned()),
            Ok(_) => {
                let message: Value =
                    serde_json::from_slice(&line).map_err(|_| "it does not speak Stratum".to_owned())?;
                match message["method"].as_str() {
                    Some("mining.set_difficulty") => self.difficulty = message["params"][0].as_f64(),
                    Some("mining.notify") => self.job = true,
                    _ => {}
                }
                Ok(message)
            }
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }
}
