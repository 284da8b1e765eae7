//! Hosts and ports as operators write them: with a scheme, a port, a path or brackets around.

use alloc::format;
use alloc::string::{String, ToString as _};

use super::problem::{Report, Severity, event};
use super::read::{Field, Section};
use super::tree::Node;
use super::types::Address;

/// What a host's text says.
struct Host {
    host: String,
    /// A port behind the host, if it is one.
    port: Option<u16>,
    /// Something else than a host was written.
    mended: bool,
    /// The scheme asks for what cannot be done.
    fault: Option<(&'static str, &'static str)>,
}

const TLS: (&str, &str) =
    ("TLS to pools is not supported", "write the host alone, and the port on which the pool takes plain Stratum");
const STRATUM_V2: (&str, &str) =
    ("Stratum v2 is not supported", "write the host alone, and the port on which the pool takes Stratum v1");

fn split(text: &str) -> Host {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let scheme = scheme.to_ascii_lowercase();
    let fault = match scheme.as_str() {
        s if s.contains("ssl") || s.contains("tls") || s == "stratums" || s == "https" || s == "wss" => Some(TLS),
        s if s.starts_with("stratum2") => Some(STRATUM_V2),
        _ => None,
    };
    let rest = rest.split(['/', '#', '?']).next().unwrap_or(rest);
    let rest = rest.rsplit('@').next().unwrap_or(rest);
    let (host, port) = if let Some(inside) = rest.strip_prefix('[') {
        let (host, after) = inside.split_once(']').unwrap_or((inside, ""));
        (host, after.strip_prefix(':'))
    } else {
        match rest.split_once(':') {
            // More colons: an IPv6 literal.
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        }
    };
    let port = port.and_then(|p| p.parse().ok()).filter(|p| *p != 0);
    let host = host.trim().to_string();
    Host { mended: host != text, host, port, fault }
}

/// The `host` and `port` of a pool. `severity`: of what makes the pool unreachable.
pub(super) fn of_pool(section: &Section<'_>, default: Address, severity: Severity, out: &mut Report) -> Address {
    let mut address = default;
    let mut beside = None;
    if let Some(field) = section.field("host")
        && let Some(text) = field.text(out)
    {
        let placeholder = text.contains("POOL_") && text.contains("_HOST");
        if placeholder {
            let mend = "replace it by your pool's host name, such as solo.ckpool.org".to_string();
            field.say(severity, "still the placeholder of the example", mend, event::PLACEHOLDER, out);
        } else if text.trim().is_empty() {
            let mend = format!("write the pool's host name; taken as {}", address.host);
            field.warn("no host", mend, event::CORRECTED, out);
        } else {
            let host = split(&text);
            complain(&field, &text, &host, section.field("port").is_some(), severity, out);
            beside = host.port;
            if !host.host.is_empty() {
                address.host = host.host;
            }
        }
    }
    match section.field("port") {
        None => address.port = beside.unwrap_or(address.port),
        Some(field) => {
            if let Some(number) = field.whole(out) {
                match u16::try_from(number) {
                    Ok(port) if port != 0 => address.port = port,
                    _ => {
                        let mend = "write the pool's Stratum port, a number from 1 to 65535".to_string();
                        field.say(severity, "not a port", mend, event::INVALID, out);
                    }
                }
            }
        }
    }
    address
}

fn complain(field: &Field<'_>, text: &str, host: &Host, port: bool, severity: Severity, out: &mut Report) {
    // What stands before an @ is a user and a password.
    let value = match text.rsplit_once('@') {
        Some((_, after)) => Node::String(format!("(hidden)@{after}")).to_string(),
        None => super::read::shown(field.node),
    };
    if let Some((what, mend)) = host.fault {
        field.say_as(value, severity, what, mend.to_string(), event::INVALID, out);
    } else if host.mended {
        let mend = match (host.port, port) {
            (Some(_), true) => format!("taken as \"{}\"; the port is that of the key port", host.host),
            (Some(beside), false) => format!("taken as \"{}\", port {beside}", host.host),
            (None, _) => format!("taken as \"{}\"", host.host),
        };
        let what = if text.trim() == host.host { "space around the host" } else { "more than a host" };
        field.say_as(value, Severity::Warning, what, mend, event::CORRECTED, out);
    } else if host.host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let mend = "no host is called so: write its name or address".to_string();
        field.say_as(value, Severity::Warning, "a space or an invisible character inside", mend, event::CORRECTED, out);
    }
}

/// Where we listen: `host` and `port` of the section, else v2's older keys at the top of the file. A port that is none
/// is an error if `needed`, else a warning.
pub(super) fn of_listener(
    section: &Section<'_>,
    older: Option<(&Section<'_>, &str, &str)>,
    default: Address,
    needed: bool,
    out: &mut Report,
) -> Address {
    let field = |key: &str| {
        section.field(key).or_else(|| {
            let (top, host, port) = older?;
            top.field(if key == "host" { host } else { port })
        })
    };
    let mut address = default;
    let port = field("port");
    let mut beside = None;
    if let Some(field) = field("host")
        && let Some(text) = field.text(out)
        && !matches!(text.trim(), "" | "*")
    {
        let host = split(&text);
        if host.mended {
            complain(&field, &text, &Host { fault: None, ..split(&text) }, port.is_some(), Severity::Warning, out);
        }
        beside = host.port;
        if !host.host.is_empty() {
            address.host = host.host;
        }
    }
    match port {
        None => address.port = beside.unwrap_or(address.port),
        Some(field) => {
            if let Some(number) = field.whole(out) {
                match u16::try_from(number) {
                    Ok(port) => address.port = port,
                    Err(_) if needed => {
                        let mend = "write a number from 1 to 65535".to_string();
                        field.error("not a port", mend, event::INVALID, out);
                    }
                    Err(_) => {
                        let mend = format!("write a number from 1 to 65535; taken as {}", address.port);
                        field.warn("not a port", mend, event::CORRECTED, out);
                    }
                }
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_people_write_them() {
        for (text, host, port, mended) in [
            ("solo.ckpool.org", "solo.ckpool.org", None, false),
            ("192.0.2.7", "192.0.2.7", None, false),
            ("::1", "::1", None, false),
            ("2001:db8::7", "2001:db8::7", None, false),
            ("stratum+tcp://pool.example:3333", "pool.example", Some(3333), true),
            ("STRATUM://pool.example", "pool.example", None, true),
            ("pool.example:3333", "pool.example", Some(3333), true),
            ("pool.example:0", "pool.example", None, true),
            ("pool.example:x", "pool.example", None, true),
            ("[::1]:3333", "::1", Some(3333), true),
            ("[::1]", "::1", None, true),
            ("tcp://user:secret@pool.example:3333/#xnsub", "pool.example", Some(3333), true),
            (" pool.example ", "pool.example", None, true),
        ] {
            let read = split(text);
            assert_eq!((read.host.as_str(), read.port, read.mended), (host, port, mended), "{text}");
            assert!(read.fault.is_none());
        }
        for scheme in ["stratum+ssl", "stratum+tls", "ssl", "tls", "stratums", "https", "STRATUM+SSL"] {
            assert_eq!(split(&format!("{scheme}://pool.example:443")).fault, Some(TLS), "{scheme}");
        }
        assert_eq!(split("stratum2+tcp://pool.example").fault, Some(STRATUM_V2));
    }
}
