//! How each pool software words its lines: the order of keys differs, and so do subscriptions and refusals.

use super::spec::{Flavour, RejectShape};

/// A JSON string.
pub(super) fn text(words: &str) -> String {
    serde_json::Value::from(words).to_string()
}

/// A notification.
pub(super) fn call(flavour: Flavour, method: &str, params: &str) -> String {
    call_with_id(flavour, method, params, "null")
}

/// A request to the other end, or a notification.
pub(super) fn call_with_id(flavour: Flavour, method: &str, params: &str, id: &str) -> String {
    match flavour {
        Flavour::Ckpool => format!("{{\"params\":{params},\"id\":{id},\"method\":\"{method}\"}}\n"),
        Flavour::Nasty => {
            format!("{{ \"jsonrpc\": \"2.0\", \"method\" : \"{method}\",\"params\":{params} , \"id\":{id}}}\r\n")
        }
        _ => format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n"),
    }
}

/// A reply; `error` may bring more keys with it.
pub(super) fn reply(flavour: Flavour, id: &str, result: &str, error: &str) -> String {
    match flavour {
        Flavour::Ckpool => format!("{{\"result\":{result},\"error\":{error},\"id\":{id}}}\n"),
        Flavour::PublicPool => format!("{{\"id\":{id},\"error\":{error},\"result\":{result}}}\n"),
        Flavour::Datum => format!("{{\"error\":{error},\"id\":{id},\"result\":{result}}}\n"),
        Flavour::Nasty if error == "null" => format!("{{\"id\":{id},\"jsonrpc\":\"2.0\",\"result\":{result}}}\n"),
        _ => format!("{{\"id\":{id},\"result\":{result},\"error\":{error}}}\n"),
    }
}

/// Result and error of a refusal.
pub(super) fn error(shape: RejectShape, code: i64, words: &str) -> (&'static str, String) {
    let words = text(words);
    match shape {
        RejectShape::Array => ("null", format!("[{code},{words},null]")),
        RejectShape::FalseArray => ("false", format!("[{code},{words},null]")),
        RejectShape::ShortArray => ("null", format!("[{code},{words}]")),
        RejectShape::Object => ("null", format!("{{\"code\":{code},\"message\":{words}}}")),
        RejectShape::Text => ("null", words),
        RejectShape::RejectReason => ("false", format!("null,\"reject-reason\":{words}")),
    }
}

/// The result of `mining.subscribe`.
pub(super) fn subscription(flavour: Flavour, session: &str, extranonce1: &str, extranonce2_bytes: usize) -> String {
    let subscriptions = match flavour {
        Flavour::Ckpool | Flavour::PublicPool => format!("[[\"mining.notify\",\"{session}\"]]"),
        Flavour::Datum => format!("[[\"mining.notify\",\"{session}1\"],[\"mining.set_difficulty\",\"{session}2\"]]"),
        Flavour::Nasty => "null".to_owned(),
        _ => format!("[[\"mining.set_difficulty\",\"{session}\"],[\"mining.notify\",\"{session}\"]]"),
    };
    format!("[{subscriptions},\"{extranonce1}\",{extranonce2_bytes}]")
}
