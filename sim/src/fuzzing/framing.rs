//! The same stream of one peer, whole and cut anywhere, gives the same actions.
//!
//! Byte 0: whose stream, and at which stage of its session. Byte 1: how it is cut. Then the stream; in it `FF n` stands
//! for 128·n spaces, so that a small input reaches the limits of a line.

use dpmp_core::Conn;

use super::bench::Bench;
use super::decode::stage;
use crate::rng::Rng;

/// Panics if the cut stream does something else than the whole one.
pub fn body(data: &[u8]) {
    let [at, cut, stream @ ..] = data else { return };
    let mut stream = unfold(stream);
    if at % 16 == 15 && !super::strict() {
        // Open (`held-bytes`): what comes in one piece with a subscribe that has to wait is held without a limit.
        stream.truncate(16 << 10);
    }
    let (mut whole, conn) = stage(*at);
    whole.keep_done = true;
    whole.receive(conn, &stream);
    let (mut pieces, conn) = stage(*at);
    pieces.keep_done = true;
    send_cut(&mut pieces, conn, &stream, *cut);
    for (one, other) in whole.done.iter().zip(&pieces.done) {
        assert_eq!(one, other, "whole, and cut by {cut}");
    }
    assert_eq!(whole.done.len(), pieces.done.len(), "actions, whole and cut by {cut}");
    whole.settle();
    pieces.settle();
    assert_eq!(whole.done.len(), pieces.done.len(), "actions in the end, whole and cut by {cut}");
}

/// Most bytes of an unfolded stream: enough for the longest line of a pool.
const MOST: usize = 300 << 10;

fn unfold(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    let mut bytes = stream.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0xFF => {
                let n = usize::from(bytes.next().copied().unwrap_or(1)) * 128;
                out.resize((out.len() + n).min(MOST), b' ');
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// Up to 8: pieces of so many bytes; above: pieces of random length, as the number says.
fn send_cut(bench: &mut Bench, conn: Conn, mut stream: &[u8], cut: u8) {
    let mut rng = Rng::new(u64::from(cut), "cut");
    while !stream.is_empty() {
        let most = match cut {
            0..=8 if stream.len() < 4096 => usize::from(cut.max(1)),
            0..=8 => 4096 + usize::from(cut),
            _ => rng.between(1, (stream.len() as u64).min(u64::from(cut) * 16)) as usize,
        };
        let (piece, rest) = stream.split_at(most.min(stream.len()));
        bench.receive(conn, piece);
        stream = rest;
    }
}
