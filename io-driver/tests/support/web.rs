//! A browser in a few lines: requests to the dashboard, with cookie and origin as a browser sends them.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Pool, Proxy, dpmp, folder, free_port, wait_for, write_config};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    }
}

/// Sends a request as it stands, and reads to the end.
pub(crate) fn raw(port: u16, request: &[u8]) -> Answer {
    let mut socket = wait_for("the dashboard", || TcpStream::connect(("127.0.0.1", port)).ok());
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that refuses may close before it has read all.
    let _ = socket.write_all(request);
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head, body: bytes.get(at + 4..).unwrap_or_default().to_vec() }
}

/// Somebody at a browser.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) port: u16,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn new(port: u16) -> Browser {
        Browser { port, cookie: None }
    }

    pub(crate) fn signed_in(port: u16, password: &str) -> Browser {
        let mut browser = Browser::new(port);
        let answer = browser.post("/api/v1/login", &format!("{{\"password\":\"{password}\"}}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        browser
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], Some(body))
    }

    /// With more headers, which win over the usual ones; an empty value leaves one out.
    pub(crate) fn send(&self, method: &str, path: &str, more: &[(&str, &str)], body: Option<&str>) -> Answer {
        let host = format!("127.0.0.1:{}", self.port);
        let mut headers = vec![("Host".to_owned(), host.clone()), ("Connection".to_owned(), "close".to_owned())];
        if method != "GET" {
            headers.push(("Origin".to_owned(), format!("http://{host}")));
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
            headers.push(("Content-Length".to_owned(), body.unwrap_or_default().len().to_string()));
        }
        if let Some(cookie) = &self.cookie {
            headers.push(("Cookie".to_owned(), cookie.clone()));
        }
        for (key, value) in more {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
            if !value.is_empty() {
                headers.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
        let head: String = headers.iter().map(|(key, value)| format!("{key}: {value}\r\n")).collect();
        raw(self.port, format!("{method} {path} HTTP/1.1\r\n{head}\r\n{}", body.unwrap_or_default()).as_bytes())
    }
}

/// A proxy with a dashboard, two pools, and this in `dashboard` of its config.
pub(crate) struct Site {
    pub(crate) proxy: Proxy,
    pub(crate) port: u16,
    pub(crate) pools: [Pool; 2],
}

impl Site {
    pub(crate) fn start(name: &str, dashboard: &str, password: Option<&str>) -> Site {
        Site::start_in(&folder(name), dashboard, password)
    }

    pub(crate) fn start_in(folder: &Path, dashboard: &str, password: Option<&str>) -> Site {
        let pools = [Pool::start("deadbeef", 8), Pool::start("cafe", 4)];
        let (port, metrics, page) = (free_port(), free_port(), free_port());
        let more = format!(r#","dashboard":{{"host":"127.0.0.1","port":{page}{dashboard}}}"#);
        let config = write_config(folder, port, metrics, [pools[0].address, pools[1].address], &more);
        let mut command = dpmp();
        if let Some(password) = password {
            command.env("DASHBOARD_PASSWORD", password);
        }
        command.arg("--config").arg(config);
        let proxy = Proxy::run(command, folder.to_owned(), port, metrics);
        proxy.event("dashboard_started");
        Site { proxy, port: page, pools }
    }

    pub(crate) fn stranger(&self) -> Browser {
        Browser::new(self.port)
    }

    pub(crate) fn owner(&self) -> Browser {
        Browser::signed_in(self.port, PASSWORD)
    }
}
