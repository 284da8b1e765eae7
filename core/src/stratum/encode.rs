//! Messages as bytes, each a whole line, in the key order that firmwares are known to read.

use alloc::vec::Vec;

use super::hex;
use super::message::Configure;
use super::wire::RequestId;
use crate::difficulty::Difficulty;
use crate::ids::JobId;

/// Appends what `format_args!` gives; a vector never refuses.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        use core::fmt::Write as _;
        let _never_fails = write!(Text($out), $($arg)*);
    }};
}

struct Text<'a>(&'a mut Vec<u8>);

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

/// Appends a JSON string with its quotes.
fn string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        put!(out, "\"{text}\"");
    } else {
        // A string always has a JSON form.
        out.extend_from_slice(serde_json::to_string(text).unwrap_or_default().as_bytes());
    }
}

// --- to miners ---

pub(crate) fn reply_true(out: &mut Vec<u8>, id: &RequestId) {
    put!(out, "{{\"id\":{id},\"result\":true,\"error\":null}}\n");
}

pub(crate) fn reply_error(out: &mut Vec<u8>, id: &RequestId, code: i64, text: &str) {
    put!(out, "{{\"id\":{id},\"result\":null,\"error\":[{code},");
    string(out, text);
    out.extend_from_slice(b",null]}\n");
}

/// An empty list: no transactions to tell.
pub(crate) fn reply_empty_list(out: &mut Vec<u8>, id: &RequestId) {
    put!(out, "{{\"id\":{id},\"result\":[],\"error\":null}}\n");
}

pub(crate) fn reply_pong(out: &mut Vec<u8>, id: &RequestId) {
    put!(out, "{{\"id\":{id},\"result\":\"pong\",\"error\":null}}\n");
}

pub(crate) fn reply_subscribe(
    out: &mut Vec<u8>,
    id: &RequestId,
    session: u64,
    extranonce1: &[u8],
    extranonce2_bytes: u8,
) {
    put!(
        out,
        "{{\"id\":{id},\"result\":[[[\"mining.set_difficulty\",\"{session:08x}\"],[\"mining.notify\",\"{session:08x}\"]],\""
    );
    hex::write(out, extranonce1);
    put!(out, "\",{extranonce2_bytes}],\"error\":null}}\n");
}

/// `mask` 0: version rolling is refused.
pub(crate) fn reply_configure(out: &mut Vec<u8>, id: &RequestId, asked: &Configure, mask: u32) {
    put!(out, "{{\"id\":{id},\"result\":{{");
    let start = out.len();
    if asked.version_mask.is_some() {
        if mask == 0 {
            out.extend_from_slice(b"\"version-rolling\":false,");
        } else {
            put!(out, "\"version-rolling\":true,\"version-rolling.mask\":\"{mask:08x}\",");
        }
    }
    if asked.minimum_difficulty {
        out.extend_from_slice(b"\"minimum-difficulty\":false,");
    }
    if asked.subscribe_extranonce {
        out.extend_from_slice(b"\"subscribe-extranonce\":true,");
    }
    if asked.info {
        out.extend_from_slice(b"\"info\":true,");
    }
    if out.len() > start {
        out.pop();
    }
    out.extend_from_slice(b"},\"error\":null}\n");
}

pub(crate) fn set_difficulty(out: &mut Vec<u8>, difficulty: Difficulty) {
    put!(out, "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}]}}\n");
}

pub(crate) fn set_version_mask(out: &mut Vec<u8>, mask: u32) {
    put!(out, "{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{mask:08x}\"]}}\n");
}

pub(crate) fn set_extranonce(out: &mut Vec<u8>, extranonce1: &[u8], extranonce2_bytes: u8) {
    out.extend_from_slice(b"{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"");
    hex::write(out, extranonce1);
    put!(out, "\",{extranonce2_bytes}]}}\n");
}

/// A job for a miner. `coinb1` comes in parts, to be joined.
#[derive(Debug)]
pub(crate) struct JobLine<'a> {
    pub(crate) job: JobId,
    pub(crate) prevhash: &'a [u8; 32],
    pub(crate) coinb1: [&'a [u8]; 3],
    pub(crate) coinb2: &'a [u8],
    pub(crate) branches: &'a [[u8; 32]],
    pub(crate) version: u32,
    pub(crate) nbits: u32,
    pub(crate) ntime: u32,
    pub(crate) clean: bool,
}

impl JobLine<'_> {
    /// Bytes of the line with its end.
    pub(crate) fn len(&self) -> usize {
        let coinbase = self.coinb1.iter().map(|p| p.len()).sum::<usize>() + self.coinb2.len();
        // The constant is the length of the frame with no coinbase and no branches; a branch has quotes and a comma.
        let commas = self.branches.len().saturating_sub(1);
        173 + usize::from(!self.clean) + 2 * coinbase + 66 * self.branches.len() + commas
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        put!(out, "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{}\",\"", self.job);
        hex::write(out, self.prevhash);
        out.extend_from_slice(b"\",\"");
        for part in self.coinb1 {
            hex::write(out, part);
        }
        out.extend_from_slice(b"\",\"");
        hex::write(out, self.coinb2);
        out.extend_from_slice(b"\",[");
        for (i, branch) in self.branches.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            hex::write(out, branch);
            out.push(b'"');
        }
        put!(out, "],\"{:08x}\",\"{:08x}\",\"{:08x}\",{}]}}\n", self.version, self.nbits, self.ntime, self.clean);
    }
}

