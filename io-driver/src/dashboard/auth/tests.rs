//! Tests of `auth`.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn folder(name: &str) -> PathBuf {
    crate::scratch::folder(&format!("auth-{name}"))
}

fn first(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(FIRST_PASSWORD)).unwrap().trim().to_owned()
}

#[test]
fn from_the_first_password_to_an_own_one() {
    let folder = folder("first");
    let auth = Auth::open(&folder, None).unwrap();
    for name in [AUTH, FIRST_PASSWORD] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let password = first(&folder);
    let text = std::fs::read_to_string(folder.join(AUTH)).unwrap();
    assert!(text.contains("$argon2id$") && !text.contains(&password));
    assert!(auth.is_first() && matches!(auth.login(HERE, "guess"), Err(AuthError::Wrong(None))));
    let session = auth.login(HERE, &password).unwrap();
    let other = auth.login(HERE, &password).unwrap();
    assert!(matches!(auth.change(Some(&session), "short"), Err(AuthError::Unusable(_))));
    auth.change(Some(&session), "correct horse battery").unwrap();
    assert!(auth.session(&session) && !auth.session(&other), "others must sign in again");
    assert!(!auth.is_first() && !folder.join(FIRST_PASSWORD).exists());
    let again = Auth::open(&folder, None).unwrap();
    assert!(again.login(HERE, &password).is_err() && again.login(HERE, "correct horse battery").is_ok());
    assert_eq!(again.cookie(), auth.cookie());
}

#[test]
fn the_environment_wins_and_reset_works_while_running() {
    let folder = folder("reset");
    let fixed = Auth::open(&folder, Some("from the environment".to_owned())).unwrap();
    assert!(fixed.login(HERE, "from the environment").is_ok() && fixed.is_fixed());
    assert!(matches!(fixed.change(None, "another password"), Err(AuthError::Fixed)));
    let auth = Auth::open(&folder, None).unwrap();
    let session = auth.login(HERE, &first(&folder)).unwrap();
    auth.change(Some(&session), "correct horse battery").unwrap();
    let (_, token) = auth.add_token("script").unwrap();
    // Times of files may be coarse.
    std::thread::sleep(Duration::from_millis(20));
    let path = reset(&folder).unwrap();
    let new = std::fs::read_to_string(path).unwrap();
    assert!(auth.login(HERE, new.trim()).is_ok());
    assert!(auth.login(HERE, "correct horse battery").is_err());
    assert!(!auth.session(&session) && auth.token(&token).is_none());
}

#[test]
fn a_reset_revokes_at_once_and_nothing_undoes_it() {
    let folder = folder("reset-revokes");
    let auth = Auth::open(&folder, None).unwrap();
    let session = auth.login(HERE, &first(&folder)).unwrap();
    let (id, token) = auth.add_token("script").unwrap();
    let path = reset(&folder).unwrap();
    // Nobody has looked at the file yet: what is in memory is of before.
    assert!(matches!(auth.add_token("another"), Err(AuthError::Changed)));
    assert!(matches!(auth.revoke(&id), Err(AuthError::Changed)));
    assert!(matches!(auth.change(Some(&session), "correct horse battery"), Err(AuthError::Changed)));
    assert!(auth.token(&token).is_none() && !auth.session(&session) && auth.tokens().is_empty());
    assert!(auth.login(HERE, std::fs::read_to_string(path).unwrap().trim()).is_ok());
    let (_, token) = auth.add_token("anew").unwrap();
    reset(&folder).unwrap();
    assert!(auth.token(&token).is_none(), "each way in looks by itself");
}

#[test]
fn tokens_are_hashed_and_revocable() {
    let folder = folder("tokens");
    let auth = Auth::open(&folder, None).unwrap();
    let (id, secret) = auth.add_token("grafana").unwrap();
    assert!(!std::fs::read_to_string(folder.join(AUTH)).unwrap().contains(&secret[TOKEN_HEAD.len()..]));
    let again = Auth::open(&folder, None).unwrap();
    assert_eq!(again.token(&secret).as_deref(), Some("grafana"));
    assert!(again.token("dpmp_").is_none() && again.add_token(" ").is_err());
    assert!(again.revoke(&id).unwrap() && !again.revoke(&id).unwrap());
    assert!(again.token(&secret).is_none() && again.tokens().is_empty());
}

#[test]
fn guessing_is_slowed() {
    let auth = Auth::open(&folder("guess"), None).unwrap();
    for n in 0..5 {
        assert!(matches!(auth.check(HERE, "wrong"), Err(AuthError::Wrong(wait)) if wait.is_some() == (n == 4)));
    }
    assert!(matches!(auth.check(HERE, "wrong"), Err(AuthError::Wait(_))));
    assert!(matches!(auth.check([192, 0, 2, 9].into(), "wrong"), Err(AuthError::Wrong(None))), "others may try");
}
