//! What the program is, where its things are, how miners reach it, and whether all is well around it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use axum::extract::State;
use qrcodegen::{QrCode, QrCodeEcc};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, give};
use crate::clock::unix_micros;
use crate::fd_limit;
use crate::http::Site;
use crate::reload::wanted;

/// `GET /api/v1/about`.
pub(super) async fn about(State(shared): State<Arc<Shared>>) -> Answer {
    let (config, for_checks) = (shared.config(), shared.clone());
    let checks = tokio::task::spawn_blocking(move || checks(&for_checks)).await.unwrap_or_default();
    let miners: Vec<Value> = shared.miners().iter().flat_map(reachable).map(|address| stratum(&address)).collect();
    give(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("DPMP_COMMIT"),
        "paths": {
            "config": shared.config_path().map(|path| path.display().to_string()),
            "folder": shared.folder.display().to_string(),
            "recording": config.recording.enabled.then(|| shared.folder.join(&config.recording.dir).display().to_string()),
            "log": config.logging.file,
        },
        "started": shared.board.lock().started,
        "miners": miners,
        "checks": checks,
        "licence": "MIT",
    }))
}

/// What a miner is given, with its QR code: rows of 0 and 1.
fn stratum(address: &SocketAddr) -> Value {
    let url = format!("stratum+tcp://{address}");
    let code = QrCode::encode_text(&url, QrCodeEcc::Medium).ok();
    let rows = code.map(|code| {
        let row = |y| (0..code.size()).map(|x| if code.get_module(x, y) { '1' } else { '0' }).collect::<String>();
        (0..code.size()).map(row).collect::<Vec<_>>()
    });
    json!({"url": url, "host": address.ip().to_string(), "port": address.port(), "qr": rows})
}

/// Where miners on the network find a port that may be bound to every interface.
fn reachable(bound: &SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![*bound];
    }
    let mut found: Vec<IpAddr> = Vec::new();
    // No packet is sent: the system only says from which address it would.
    for (from, to) in [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")] {
        let socket = UdpSocket::bind(from).and_then(|socket| socket.connect(to).and_then(|()| socket.local_addr()));
        if let Ok(address) = socket
            && !address.ip().is_unspecified()
            && address.is_ipv4() == bound.is_ipv4()
        {
            found.push(address.ip());
        }
    }
    found.push(if bound.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { std::net::Ipv6Addr::LOCALHOST.into() });
    found.dedup();
    found.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

fn check(name: &str, good: bool, text: String) -> Value {
    json!({"name": name, "good": good, "text": text})
}

fn checks(shared: &Shared) -> Vec<Value> {
    let config = shared.config();
    let mut checks = vec![writable("Folder of the config", &shared.folder)];
    checks.extend(shared.config_path().map(|path| can_append("Config file", path)));
    for name in ["state.json", "history.json", "auth.json"] {
        let path = shared.folder.join(name);
        // One that is not there yet is made in the folder.
        checks.extend(path.exists().then(|| can_append(name, &path)));
    }
    if let Some(log) = &config.logging.file {
        checks.push(can_append("Log file", &shared.folder.join(log)));
    }
    if config.recording.enabled {
        checks.push(writable("Recording", &shared.folder.join(&config.recording.dir)));
    }
    // 2024-01-01: before this program was written.
    let clock = unix_micros() / 1_000_000;
    let text = if clock > 1_704_067_200 {
        "set".to_owned()
    } else {
        "the clock is wrong: charts and logs will be too".to_owned()
    };
    checks.push(check("Clock", clock > 1_704_067_200, text));
    let limit = fd_limit::raise();
    let shortage = limit.and_then(|limit| fd_limit::shortage(limit, config.limits.max_miners, config.pools.len()));
    let text = shortage.clone().unwrap_or_else(|| format!("{} for this program", limit.unwrap_or(0)));
    checks.push(check("File descriptors", shortage.is_none(), text));
    let miners = shared.miners();
    let ports = miners.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    checks.push(check("Port for miners", !miners.is_empty(), ports));
    checks.push(served(shared, "Port for the dashboard", Site::Dashboard));
    checks.push(served(shared, "Port for metrics", Site::Metrics));
    checks.push(check("Passwords", shared.auth().is_some(), shared.no_auth.clone()));
    checks
}

/// A site that is switched off is as it should be.
fn served(shared: &Shared, name: &str, site: Site) -> Value {
    let bound = shared.ports.lock().unwrap_or_else(PoisonError::into_inner).site(site);
    match wanted(site, &shared.config()) {
        None => check(name, true, "switched off".to_owned()),
        Some(address) if bound.is_empty() => {
            let text = format!("{}:{} could not be bound: the log says why", address.host, address.port);
            check(name, false, text)
        }
        Some(_) => check(name, true, bound.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Opened as for writing, and nothing is written.
fn can_append(name: &str, path: &Path) -> Value {
    let opened = std::fs::OpenOptions::new().append(true).open(path);
    let text = opened.as_ref().map_or_else(|error| format!("{}: {error}", path.display()), |_| "writable".to_owned());
    check(name, opened.is_ok(), text)
}

fn writable(name: &str, folder: &Path) -> Value {
    let probe = folder.join(format!(".dpmp-check-{}", std::process::id()));
    let written = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    let text =
        written.as_ref().map_or_else(|error| format!("{}: {error}", folder.display()), |()| "writable".to_owned());
    check(name, written.is_ok(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miners_address_has_a_square_code() {
        let shown = stratum(&([192, 168, 1, 20], 3351).into());
        assert_eq!(shown["url"], "stratum+tcp://192.168.1.20:3351");
        let rows = shown["qr"].as_array().unwrap();
        assert!(rows.len() >= 21 && rows.iter().all(|row| row.as_str().unwrap().len() == rows.len()));
        // The finder in a corner of every code.
        assert!(rows[0].as_str().unwrap().starts_with("1111111"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = crate::scratch::folder("check");
        let file = folder.join("state.json");
        assert_eq!(can_append("state.json", &file)["good"], false, "it is not made by looking");
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(can_append("state.json", &file)["good"], true);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
        assert!(can_append("state.json", &folder)["text"].as_str().unwrap().contains("dpmp-check"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_port_on_every_interface_is_reached_by_addresses() {
        let found = reachable(&([0, 0, 0, 0], 3351).into());
        assert!(
            !found.is_empty() && found.iter().all(|address| !address.ip().is_unspecified() && address.port() == 3351)
        );
    }
}
