//! What every request passes: the host's name, the origin of writes, who asks; and what every answer carries. Routes are
//! put behind [`reads`] or [`writes`] as groups, so that none can forget it.

use std::sync::Arc;

use axum::body::{HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dpmp_core::config::ReadAccess;
use flate2::Compression;

use super::answer::Refusal;
use super::{Shared, assets, host};

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Answers of so many bytes are sent as they are.
const SHORT: u64 = 4096;

/// Who asks: an extension of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody known.
    Stranger,
    /// A browser that signed in, with its session's secret.
    Session(String),
    /// A script, with its token's name.
    Token(String),
}

impl Who {
    /// True for whoever proved to be the owner.
    pub(super) fn is_owner(&self) -> bool {
        *self != Who::Stranger
    }

    /// For the audit log.
    pub(super) fn shown(&self) -> String {
        match self {
            Who::Stranger => "nobody".to_owned(),
            Who::Session(_) => "the page".to_owned(),
            Who::Token(name) => format!("token {name}"),
        }
    }
}

/// Around all routes.
pub(super) async fn all(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let gzip = assets::takes_gzip(request.headers());
    let mut response = match admit(&shared, &mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    if gzip {
        response = packed(response).await;
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A long JSON answer, gzipped: the list of 500 workers is 143 KB, asked for every few seconds.
async fn packed(response: Response) -> Response {
    let json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !json || response.body().size_hint().lower() <= SHORT {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // It is in memory as a whole, so this neither waits nor fails.
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return Refusal::failed("the answer was lost").into_response();
    };
    let bytes = assets::gzip(&plain, Compression::fast());
    head.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if bytes.is_empty() {
        return Response::from_parts(head, plain.into());
    }
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, bytes.into())
}

/// Around what may be read by anybody, unless `dashboard.read` is `login`.
pub(super) async fn reads(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if shared.config().dashboard.read == ReadAccess::Login && !is_owner(&request) {
        return Refusal::sign_in().into_response();
    }
    next.run(request).await
}

/// Around all that only the owner may see or do.
pub(super) async fn owners(request: Request, next: Next) -> Response {
    if !is_owner(&request) {
        return Refusal::sign_in().into_response();
    }
    next.run(request).await
}

fn is_owner(request: &Request) -> bool {
    request.extensions().get::<Who>().is_some_and(Who::is_owner)
}

fn admit(shared: &Shared, request: &mut Request) -> Result<(), Refusal> {
    let host = text(request.headers(), header::HOST).unwrap_or("").to_owned();
    // A request may name its host in its first line too, and that one counts.
    let named = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let config = shared.config();
    for name in [Some(&host), named.as_ref()].into_iter().flatten() {
        if !host::allowed(name, &shared.own_names, &config.dashboard.allowed_hosts) {
            let text = format!(
                "this dashboard does not answer by the name \"{}\"; call it by its address, or add the name to \
                 dashboard.allowed_hosts in the config",
                name.chars().filter(|c| !c.is_control()).take(100).collect::<String>()
            );
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", text));
        }
    }
    let who = who(shared, request.headers());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        write_allowed(request.headers(), &host, &who)?;
    }
    request.extensions_mut().insert(who);
    Ok(())
}

/// A write must come from our own page, or from a script that shows a token.
fn write_allowed(headers: &HeaderMap, host: &str, who: &Who) -> Result<(), Refusal> {
    match text(headers, header::ORIGIN) {
        Some(origin) if !host::same_origin(origin, host) => {
            return Err(Refusal::forbidden("wrong_origin", "a page of another origin may change nothing here"));
        }
        // A browser always says where a write comes from; a cookie alone is not enough.
        None if matches!(who, Who::Session(_)) => {
            let text = "a change with a cookie needs an Origin header; scripts use an API token instead";
            return Err(Refusal::forbidden("no_origin", text));
        }
        _ => {}
    }
    // A form of another page cannot send this type without asking first.
    let kind = text(headers, header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let text = "changes are sent as application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", text));
    }
    Ok(())
}

fn who(shared: &Shared, headers: &HeaderMap) -> Who {
    if let Some(value) = text(headers, header::AUTHORIZATION) {
        let secret = value.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let name = secret.and_then(|(_, secret)| shared.auth()?.token(secret.trim()));
        return name.map_or(Who::Stranger, Who::Token);
    }
    let Some(auth) = shared.auth() else { return Who::Stranger };
    match cookie(headers, &auth.cookie()) {
        Some(secret) if auth.session(secret) => Who::Session(secret.to_owned()),
        _ => Who::Stranger,
    }
}

/// A cookie's value.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// A header's value, if it is text and stands there once.
pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    if values.next().is_some() {
        // Two hosts, or two origins, are one too many: neither is believed.
        return Some("");
    }
    Some(value.to_str().unwrap_or(""))
}
