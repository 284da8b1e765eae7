//! What handlers answer: JSON, and errors as `{"error": code, "text": words}` with the status that fits.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// What a handler gives back.
pub(super) type Answer = Result<Response, Refusal>;

/// A request that is not done, with the reason for programs and for people.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) text: String,
    /// Whole seconds to wait before the next try.
    pub(super) retry_after: Option<u64>,
    /// More members of the answer.
    pub(super) more: Option<(&'static str, Value)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Refusal {
        Refusal { status, code, text: text.into(), retry_after: None, more: None }
    }

    /// 400: the request makes no sense.
    pub(super) fn bad(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", text)
    }

    /// 401: sign in first.
    pub(super) fn sign_in() -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "sign_in", "sign in first, or send an API token")
    }

    /// 403.
    pub(super) fn forbidden(code: &'static str, text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, code, text)
    }

    /// 422: understood, and wrong.
    pub(super) fn unusable(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable", text)
    }

    /// 500: this machine refused something.
    pub(super) fn failed(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", text)
    }

    /// 503: the event loop does not answer.
    pub(super) fn loop_silent() -> Refusal {
        let text = "the mining loop did not answer in time; nothing is known to have changed";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "loop_silent", text)
    }

    pub(super) fn with(mut self, key: &'static str, value: Value) -> Refusal {
        self.more = Some((key, value));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.code, "text": self.text});
        if let Some((key, value)) = self.more {
            body[key] = value;
        }
        let mut response = (self.status, json_body(&body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// 200 with this as JSON.
pub(super) fn give<T: Serialize>(value: &T) -> Answer {
    Ok(json_body(value))
}

fn json_body<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
