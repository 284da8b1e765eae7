//! Asks the server of the automatic balance, in a thread that lives as long as the question. The loop never waits; what the
//! answer means is core's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::LOCATION;

use crate::background;
use crate::requests::{LoopHandle, Request};

/// From the question to the last byte.
const AT_MOST: Duration = Duration::from_secs(15);
/// The longest body that is read.
const MAX_BODY: u64 = 64 * 1024;

/// The body, or in words why there is none.
pub(crate) type Answer = Result<Vec<u8>, String>;

/// Begins to get a page. The answer comes to the loop as [`Request::OracleAnswer`].
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn ask(url: Arc<str>, handle: LoopHandle) -> io::Result<()> {
    let work = move || {
        // Fails only when the loop has ended, or is so busy that it takes no requests: then the next answer serves.
        let _ = handle.send(Request::OracleAnswer(get(&url)));
    };
    background::spawn("oracle", work).map(drop)
}

fn get(url: &str) -> Answer {
    get_within(url, AT_MOST)
}

fn get_within(url: &str, at_most: Duration) -> Answer {
    let words = |error: &ureq::Error| words(error, at_most);
    let config = Agent::config_builder()
        .timeout_global(Some(at_most))
        // Whoever is asked is who stands in the config: a page that has moved is to be put there.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("dpmp/", env!("CARGO_PKG_VERSION")))
        .build();
    let mut response = Agent::new_with_config(config).get(url).call().map_err(|error| words(&error))?;
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        return Err(format!("the server leads to {to}: if that is right, put it into scheduler.oracle_url"));
    }
    if !status.is_success() {
        return Err(format!("the server answered {status}"));
    }
    response.body_mut().with_config().limit(MAX_BODY).read_to_vec().map_err(|error| words(&error))
}

fn words(error: &ureq::Error, at_most: Duration) -> String {
    match error {
        ureq::Error::BodyExceedsLimit(limit) => format!("the answer is longer than {limit} bytes"),
        ureq::Error::Timeout(_) => format!("no answer within {} s", at_most.as_secs_f64()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    /// A server that answers one connection with these bytes.
    fn serving(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/oracle.php", listener.local_addr().expect("bound"));
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        });
        url
    }

    #[test]
    fn bodies_and_refusals() {
        let get = |answer| get(&serving(answer));
        assert_eq!(get(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), Ok(b"{}".to_vec()));
        let moved = get(b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n");
        assert!(moved.expect_err("a redirect").contains("leads to http://192.0.2.1/"));
        let broken = get(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
        assert!(broken.expect_err("an error").contains("500"));
        assert!(get(b"what?").is_err());
        assert!(get(b"").is_err());
    }

    #[test]
    fn a_huge_body_is_cut() {
        static HUGE: [u8; 100_000] = [b' '; 100_000];
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
            let _ = stream.write_all(&HUGE);
        });
        assert!(get(&url).expect_err("too long").contains("longer than"));
    }

    #[test]
    fn a_slow_server_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let (done, ended) = std::sync::mpsc::channel::<()>();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            // A body that begins and does not end, until the test does.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
            let _ = ended.recv();
        });
        let slow = get_within(&url, Duration::from_millis(300)).expect_err("too slow");
        assert_eq!(slow, "no answer within 0.3 s");
        drop(done);
    }

    #[test]
    fn nobody_there_and_no_tls() {
        let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        assert!(get(&format!("http://{closed}/")).is_err());
        let plain = serving(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert!(get(&plain.replace("http:", "https:")).is_err(), "a server without TLS");
        assert!(get("gopher://192.0.2.1/").is_err());
    }
}
