//! Lines out of byte chunks. A line that lies whole within a chunk is not copied.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Holds the beginning of a line until the rest of it comes. At most `limit` bytes are ever held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Framer {
    partial: Vec<u8>,
    /// `partial` was handed out as a whole line and is to be forgotten.
    spent: bool,
}

/// A line was longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// More capacity than this is given back once a line is done.
const KEEP: usize = 4096;

impl Framer {
    /// The next line of `input` without its end (`\n`, `\r\n`), or none if more bytes are needed; they are then kept.
    /// `input` is moved behind what was used. After [`TooLong`] the connection cannot be read any further.
    pub(crate) fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
        limit: usize,
    ) -> Option<Result<&'s [u8], TooLong>> {
        if self.spent {
            self.spent = false;
            self.partial.clear();
            self.partial.shrink_to(KEEP);
        }
        let Some(end) = memchr::memchr(b'\n', input) else {
            if self.partial.len() + input.len() > limit {
                self.partial = Vec::new();
                *input = &[];
                return Some(Err(TooLong));
            }
            self.partial.extend_from_slice(input);
            *input = &[];
            return None;
        };
        let (line, rest) = input.split_at(end);
        *input = &rest[1..];
        if self.partial.len() + line.len() > limit {
            self.partial = Vec::new();
            *input = &[];
            return Some(Err(TooLong));
        }
        if self.partial.is_empty() {
            return Some(Ok(trim(line)));
        }
        self.partial.extend_from_slice(line);
        self.spent = true;
        Some(Ok(trim(&self.partial)))
    }
}

impl Framer {
    /// The beginning of a line that is held, to be rewritten at the same length; nothing if it was handed out already.
    pub(crate) fn held(&mut self) -> &mut [u8] {
        if self.spent {
            self.spent = false;
            self.partial.clear();
        }
        &mut self.partial
    }
}

fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn lines(chunks: &[&[u8]], limit: usize) -> Vec<Result<Vec<u8>, TooLong>> {
        let mut framer = Framer::default();
        let mut out = vec![];
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(line) = framer.next(&mut input, limit) {
                let stop = line.is_err();
                out.push(line.map(<[u8]>::to_vec));
                if stop {
                    return out;
                }
            }
        }
        out
    }

    #[test]
    fn every_cut_gives_the_same_lines() {
        let text = b"{\"a\":1}\r\n\n{\"b\":2}\n{\"c\"";
        let whole = lines(&[text], 100);
        assert_eq!(whole, vec![Ok(b"{\"a\":1}".to_vec()), Ok(vec![]), Ok(b"{\"b\":2}".to_vec())]);
        for i in 0..=text.len() {
            for j in i..=text.len() {
                assert_eq!(lines(&[&text[..i], &text[i..j], &text[j..]], 100), whole);
            }
        }
    }

    #[test]
    fn a_long_line_ends_it_wherever_it_is_cut() {
        let text = [b"ok\n".as_slice(), &[b'x'; 50], b"\n"].concat();
        for i in 0..=text.len() {
            assert_eq!(lines(&[&text[..i], &text[i..]], 40), vec![Ok(b"ok".to_vec()), Err(TooLong)]);
        }
    }
}
