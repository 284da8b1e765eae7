//! Long answers piece by piece: none is in memory as a whole, and a slow reader holds no thread between two pieces.

use std::fs::File;
use std::future::Future as _;
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::nameless::Nameless;

/// Bytes of a piece, about.
const PIECE: usize = 64 * 1024;
/// A longer line is taken for several.
const LONGEST: u64 = 1 << 20;

/// Gives the next piece; an empty one is the end.
type Next = Box<dyn FnMut() -> io::Result<Vec<u8>> + Send>;

struct Pieces {
    next: Option<Next>,
    reading: Option<JoinHandle<(Next, io::Result<Vec<u8>>)>>,
    /// Bytes that are still to come, if it is known.
    left: Option<u64>,
}

fn body(next: Next, left: Option<u64>) -> Body {
    Body::new(Pieces { next: Some(next), reading: None, left })
}

/// A file as it is now: its size is told at once, and nothing is read before it is asked for.
pub(super) fn whole(file: File) -> io::Result<Body> {
    let size = file.metadata()?.len();
    let mut source = file.take(size);
    let next = move || {
        let mut piece = Vec::with_capacity(PIECE);
        source.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        Ok(piece)
    };
    Ok(body(Box::new(next), Some(size)))
}

/// The first `size` bytes of lines, without names.
pub(super) fn redacted(source: impl Read + Seek + Send + 'static, size: u64, mut nameless: Nameless) -> Body {
    let mut source = BufReader::new(source);
    let (mut learnt, mut left) = (false, size);
    let next = move || {
        if !learnt {
            learnt = true;
            // A name may be quoted before the line that tells it is one.
            lines(&mut source, &mut left, u64::MAX, |line| nameless.learn(line))?;
            source.seek(SeekFrom::Start(0))?;
            left = size;
        }
        let mut piece = String::with_capacity(PIECE * 2);
        lines(&mut source, &mut left, PIECE as u64, |line| {
            piece.push_str(&nameless.line(line));
            piece.push('\n');
        })?;
        Ok(piece.into_bytes())
    };
    body(Box::new(next), None)
}

/// Reads lines until there were so many bytes, or none are left.
fn lines(source: &mut impl io::BufRead, left: &mut u64, most: u64, mut take: impl FnMut(&str)) -> io::Result<()> {
    let (mut line, mut seen) = (Vec::new(), 0);
    while seen < most {
        line.clear();
        let got = source.take(LONGEST.min(*left)).read_until(b'\n', &mut line)? as u64;
        if got == 0 {
            break;
        }
        *left -= got;
        seen += got;
        take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
    }
    Ok(())
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let (next, piece) = match read {
                    Ok((next, Ok(piece))) => (next, piece),
                    Ok((_, Err(error))) => return Poll::Ready(Some(Err(error))),
                    Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                };
                if piece.is_empty() {
                    return Poll::Ready(None);
                }
                self.next = Some(next);
                self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
            }
            let Some(mut next) = self.next.take() else { return Poll::Ready(None) };
            self.reading = Some(spawn_blocking(move || {
                let piece = next();
                (next, piece)
            }));
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{HttpBody as _, to_bytes};
    use std::io::{Cursor, Write as _};

    fn read(body: Body) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(to_bytes(body, usize::MAX)).unwrap().to_vec()
    }

    #[test]
    fn the_size_is_known_before_anything_is_read() {
        let folder = crate::scratch::folder("pieces");
        let path = folder.join("dpmp.log");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[b'a'; 3 * PIECE / 2]).unwrap();
        let body = whole(File::open(&path).unwrap()).unwrap();
        assert_eq!(body.size_hint().exact(), Some(3 * PIECE as u64 / 2));
        file.write_all(b"later").unwrap();
        assert_eq!(read(body), vec![b'a'; 3 * PIECE / 2], "what came meanwhile is not promised");
        // More than there is memory for.
        file.set_len(1 << 42).unwrap();
        assert_eq!(whole(File::open(&path).unwrap()).unwrap().size_hint().exact(), Some(1 << 42));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn lines_come_without_names_in_their_order() {
        let line = |n| format!("{{\"event\":\"x\",\"n\":{n},\"sid\":\"('192.0.2.5', 51234)\"}}\n");
        let text: String = (0..5_000).map(line).collect();
        let shown = read(redacted(Cursor::new(text.clone()), text.len() as u64, Nameless::new([7; 32])));
        assert_eq!(String::from_utf8(shown).unwrap(), text.replace("192.0.2.5", "192.0.x.x"));
    }
}
