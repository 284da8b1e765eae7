//! Signing in and out, the own password, tokens for scripts.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use log::Level;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Refusal, give};
use super::auth::{Auth, AuthError};
use super::guard::Who;
use super::timeline::{Kind, Weight};
use super::{Shared, body};
use crate::http::Peer;
use crate::logs::line;

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Refusal {
        match error {
            AuthError::Wrong(None) => {
                Refusal::new(StatusCode::UNAUTHORIZED, "wrong_password", "that is not the password")
            }
            AuthError::Wrong(Some(wait)) | AuthError::Wait(wait) => {
                let seconds = wait.as_secs().max(1);
                let text = format!("too many wrong passwords from this address: try again in {seconds} s");
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "wait", text);
                Refusal { retry_after: Some(seconds), ..refusal }
            }
            AuthError::Unusable(words) => Refusal::unusable(words),
            AuthError::Fixed => {
                Refusal::forbidden("fixed", "the password is set by DASHBOARD_PASSWORD and can only be changed there")
            }
            AuthError::Changed => {
                let text = "the passwords' file was changed meanwhile, as by `dpmp reset-password`: sign in again";
                Refusal::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", text)
            }
            AuthError::System(words) => Refusal::failed(words),
        }
    }
}

/// Runs what takes time beside the async thread; one at a time, as each takes 19 MiB and a core.
async fn beside<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Auth) -> Result<T, AuthError> + Send + 'static,
) -> Result<T, Refusal> {
    let Ok(_turn) = shared.hashing.acquire().await else { return Err(Refusal::failed("the program is stopping")) };
    let shared = shared.clone();
    let done = tokio::task::spawn_blocking(move || match shared.auth() {
        Some(auth) => work(auth).map_err(Refusal::from),
        None => Err(Refusal::forbidden("no_passwords", shared.no_auth.clone())),
    });
    done.await.unwrap_or_else(|_| Err(Refusal::failed("the password could not be checked")))
}

impl Shared {
    /// Tries again to open what could not be opened at the start, as `dpmp reset-password` may have mended it.
    async fn open_auth(self: &Arc<Shared>) {
        if self.auth().is_some() {
            return;
        }
        let Ok(_turn) = self.hashing.acquire().await else { return };
        let shared = self.clone();
        let opened = tokio::task::spawn_blocking(move || {
            if shared.auth().is_none()
                && let Ok(auth) = Auth::open(&shared.folder, shared.password.clone())
            {
                let _ = shared.auth.set(auth);
            }
        });
        // Whether it helped, the login sees.
        let _ = opened.await;
    }
}

/// The password again, for what could take the owner's money. The environment of a forged page cannot know it.
pub(super) async fn confirm(shared: &Arc<Shared>, peer: Peer, password: String) -> Result<(), Refusal> {
    beside(shared, move |auth| auth.check(peer.0.ip(), &password)).await
}

#[derive(Deserialize)]
struct Login {
    password: String,
}

/// `POST /api/v1/login {"password": "..."}`: sets the session's cookie.
pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Login { password } = body::json(body, body::SMALL).await?;
    let address: IpAddr = peer.0.ip();
    shared.open_auth().await;
    let result = beside(&shared, move |auth| auth.login(address, &password)).await;
    let secret = match result {
        Ok(secret) => secret,
        Err(refusal) => {
            line(Level::Warn, "dashboard_login_failed").show("from", address).text("why", refusal.code).send();
            return Err(refusal);
        }
    };
    line(Level::Info, "dashboard_login").show("from", address).send();
    let Some(auth) = shared.auth() else { return Err(Refusal::sign_in()) };
    let mut response = give(&json!({"signed_in": true, "first": auth.is_first()}))?;
    set_cookie(&mut response, &headers, &auth.cookie(), &secret, 30 * 86_400);
    Ok(response)
}

/// `POST /api/v1/logout {}`.
pub(super) async fn logout(
    State(shared): State<Arc<Shared>>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
) -> Answer {
    let Some(auth) = shared.auth() else { return Err(Refusal::sign_in()) };
    if let Who::Session(secret) = &who {
        auth.logout(secret);
    }
    let mut response = give(&json!({"signed_in": false}))?;
    set_cookie(&mut response, &headers, &auth.cookie(), "", 0);
    Ok(response)
}

fn set_cookie(response: &mut axum::response::Response, headers: &HeaderMap, name: &str, value: &str, age: u32) {
    // A proxy that ends TLS before us says so.
    let tls = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
    let secure = if tls { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    // A name of letters and digits, and a value of hex.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

/// `GET /api/v1/session`: who am I here?
pub(super) async fn session(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>) -> Answer {
    let auth = shared.auth();
    give(&json!({
        "signed_in": who.is_owner(),
        "first": who.is_owner() && auth.is_some_and(Auth::is_first),
        "fixed": auth.is_some_and(Auth::is_fixed),
        "read": match shared.config().dashboard.read {
            dpmp_core::config::ReadAccess::Open => "open",
            dpmp_core::config::ReadAccess::Login => "login",
        },
        "no_passwords": auth.is_none().then(|| shared.no_auth.clone()),
        // Where it stands, never what it is.
        "password_file": auth.filter(|auth| auth.is_first()).map(|_| super::auth::FIRST_PASSWORD),
    }))
}

#[derive(Deserialize)]
struct NewPassword {
    current: String,
    new: String,
}

/// `POST /api/v1/password {"current": "...", "new": "..."}`: all other sessions end.
pub(super) async fn password(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    body: Body,
) -> Answer {
    let NewPassword { current, new } = body::json(body, body::SMALL).await?;
    beside(&shared, move |auth| {
        auth.check(peer.0.ip(), &current)?;
        let session = match &who {
            Who::Session(secret) => Some(secret.as_str()),
            _ => None,
        };
        auth.change(session, &new)
    })
    .await?;
    line(Level::Info, "dashboard_password_changed").show("from", peer.0.ip()).send();
    shared.board.lock().tell(Kind::Access, Weight::Note, None, "the dashboard's password was changed".to_owned());
    give(&json!({"changed": true}))
}

/// `GET /api/v1/tokens`.
pub(super) async fn tokens(State(shared): State<Arc<Shared>>) -> Answer {
    give(&json!({"tokens": shared.auth().map(Auth::tokens).unwrap_or_default()}))
}

#[derive(Deserialize)]
struct NewToken {
    name: String,
}

/// `POST /api/v1/tokens {"name": "..."}`: the token is shown this once.
pub(super) async fn add_token(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer {
    let NewToken { name } = body::json(body, body::SMALL).await?;
    let Some(auth) = shared.auth() else { return Err(Refusal::sign_in()) };
    let (id, token) = auth.add_token(&name)?;
    line(Level::Info, "dashboard_token_added").text("name", name.trim()).show("from", peer.0.ip()).send();
    shared.board.lock().tell(Kind::Access, Weight::Note, None, format!("API token \"{}\" was made", name.trim()));
    Ok((StatusCode::CREATED, give(&json!({"id": id, "token": token}))?).into_response())
}

/// `DELETE /api/v1/tokens/{id}`.
pub(super) async fn revoke_token(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let Some(auth) = shared.auth() else { return Err(Refusal::sign_in()) };
    if !auth.revoke(&id)? {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such token"));
    }
    line(Level::Info, "dashboard_token_revoked").text("id", &id).send();
    give(&json!({"revoked": id}))
}