// --- to pools ---

pub(crate) fn configure(out: &mut Vec<u8>, id: u64, mask: u32) {
    put!(
        out,
        "{{\"id\":{id},\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{{\"version-rolling.mask\":\"{mask:08x}\",\"version-rolling.min-bit-count\":2}}]}}\n"
    );
}

pub(crate) fn subscribe(out: &mut Vec<u8>, id: u64, agent: &str) {
    put!(out, "{{\"id\":{id},\"method\":\"mining.subscribe\",\"params\":[");
    string(out, agent);
    out.extend_from_slice(b"]}\n");
}

pub(crate) fn authorize(out: &mut Vec<u8>, id: u64, user: &str, password: &str) {
    put!(out, "{{\"id\":{id},\"method\":\"mining.authorize\",\"params\":[");
    string(out, user);
    out.push(b',');
    string(out, password);
    out.extend_from_slice(b"]}\n");
}

pub(crate) fn suggest_difficulty(out: &mut Vec<u8>, id: u64, difficulty: Difficulty) {
    put!(out, "{{\"id\":{id},\"method\":\"mining.suggest_difficulty\",\"params\":[{difficulty}]}}\n");
}

/// A share in the pool's own terms.
#[derive(Debug)]
pub(crate) struct ShareLine<'a> {
    pub(crate) user: &'a str,
    pub(crate) job: &'a str,
    pub(crate) extranonce2: &'a [u8],
    pub(crate) ntime: u32,
    pub(crate) nonce: u32,
    /// None: no version rolling was negotiated with this pool.
    pub(crate) version_bits: Option<u32>,
}

pub(crate) fn submit(out: &mut Vec<u8>, id: u64, share: &ShareLine<'_>) {
    put!(out, "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[");
    string(out, share.user);
    out.push(b',');
    string(out, share.job);
    out.extend_from_slice(b",\"");
    hex::write(out, share.extranonce2);
    out.extend_from_slice(b"\",\"");
    hex::write_word(out, share.ntime);
    out.extend_from_slice(b"\",\"");
    hex::write_word(out, share.nonce);
    if let Some(bits) = share.version_bits {
        out.extend_from_slice(b"\",\"");
        hex::write_word(out, bits);
    }
    out.extend_from_slice(b"\"]}\n");
}

pub(crate) fn reply_text(out: &mut Vec<u8>, id: &RequestId, text: &str) {
    put!(out, "{{\"id\":{id},\"result\":");
    string(out, text);
    out.extend_from_slice(b",\"error\":null}\n");
}

pub(crate) fn reply_unknown_method(out: &mut Vec<u8>, id: &RequestId, method: &str) {
    reply_error(out, id, -3, &alloc::format!("Method '{}' not found", super::message::clean(method)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_job_line_knows_its_length() {
        let branches = [[0xab; 32]; 3];
        for (n, clean) in [(0, true), (1, false), (3, true)] {
            let job = JobLine {
                job: JobId(0x1a),
                prevhash: &[1; 32],
                coinb1: [&[1, 2], &[], &[3]],
                coinb2: &[4; 5],
                branches: &branches[..n],
                version: 0x2000_0000,
                nbits: 0x1d00_ffff,
                ntime: 5,
                clean,
            };
            assert_eq!(line(|out| job.write(out)).len(), job.len());
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(
            line(|out| authorize(out, 3, "a\"b\\", "x\u{1}")),
            "{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"a\\\"b\\\\\",\"x\\u0001\"]}\n"
        );
    }

    #[test]
    fn configure_replies() {
        let asked = Configure { version_mask: Some(0), ..Configure::default() };
        assert_eq!(
            line(|out| reply_configure(out, &RequestId::Number(1), &asked, 0x1fff_e000)),
            "{\"id\":1,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"},\"error\":null}\n"
        );
        assert_eq!(
            line(|out| reply_configure(out, &RequestId::Null, &asked, 0)),
            "{\"id\":null,\"result\":{\"version-rolling\":false},\"error\":null}\n"
        );
        assert_eq!(
            line(|out| reply_configure(out, &RequestId::Null, &Configure::default(), 0)),
            "{\"id\":null,\"result\":{},\"error\":null}\n"
        );
    }
}
