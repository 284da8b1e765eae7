//! The front end, embedded in the program: plain files, as they stand in `io-driver/web`, sent gzipped.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

macro_rules! assets {
    ($($name:literal: $kind:ident,)*) => {
        /// Name, type, bytes.
        const ASSETS: &[(&str, Type, &[u8])] =
            &[$(($name, Type::$kind, include_bytes!(concat!("../../web/", $name)))),*];
    };
}

#[derive(Clone, Copy)]
enum Type {
    Html,
    Css,
    Js,
    Svg,
}

assets! {
    "index.html": Html,
    "style.css": Css,
    "app.js": Js,
    "api.js": Js,
    "dom.js": Js,
    "format.js": Js,
    "chart.js": Js,
    "home.js": Js,
    "measured.js": Js,
    "stats.js": Js,
    "config.js": Js,
    "logs.js": Js,
    "about.js": Js,
    "icon.svg": Svg,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Html => "text/html; charset=utf-8",
            Type::Css => "text/css; charset=utf-8",
            Type::Js => "text/javascript; charset=utf-8",
            Type::Svg => "image/svg+xml",
        }
    }
}

/// A file, ready to be sent.
struct Packed {
    kind: Type,
    tag: String,
    plain: Vec<u8>,
    gzip: Vec<u8>,
}

/// Packed once, at the first request.
fn packed() -> &'static BTreeMap<&'static str, Packed> {
    static PACKED: OnceLock<BTreeMap<&'static str, Packed>> = OnceLock::new();
    PACKED.get_or_init(|| ASSETS.iter().map(|(name, kind, bytes)| (*name, pack(*kind, bytes.to_vec()))).collect())
}

fn pack(kind: Type, plain: Vec<u8>) -> Packed {
    let digest = Sha256::digest(&plain);
    let tag = format!("\"{}\"", digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>());
    let gzip = gzip(&plain, Compression::best());
    Packed { kind, tag, plain, gzip }
}

/// Writing to memory cannot fail; were it to, the plain bytes are sent.
pub(super) fn gzip(plain: &[u8], how: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), how);
    encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// True if the client takes gzip: named, and not with `q=0`.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepts.split(',').any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(refused)
    })
}

/// The file of this name; the page for `/`.
pub(super) async fn serve(uri: axum::http::Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let name = if path.is_empty() { "index.html" } else { path };
    let Some(embedded) = packed().get(name) else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let edited = edited(name, embedded.kind);
    let file = edited.as_ref().unwrap_or(embedded);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == file.tag.as_bytes());
    // Asked for anew each time, and answered in one line while it is the same: an upgrade shows at once.
    let common = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, file.tag.clone()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.kind.name())];
    if takes_gzip(&headers) && !file.gzip.is_empty() {
        return (common, kind, [(header::CONTENT_ENCODING, "gzip")], file.gzip.clone()).into_response();
    }
    (common, kind, file.plain.clone()).into_response()
}

/// A release has them inside; while the pages are worked on, a reload shows what is in the folder that `DPMP_WEB` names.
fn edited(name: &str, kind: Type) -> Option<Packed> {
    if !cfg!(debug_assertions) {
        return None;
    }
    let folder = std::env::var_os("DPMP_WEB")?;
    Some(pack(kind, std::fs::read(std::path::Path::new(&folder).join(name)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, axum::http::HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip") && takes("br, gzip;q=0.5") && takes("deflate,GZIP"));
        assert!(!takes("br") && !takes("gzip;q=0, br") && !takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn all_of_it_is_small() {
        let wire: usize = packed().values().map(|file| file.gzip.len()).sum();
        let plain: usize = packed().values().map(|file| file.plain.len()).sum();
        assert!(wire <= 60_000, "{wire} bytes on the wire");
        assert!(plain <= 110_000, "{plain} bytes in the program");
    }
}
