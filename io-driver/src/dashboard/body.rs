//! Reading what a request brings: bounded in size and in time.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::answer::Refusal;

/// Enough for all but a config.
pub(super) const SMALL: usize = 16 * 1024;
/// As large as a config may be.
pub(super) const CONFIG: usize = dpmp_core::config::MAX_BYTES;
/// A body must be there in this time.
const TIME: Duration = Duration::from_secs(10);

/// The whole body.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    match timeout(TIME, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => {
            let text = format!("the body is larger than {limit} bytes, or it broke off");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text))
        }
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not come in time")),
    }
}

/// The body as JSON of this form.
pub(super) async fn json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, Refusal> {
    let bytes = bytes(body, limit).await?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad(format!("the body cannot be used: {error}")))
}

/// A value of the query, without its escapes.
pub(super) fn query(uri: &axum::http::Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte.unwrap_or(b'x')).to_digit(16);
                if let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) {
                    // Two hex digits are below 256.
                    out.push((high * 16 + low) as u8);
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let uri = "/x?after=12&text=pool%20down+%C3%A9&broken=%zz&empty=".parse().unwrap();
        let get = |name| query(&uri, name);
        assert_eq!(get("after").as_deref(), Some("12"));
        assert_eq!(get("text").as_deref(), Some("pool down é"));
        assert_eq!((get("broken").as_deref(), get("empty").as_deref(), get("none")), (Some(""), Some(""), None));
    }
}
