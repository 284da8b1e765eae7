//! Bytes to lines for the simulated peers, and a bounded list of complaints.

/// Collects bytes until a line is whole.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Appends bytes and takes out the whole lines, without their ends.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.0.extend_from_slice(bytes);
        let Some(last) = self.0.iter().rposition(|b| *b == b'\n') else { return Vec::new() };
        let rest = self.0.split_off(last + 1);
        let mut whole = std::mem::replace(&mut self.0, rest);
        whole.pop();
        whole.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect()
    }

    /// Bytes of the line that is not whole yet.
    pub fn pending(&self) -> usize {
        self.0.len()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a peer found wrong with the other end, for test messages: the first ones in words, all in number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints {
    /// The first of them, each with its time.
    pub first: Vec<String>,
    /// How many there were.
    pub count: u64,
}

impl Complaints {
    const KEPT: usize = 50;

    /// Notes one.
    pub fn push(&mut self, now_us: u64, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(format!("{}.{:06} {}", now_us / 1_000_000, now_us % 1_000_000, what()));
        }
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_cut() {
        let text = b"one\r\n\ntwo\nrest";
        for cut in 0..=text.len() {
            let mut lines = Lines::default();
            let mut got = lines.push(&text[..cut]);
            got.extend(lines.push(&text[cut..]));
            assert_eq!(got, [&b"one"[..], b"", b"two"]);
            assert_eq!(lines.pending(), 4);
        }
    }
}
