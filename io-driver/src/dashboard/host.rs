//! By which names the dashboard may be called. A page on the internet can make its own name point at this machine (DNS
//! rebinding) and would then be the same origin; it cannot make this list name it.

use std::net::IpAddr;

/// Endings that no name on the internet has.
const LOCAL_ENDINGS: [&str; 4] = [".local", ".lan", ".home.arpa", ".internal"];

/// True if a request for this host may be answered. `host` is a header's: a name or address, perhaps with a port.
pub(super) fn allowed(host: &str, own: &[String], configured: &[String]) -> bool {
    let Some(name) = name_of(host) else { return false };
    let is = |other: &String| name_of(other).is_some_and(|other| other == name);
    // A bare name is resolved by the local network alone.
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || own.iter().chain(configured).any(is)
}

/// The host without its port, in small letters and without the dot at the end; none if it is no host at all.
fn name_of(host: &str) -> Option<String> {
    let host = host.trim();
    let name = match host.strip_prefix('[') {
        Some(inside) => {
            let (address, after) = inside.split_once(']')?;
            if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_port) {
                return None;
            }
            // Only an IPv6 literal stands in brackets.
            return address.parse::<std::net::Ipv6Addr>().ok().map(|a| a.to_string());
        }
        None => match host.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return None,
            None => host,
        },
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!name.is_empty() && name.len() <= 253 && name.chars().all(is_name)).then_some(name)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// What this machine calls itself.
pub(super) fn own_names() -> Vec<String> {
    let read = |path| std::fs::read_to_string(path).ok().map(|name: String| name.trim().to_owned());
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
    name.into_iter().filter(|name| !name.is_empty() && name != "(none)").collect()
}

/// True if an `Origin` header names this host and port. Its scheme does not count: TLS may end before us.
pub(super) fn same_origin(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_allowed_and_others_are_not() {
        let own = ["miner-pi.example.org".to_owned()];
        let configured = ["dash.example.com".to_owned()];
        for host in [
            "127.0.0.1:8855",
            "192.168.1.20",
            "[::1]:8855",
            "[fe80::1]",
            "localhost:8855",
            "umbrel",
            "pi.local:8855",
            "Pi.LAN",
            "a.b.home.arpa",
            "dpmp.internal.",
            "miner-pi.example.org:1",
            "Dash.Example.com:8855",
        ] {
            assert!(allowed(host, &own, &configured), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8855",
            "127.0.0.1.evil.example",
            "evil.local.example",
            "xlocal.x",
            "localhost:x",
            "a:1:2",
            "[evil.example]",
            "[::1]x",
            "[::1",
            "a b",
            "a/b",
            "dash.example.com@evil.example",
            ":8855",
        ] {
            assert!(!allowed(host, &own, &configured), "{host}");
        }
    }

    #[test]
    fn origins() {
        assert!(same_origin("http://192.168.1.20:8855", "192.168.1.20:8855"));
        assert!(same_origin("https://pi.local", "PI.local"));
        for (origin, host) in [
            ("http://192.168.1.20:80", "192.168.1.20:8855"),
            ("http://192.168.1.20", "192.168.1.20:8855"),
            ("null", "null"),
            ("", ""),
            ("http://evil.example", "pi.local"),
            ("ftp://pi.local", "pi.local"),
        ] {
            assert!(!same_origin(origin, host), "{origin} {host}");
        }
    }
}
