//! What came from each connection in a segment, as one stream, so that a line that was cut into several reads is seen
//! whole; and after rewriting, the same pieces again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::lines;
use super::names::Names;
use crate::ids::Conn;

/// The bytes of all connections.
#[derive(Default)]
pub(super) struct Streams {
    all: BTreeMap<Conn, Stream>,
}

#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    /// How much of it was handed out.
    at: usize,
}

/// The first byte of a TLS handshake, by which the engine knows one.
const TLS: u8 = 0x16;

impl Streams {
    pub(super) fn push(&mut self, conn: Conn, bytes: &[u8]) {
        self.all.entry(conn).or_default().bytes.extend_from_slice(bytes);
    }

    /// All whole lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Conn, &[u8])> {
        self.all.iter().flat_map(|(conn, stream)| {
            stream.bytes.split_inclusive(|b| *b == b'\n').map(|line| (*conn, line.trim_ascii()))
        })
    }

    /// Rewrites every line. The begin of a line that never came to its end cannot be understood: it is blotted out.
    pub(super) fn rewrite(&mut self, names: &mut Names) {
        for (conn, stream) in &mut self.all {
            let tls = stream.bytes.first() == Some(&TLS);
            for line in stream.bytes.split_inclusive_mut(|b| *b == b'\n') {
                if line.ends_with(b"\n") {
                    let start = line.len() - line.trim_ascii_start().len();
                    let end = line.trim_ascii_end().len().max(start);
                    lines::rewrite(names, *conn, &mut line[start..end]);
                } else {
                    lines::blot(line);
                }
            }
            if let (Some(first), true) = (stream.bytes.first_mut(), tls) {
                *first = TLS;
            }
        }
    }

    /// All bytes of each connection.
    pub(super) fn whole(&self) -> impl Iterator<Item = &[u8]> {
        self.all.values().map(|stream| stream.bytes.as_slice())
    }

    /// The next bytes of a connection, as many as came at once.
    pub(super) fn take(&mut self, conn: Conn, length: usize) -> &[u8] {
        let Some(stream) = self.all.get_mut(&conn) else { return &[] };
        let from = stream.at;
        stream.at = (from + length).min(stream.bytes.len());
        &stream.bytes[from..stream.at]
    }
}
